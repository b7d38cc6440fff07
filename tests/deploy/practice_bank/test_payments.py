"""What becomes of a payment: only legal steps, each of them logged and told."""

import pytest

from tests.deploy.practice_bank.creditor import Creditor, Receiver, eventually


@pytest.mark.parametrize(
    ("moves", "status"),
    [
        ([], "submitted"),
        (["settle"], "confirmed"),
        (["settle", "pay_out"], "paid_out"),
        (["decline"], "failed"),
        (["settle", "late_failure"], "failed"),
        (["settle", "pay_out", "late_failure"], "failed"),
        (["settle", "charge_back"], "charged_back"),
    ],
)
def test_a_payment_moves_by_legal_steps_and_tells_each(
    studio: Creditor, receiver: Receiver, moves: list[str], status: str
) -> None:
    accepted = studio.pay("d-1")
    assert accepted.status_code == 201
    assert accepted.json()["payments"]["status"] == "pending_submission"
    payment_id = accepted.json()["payments"]["id"]

    for move in moves:
        assert studio.decide(payment_id, move).status_code == 200

    assert studio.status(payment_id) == status
    eventually(studio.all_sent)
    told = [event["action"] for event in receiver.events()]
    (logged,) = studio.log()
    assert [event["action"] for event in logged["history"]] == ["created", *told]
    assert len(told) == 1 + len(moves)


@pytest.mark.parametrize(
    ("moves", "illegal"),
    [
        ([], "pay_out"),
        ([], "late_failure"),
        ([], "charge_back"),
        (["settle"], "settle"),
        (["settle"], "decline"),
        (["decline"], "settle"),
        (["decline"], "decline"),
        (["decline"], "late_failure"),
        (["settle", "charge_back"], "charge_back"),
        (["settle", "late_failure"], "settle"),
    ],
)
def test_any_other_step_is_refused_and_leaves_no_trace(studio: Creditor, moves: list[str], illegal: str) -> None:
    payment_id = studio.paid("d-1")
    for move in moves:
        studio.decide(payment_id, move)
    before = studio.log()

    refused = studio.decide(payment_id, illegal)

    assert refused.status_code == 409
    assert refused.json()["error"]["errors"][0]["reason"] == "illegal_move"
    assert studio.log() == before


def test_a_decline_says_why(studio: Creditor, receiver: Receiver) -> None:
    studio.decide(studio.paid("usual"), "decline")
    studio.decide(studio.paid("closed"), "decline", cause="bank_account_closed")
    studio.decide(studio.paid("odd"), "decline", cause="never_heard_of", reason_code="Z9", description="Odd.")

    eventually(studio.all_sent)
    failed = {
        event["resource_metadata"]["debit_id"]: event["details"]
        for event in receiver.events()
        if event["action"] == "failed"
    }
    assert failed["usual"] == {
        "origin": "bank",
        "cause": "insufficient_funds",
        "description": "The payer's account did not hold enough money.",
        "scheme": "becs",
        "reason_code": "6",
        "will_attempt_retry": False,
    }
    assert (failed["closed"]["cause"], failed["closed"]["reason_code"]) == ("bank_account_closed", "3")
    assert (failed["odd"]["cause"], failed["odd"]["reason_code"]) == ("never_heard_of", "Z9")
    assert failed["odd"]["description"] == "Odd."


@pytest.mark.parametrize(
    ("behaviour", "status", "cause"),
    [
        ({"payments": "manual"}, "submitted", "payment_submitted"),
        ({"payments": "settle", "cause": "payment_stopped"}, "confirmed", "payment_confirmed"),
        ({"payments": "decline"}, "failed", "insufficient_funds"),
        ({"payments": "decline", "cause": "payment_stopped"}, "failed", "payment_stopped"),
    ],
)
def test_a_mandate_with_a_behaviour_decides_its_payments(
    studio: Creditor, behaviour: dict[str, str], status: str, cause: str
) -> None:
    set_to = studio.http.post(f"/practice/mandates/{studio.mandate}/behaviour", json=behaviour)
    assert set_to.json()["behaviour"]["payments"] == behaviour["payments"]

    accepted = studio.pay("d-1").json()["payments"]

    assert accepted["status"] == "pending_submission"
    assert studio.status(accepted["id"]) == status
    assert studio.log()[0]["history"][-1]["details"]["cause"] == cause
    assert studio.http.post("/practice/mandates/MD0/behaviour", json={"payments": "settle"}).status_code == 404
