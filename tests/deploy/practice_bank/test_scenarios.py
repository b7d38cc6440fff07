"""Each named scenario does what its sentence says."""

import hashlib
import hmac
import json

import httpx
import pytest

from deploy.practice_bank.scenarios import OUTAGE_REQUESTS, SCENARIOS
from tests.deploy.practice_bank.creditor import SECRET, Creditor, Receiver, date_of, eventually


def actions(studio: Creditor, payment: str) -> list[str]:
    return [action for action, _ in studio.history(payment)]


def test_every_scenario_can_be_set_and_has_a_sentence(studio: Creditor) -> None:
    listed = {each["name"]: each["sentence"] for each in studio.http.get("/practice/scenarios").json()["scenarios"]}
    assert listed == {name: scenario.sentence for name, scenario in SCENARIOS.items()}
    for name, sentence in listed.items():
        assert sentence.endswith(".")
        studio.behave(name)
    unknown = studio.http.post(f"/practice/mandates/{studio.mandate}/behaviour", json={"payments": "sunny"})
    assert unknown.status_code == 422


COLLECTED = ["created", "submitted", "confirmed", "paid_out"]
FAILED = ["created", "submitted", "failed"]


@pytest.mark.parametrize(
    ("scenario", "first", "second", "cause"),
    [
        ("collects", COLLECTED, COLLECTED, "payment_paid_out"),
        ("insufficient_funds_then_success", FAILED, COLLECTED, "insufficient_funds"),
        ("always_insufficient_funds", FAILED, FAILED, "insufficient_funds"),
        ("account_closed", FAILED, FAILED, "bank_account_closed"),
        ("late_return", [*COLLECTED, "failed"], COLLECTED, "insufficient_funds"),
        ("chargeback", [*COLLECTED, "charged_back"], COLLECTED, "authorisation_disputed"),
    ],
)
def test_what_becomes_of_a_payment_and_of_the_one_after(
    studio: Creditor, scenario: str, first: list[str], second: list[str], cause: str
) -> None:
    studio.behave(scenario)
    payments = [studio.paid("d-1"), studio.paid("d-2")]

    studio.live_until("2022-09-30")

    assert [actions(studio, payment) for payment in payments] == [first, second]
    logged = next(payment for payment in studio.log() if payment["id"] == payments[0])
    assert logged["history"][-1]["details"]["cause"] == cause
    assert logged["scenario"] == scenario


def test_a_failure_comes_two_bank_days_after_the_charge_date(studio: Creditor) -> None:
    studio.behave("account_closed", cause="refer_to_payer")
    payment = studio.paid("d-1")
    studio.live_until("2022-09-30")
    assert studio.history(payment)[-1] == ("failed", "2022-09-15")
    assert studio.log()[0]["history"][-1]["details"]["cause"] == "refer_to_payer", "a cause that was given is used"


@pytest.mark.parametrize("scenario", ["late_return", "chargeback"])
def test_what_was_confirmed_is_taken_back_three_bank_days_later(studio: Creditor, scenario: str) -> None:
    studio.behave(scenario)
    payment = studio.paid("d-1")
    studio.live_until("2022-09-30")
    days = dict(studio.history(payment))
    assert (days["confirmed"], list(days.values())[-1]) == ("2022-09-15", "2022-09-20")


def test_setting_a_scenario_again_makes_it_apply_again(studio: Creditor) -> None:
    payments = []
    for _ in range(2):
        studio.behave("insufficient_funds_then_success")
        payments.append(studio.paid("d"))
    studio.live_until("2022-09-30")
    assert [actions(studio, payment) for payment in payments] == [FAILED, FAILED]


def test_duplicates_are_the_same_bytes_and_their_events_come_once_more(studio: Creditor, receiver: Receiver) -> None:
    studio.behave("duplicate")
    studio.paid("d-1")
    studio.live_until("2022-09-16")

    bodies = [body for _, body in receiver.received]
    deliveries = {body: bodies.count(body) for body in bodies}
    told = {tuple(event["action"] for event in json.loads(body)["events"]): many for body, many in deliveries.items()}
    assert [many for body, many in deliveries.items() if len(json.loads(body)["events"]) == 1].count(3) == 3
    assert told["confirmed", "submitted"] == 1
    assert told["paid_out", "confirmed", "submitted"] == 1
    assert len({event["id"] for event in receiver.events()}) == 3


