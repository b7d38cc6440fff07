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
    made = studio.ask("POST", "/practice/mandates", key="m", json=new_mandate()).json()["mandates"]["id"]
    repeat = studio.ask("POST", "/practice/mandates", key="m", json=new_mandate())

    assert repeat.json()["error"]["errors"][0]["links"] == {"conflicting_resource_id": made}
    assert studio.pay("d-1", links={"mandate": made}).status_code == 201


def test_payments_are_listed_page_by_page_the_newest_first(studio: Creditor) -> None:
    payment_ids = [studio.paid(f"d-{n}") for n in range(5)]

    first, after = studio.page(limit=2)
    studio.paid("d-5")
    second, after_second = studio.page(limit=2, after=after)
    third, end = studio.page(limit=2, after=after_second)
    assert [*first, *second, *third] == ["d-4", "d-3", "d-2", "d-1", "d-0"]
    assert (after, end) == (payment_ids[3], None)
    assert studio.page(limit=6)[1] is None
    assert studio.found("d-0") == [studio.ask("GET", f"/payments/{payment_ids[0]}").json()["payments"]]


def test_payments_are_listed_by_mandate_and_time(studio: Creditor) -> None:
    other = studio.ask("POST", "/practice/mandates", json=new_mandate()).json()["mandates"]["id"]
    studio.paid("d-1")
    second = studio.pay("d-2", links={"mandate": other}).json()["payments"]
    studio.paid("d-3")

    assert studio.page(mandate=other) == (["d-2"], None)
    assert studio.page(mandate=studio.mandate) == (["d-3", "d-1"], None)
    assert studio.page(mandate="MD0") == ([], None)
    assert studio.page(**{"created_at[gte]": second["created_at"]}) == (["d-3", "d-2"], None)
    assert studio.page(**{"created_at[gte]": "9999-01-01T00:00:00+10:00"}) == ([], None)


@pytest.mark.parametrize(
    "filters",
    [{"metadata[debit_id]": "d-1"}, {"limit": "0"}, {"limit": "501"}, {"created_at[gte]": "2022-09-13T00:00:00"}],
)
def test_a_filter_that_the_bank_does_not_know_is_refused_rather_than_ignored(
    studio: Creditor, filters: dict[str, str]
) -> None:
    refused = studio.ask("GET", "/payments", params=filters)

    assert refused.status_code == 422
    assert refused.json()["error"]["errors"][0]["field"] == next(iter(filters))


def test_a_creditor_sees_only_its_own(studio: Creditor, receiver: Receiver) -> None:
    payment_id = studio.pay("d-1", key="k").json()["payments"]["id"]
    other = Creditor(studio.http, receiver.url)

    assert other.ask("GET", f"/payments/{payment_id}").status_code == 404
    assert other.page(mandate=studio.mandate) == ([], None)
    assert other.ask("GET", "/payments", params={"after": payment_id}).status_code == 404
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
