"""A payer is registered in three steps, each made once per key; a mandate tells what becomes of it, and can end."""

from typing import Any

import pytest

from tests.deploy.practice_bank.creditor import Creditor, Receiver, eventually, new_account, registered


def test_a_payer_is_registered_in_three_steps_and_their_mandate_becomes_active(
    studio: Creditor, receiver: Receiver
) -> None:
    customer = studio.make("customers", given_name="Ana", family_name="Lee", metadata={"payer_id": "p-1"})
    account = studio.make("customer_bank_accounts", **new_account(customer["id"]))
    mandate = studio.make(
        "mandates", metadata={"mandate_id": "m-1"}, links={"customer_bank_account": account["id"]}, scheme="becs"
    )

    assert [each["id"][:2] for each in (customer, account, mandate)] == ["CU", "BA", "MD"]
    assert (account["account_number_ending"], account["country_code"]) == ("21", "AU")
    assert account["links"] == {"customer": customer["id"]}
    assert (mandate["status"], mandate["scheme"]) == ("pending_submission", "becs")
    assert mandate["links"] == {"creditor": studio.id, "customer_bank_account": account["id"]}
    found = studio.ask("GET", f"/mandates/{mandate['id']}").json()["mandates"]
    assert found == mandate | {"status": "active"}
    eventually(studio.all_sent)
    told = receiver.events()
    assert [(event["resource_type"], event["action"]) for event in told] == [
        ("mandates", "created"),
        ("mandates", "submitted"),
        ("mandates", "active"),
    ]
    assert {str(event["links"]) for event in told} == {str({"mandate": mandate["id"]})}
    assert told[0]["resource_metadata"] == {"mandate_id": "m-1"}
    assert told[0]["details"]["cause"] == "mandate_created"


def test_each_step_is_made_once_per_key_and_a_repeat_names_what_was_made(studio: Creditor) -> None:
    customer = studio.make("customers", key="k")
    account = studio.make("customer_bank_accounts", key="k", **new_account(customer["id"]))
    mandate = studio.make("mandates", key="k", links={"customer_bank_account": account["id"]})
    payment = studio.pay("d-1", key="k", links={"mandate": mandate["id"]}).json()["payments"]

    for kind, body, made in (
        ("customers", {}, customer),
        ("customer_bank_accounts", new_account(customer["id"]), account),
        ("mandates", {"links": {"customer_bank_account": account["id"]}}, mandate),
        ("payments", {"amount": 1, "currency": "AUD", "charge_date": "2022-09-13", "links": {"mandate": "x"}}, payment),
    ):
        repeat = studio.ask("POST", f"/{kind}", key="k", json={kind: body})
        assert repeat.status_code == 409
        (error,) = repeat.json()["error"]["errors"]
        assert error["reason"] == "idempotent_creation_conflict"
        assert error["links"] == {"conflicting_resource_id": made["id"]}


@pytest.mark.parametrize(
    ("kind", "body", "pointer"),
    [
        ("customer_bank_accounts", new_account("CU0"), "/customer_bank_accounts/links/customer"),
        ("customer_bank_accounts", new_account("CU0") | {"account_number": "x"}, "/customer_bank_accounts/"),
        ("mandates", {"links": {"customer_bank_account": "BA0"}}, "/mandates/links/customer_bank_account"),
        ("mandates", {"links": {}}, "/mandates/links/customer_bank_account"),
        ("customers", {"surprise": 1}, "/customers/surprise"),
    ],
)
def test_a_wrong_field_is_named(studio: Creditor, kind: str, body: dict[str, Any], pointer: str) -> None:
    refused = studio.ask("POST", f"/{kind}", json={kind: body})
    assert (refused.status_code, refused.json()["error"]["type"]) == (422, "validation_failed")
    assert refused.json()["error"]["errors"][0]["request_pointer"].startswith(pointer)


def test_a_creditor_uses_only_its_own_payers(studio: Creditor, receiver: Receiver) -> None:
    customer = studio.make("customers")
    account = studio.make("customer_bank_accounts", **new_account(customer["id"]))
    other = Creditor(studio.http, receiver.url)

    body = {"customer_bank_accounts": new_account(customer["id"])}
    assert other.ask("POST", "/customer_bank_accounts", json=body).status_code == 422
    body = {"mandates": {"links": {"customer_bank_account": account["id"]}}}
    assert other.ask("POST", "/mandates", json=body).status_code == 422
    assert other.ask("GET", f"/mandates/{studio.mandate}").status_code == 404


def test_a_scheme_that_does_not_fit_the_account_is_refused(studio: Creditor) -> None:
    account = studio.make("customer_bank_accounts", **new_account(studio.make("customers")["id"], currency="GBP"))
    links = {"customer_bank_account": account["id"]}
    refused = studio.ask("POST", "/mandates", json={"mandates": {"scheme": "becs", "links": links}})
    assert refused.json()["error"]["errors"][0]["request_pointer"] == "/mandates/scheme"
    assert studio.make("mandates", scheme="bacs", links=links)["scheme"] == "bacs"


def test_a_cancelled_mandate_takes_its_open_payments_with_it_in_one_delivery(
    studio: Creditor, receiver: Receiver
) -> None:
    studio.mandate = registered(studio)
    first, second, settled = (studio.paid(f"d-{number}") for number in range(3))
    studio.decide(settled, "settle")
    eventually(studio.all_sent)
    before = len(receiver.events())

    ended = studio.http.post(f"/practice/mandates/{studio.mandate}/cancel").json()["mandates"]

    assert ended["status"] == "cancelled"
    eventually(studio.all_sent)
    mandate, *payments = receiver.events()[before:]
    assert (mandate["resource_type"], mandate["action"]) == ("mandates", "cancelled")
    assert mandate["links"] == {"mandate": studio.mandate}
    assert [event["links"] for event in payments] == [
        {"payment": payment, "parent_event": mandate["id"]} for payment in (first, second)
    ]
    assert {(event["action"], event["details"]["cause"]) for event in payments} == {("cancelled", "mandate_cancelled")}
    assert [studio.status(payment) for payment in (first, second, settled)] == ["cancelled", "cancelled", "confirmed"]
    studio.live_until("2022-09-30")
    assert studio.status(first) == "cancelled"


def test_a_cancelled_mandate_takes_no_more_payments_and_cannot_be_cancelled_again(studio: Creditor) -> None:
    studio.http.post(f"/practice/mandates/{studio.mandate}/cancel")

    refused = studio.pay("d-1")
    assert (refused.status_code, refused.json()["error"]["type"]) == (422, "validation_failed")
    (error,) = refused.json()["error"]["errors"]
    assert (error["reason"], error["request_pointer"]) == ("mandate_is_inactive", "/payments/links/mandate")
    again = studio.http.post(f"/practice/mandates/{studio.mandate}/cancel")
    assert (again.status_code, again.json()["error"]["errors"][0]["reason"]) == (409, "illegal_move")
    assert studio.http.post("/practice/mandates/MD0/cancel").status_code == 404


def test_a_mandate_signed_at_the_bank_s_own_page_is_active_at_once_and_told_to_nobody(
    studio: Creditor, receiver: Receiver
) -> None:
    found = studio.ask("GET", f"/mandates/{studio.mandate}").json()["mandates"]
    assert (found["status"], found["account_number_ending"]) == ("active", "21")
    assert receiver.received == []
    assert studio.callbacks("unsent") == []