@pytest.mark.parametrize("decided_by_hand", [None, "decline"])
def test_out_of_order_holds_all_until_the_payment_is_decided_and_then_tells_the_last_first(
    studio: Creditor, receiver: Receiver, decided_by_hand: str | None
) -> None:
    studio.behave("out_of_order")
    payment = studio.paid("d-1")
    assert studio.callbacks("unsent") == []
    assert len(studio.callbacks("held")) == 1
    receiver.answers = [500, 204, 204]

    if decided_by_hand:
        studio.decide(payment, decided_by_hand)
        eventually(studio.all_sent)
    else:
        studio.live_until("2022-09-15")

    last = "failed" if decided_by_hand else "confirmed"
    arrived = [event["action"] for _, body in receiver.received for event in json.loads(body)["events"]]
    assert arrived == [last, last, "submitted"], "what was not taken is repeated before the next one goes"
    assert studio.callbacks("held") == []


def test_out_of_order_lets_go_of_what_it_holds_when_the_mandate_ends(studio: Creditor, receiver: Receiver) -> None:
    studio.behave("out_of_order")
    studio.paid("d-1")
    studio.http.post(f"/practice/mandates/{studio.mandate}/cancel")
    eventually(lambda: len(receiver.received) == 2)
    assert {event["action"] for event in receiver.events()} == {"submitted", "cancelled"}


def test_delayed_callbacks_come_two_bank_days_after_the_event(studio: Creditor, receiver: Receiver) -> None:
    studio.behave("delayed")
    studio.paid("d-1")
    studio.live_until("2022-09-14")
    assert receiver.received == []
    (held,) = studio.callbacks("held")
    assert held["release_date"] == "2022-09-15"

    studio.live_until("2022-09-15")
    assert [event["action"] for event in receiver.events()] == ["submitted"]
    studio.live_until("2022-09-18")
    assert [event["action"] for event in receiver.events()] == ["submitted"]
    studio.live_until("2022-09-19")
    assert [(event["action"], date_of(event)) for event in receiver.events()] == [
        ("submitted", "2022-09-13"),
        ("confirmed", "2022-09-15"),
    ]


def test_a_bad_signature_comes_first_and_the_right_one_after_it(studio: Creditor, receiver: Receiver) -> None:
    studio.behave("bad_signature")
    receiver.answers = [498]
    studio.paid("d-1")
    eventually(studio.all_sent)

    (wrong, body), (right, same_body) = receiver.received
    assert body == same_body
    assert right == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest() != wrong
    (callback,) = studio.callbacks("delivered")
    assert [answer["outcome"] for answer in callback["answers"]] == ["498 to a wrong signature", "204"]


def test_an_outage_refuses_some_requests_and_makes_nothing(studio: Creditor) -> None:
    studio.behave("outage")
    for _ in range(OUTAGE_REQUESTS):
        refused = studio.pay("d-1", key="k")
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "gocardless")
    assert studio.log() == []
    accepted = studio.pay("d-1", key="k")
    assert accepted.status_code == 201
    studio.live_until("2022-09-16")
    assert actions(studio, accepted.json()["payments"]["id"]) == COLLECTED


def test_an_answer_that_breaks_off_has_made_the_payment(
    studio: Creditor, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    studio.behave("accepted_but_timed_out")
    with pytest.raises(httpx.RemoteProtocolError):
        studio.pay("d-1", key="k")

    (made,) = studio.log()
    repeat = studio.pay("d-1", key="k")
    assert repeat.status_code == 409
    assert repeat.json()["error"]["errors"][0]["links"] == {"conflicting_resource_id": made["id"]}
    assert studio.pay("d-2", key="k-2").status_code == 201, "later ones are answered"
    studio.live_until("2022-09-16")
    assert actions(studio, made["id"]) == COLLECTED
    assert "ASGI" not in "".join(capfd.readouterr()) + caplog.text, "it was meant, so the server does not complain"


def test_a_scenario_is_that_of_one_mandate_only(studio: Creditor) -> None:
    other = studio.mandate
    studio.sign()
    studio.behave("always_insufficient_funds")
    failing = studio.paid("d-1")
    studio.mandate = other
    by_hand = studio.paid("d-2")
    studio.live_until("2022-09-30")
    assert (studio.status(failing), studio.status(by_hand)) == ("failed", "submitted")
