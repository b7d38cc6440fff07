"""Callbacks are signed, and repeated until they are taken."""

import hashlib
import hmac
import json

from tests.deploy.practice_bank.creditor import SECRET, Creditor, Receiver, eventually


def test_a_callback_is_signed_over_its_exact_bytes(studio: Creditor, receiver: Receiver) -> None:
    payment_id = studio.paid("d-1")
    eventually(studio.all_sent)

    ((signature, body),) = receiver.received
    assert signature == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    told = json.loads(body)
    assert told["meta"]["webhook_id"].startswith("WB")
    (event,) = told["events"]
    assert event["id"].startswith("EV")
    assert (event["resource_type"], event["action"]) == ("payments", "submitted")
    assert event["links"] == {"payment": payment_id}
    assert event["resource_metadata"] == {"debit_id": "d-1"}


def test_a_callback_is_repeated_until_it_is_taken_and_again_on_request(studio: Creditor, receiver: Receiver) -> None:
    receiver.answers = [500, 302, 204]
    studio.paid("d-1")
    eventually(studio.all_sent)

    (callback,) = studio.callbacks("delivered")
    assert [answer["outcome"] for answer in callback["answers"]] == ["500", "302", "204"]

    resent = studio.http.post(f"/practice/callbacks/{callback['id']}/resend")
    assert resent.status_code == 202
    eventually(lambda: len(receiver.received) == 4)
    assert len(set(receiver.received)) == 1
    assert studio.http.post("/practice/callbacks/WB0/resend").status_code == 404


def test_a_callback_never_taken_is_given_up_after_eight_repeats(studio: Creditor, receiver: Receiver) -> None:
    receiver.answers = [503] * 9
    studio.paid("d-1")
    eventually(studio.all_sent)

    (callback,) = studio.callbacks("given_up")
    assert (callback["state"], callback["tries"], len(callback["answers"])) == ("given_up", 9, 9)

    studio.http.post(f"/practice/callbacks/{callback['id']}/resend")
    eventually(lambda: len(receiver.received) == 10)
