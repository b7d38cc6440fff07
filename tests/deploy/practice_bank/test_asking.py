"""What a creditor may ask for: its own, once per key, with every field right."""

import pytest

from tests.deploy.practice_bank.creditor import Creditor, Receiver, new_mandate, new_payment


def test_a_repeated_key_makes_nothing_and_names_what_it_made(studio: Creditor) -> None:
    first = studio.pay("d-1", key="debit-1").json()["payments"]["id"]

    for key in ("debit-1", '"debit-1"'):
        repeat = studio.pay("d-1", key=key, amount=1)
        assert repeat.status_code == 409
        (error,) = repeat.json()["error"]["errors"]
        assert error["reason"] == "idempotent_creation_conflict"
        assert error["links"] == {"conflicting_resource_id": first}

    assert len(studio.log()) == 1
    assert studio.pay("d-2", key='"debit-1').status_code == 400
    assert studio.pay("d-2", key="debit-2").status_code == 201


def test_a_mandate_is_made_once_per_key(studio: Creditor) -> None:
    made = studio.ask("POST", "/mandates", key="m", json=new_mandate()).json()["mandates"]["id"]
    repeat = studio.ask("POST", "/mandates", key="m", json=new_mandate())

    assert repeat.json()["error"]["errors"][0]["links"] == {"conflicting_resource_id": made}
    assert studio.ask("GET", f"/mandates/{made}").json()["mandates"]["status"] == "active"


def test_a_payment_is_found_by_our_own_reference(studio: Creditor) -> None:
    payment_id = studio.paid("d-1")
    studio.paid("d-2")

    assert [payment["id"] for payment in studio.found("d-1")] == [payment_id]
    assert studio.found("d-1")[0] == studio.ask("GET", f"/payments/{payment_id}").json()["payments"]
    assert studio.found("none") == []
    assert studio.ask("GET", "/payments").status_code == 422


def test_a_creditor_sees_only_its_own(studio: Creditor, receiver: Receiver) -> None:
    payment_id = studio.pay("d-1", key="k").json()["payments"]["id"]
    other = Creditor(studio.http, receiver.url)

    assert other.ask("GET", f"/payments/{payment_id}").status_code == 404
    assert other.ask("GET", f"/mandates/{studio.mandate}").status_code == 404
    assert other.found("d-1") == []
    assert other.pay("d-1", links={"mandate": studio.mandate}).status_code == 422
    assert other.pay("d-1", key="k").status_code == 201


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic wrong"])
def test_without_its_token_nobody_collects(studio: Creditor, authorization: str) -> None:
    body = new_payment(studio.mandate, "d-1")
    answer = studio.http.post("/payments", json=body, headers={"Authorization": authorization})

    assert answer.status_code == 401
    assert studio.log() == []


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"amount": 0}, "/payments/amount"),
        ({"amount": 10.5}, "/payments/amount"),
        ({"amount": 10**10}, "/payments/amount"),
        ({"amount": "30000"}, "/payments/amount"),
        ({"currency": "XXX"}, "/payments/currency"),
        ({"currency": "GBP"}, "/payments/currency"),
        ({"charge_date": "13/9/2022"}, "/payments/charge_date"),
        ({"reference": "R" * 31}, "/payments/reference"),
        ({"links": {"mandate": "MD0"}}, "/payments/links/mandate"),
        ({"links": {}}, "/payments/links/mandate"),
        ({"metadata": {"a": "1", "b": "2", "c": "3", "d": "4"}}, "/payments/metadata"),
        ({"retry_if_possible": True}, "/payments/retry_if_possible"),
        ({"surprise": 1}, "/payments/surprise"),
    ],
)
def test_a_wrong_field_is_named(studio: Creditor, changes: dict[str, object], pointer: str) -> None:
    refused = studio.pay("d-1", key="k", **changes)

    assert refused.status_code == 422
    assert refused.json()["error"]["type"] == "validation_failed"
    (error,) = refused.json()["error"]["errors"]
    assert (error["request_pointer"], error["field"]) == (pointer, pointer.rpartition("/")[2])
    assert studio.pay("d-1", key="k").status_code == 201, "a refused request uses no key"


def test_a_body_that_is_no_json_is_a_bad_request(studio: Creditor) -> None:
    answer = studio.ask("POST", "/payments", content=b"{")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_api_usage")
