"""Money that is handed over at the desk, on PostgreSQL."""

import asyncio

import pytest

from shared.events.billing import CollectionRequested
from shared.events.directdebit import DebitSettled, DebitSubmitted
from shared.ids import new_id
from tests.billing.desk import FORTNIGHTLY, PARTS, Studio, debit

pytestmark = pytest.mark.servers


async def test_cash_pays_the_earliest_parts_and_less_is_collected(studio: Studio) -> None:
    issued = await studio.owed(**PARTS)
    shown = await studio.pay(issued.invoice_id, 30000, method="card", reference="receipt 17")
    assert [(part["open_minor"], part["state"]) for part in shown["instalments"][:3]] == [
        (0, "paid"),
        (14000, "scheduled"),
        (22000, "scheduled"),
    ]
    assert [(p["amount_minor"], p["method"], p["paid_date"]) for p in shown["payments"]] == [
        (30000, "card", "2022-09-13")
    ]
    asked = [(each.version, each.target_minor) for each in await studio.told(CollectionRequested)]
    assert asked == [(1, 22000), (2, 0)]
    await studio.whole()


async def test_a_part_paid_ahead_is_collected_for_the_rest_when_it_falls_due(studio: Studio) -> None:
    issued = await studio.owed(**PARTS)
    await studio.pay(issued.invoice_id, 30000)
    await studio.day(issued.instalments[2].due_date)
    asked = {each.instalment_id: (each.version, each.target_minor) for each in await studio.told(CollectionRequested)}
    assert [asked[part.instalment_id] for part in issued.instalments[:3]] == [(2, 0), (1, 14000), (1, 22000)]
    await studio.whole()


async def test_more_than_is_open_is_refused_and_changes_nothing(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    refused = await studio.pay(issued.invoice_id, 30001, status=422)
    assert (refused["field"], refused["detail"]) == ("amount_minor", "30000 is open.")
    late = await studio.pay(issued.invoice_id, 1, status=422, paid_date="2022-09-14")
    assert late["field"] == "paid_date"
    await studio.pay(new_id(), 1, status=404)
    assert (await studio.read(f"invoices/{issued.invoice_id}"))["payments"] == []


async def test_two_payments_at_once_never_pay_twice(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    answers = await asyncio.gather(*(studio.pay(issued.invoice_id, 30000) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(answer, dict) for answer in answers) == 1
    await studio.whole()


async def test_what_comes_by_debit_after_it_was_paid_by_hand_is_kept_for_the_payer(studio: Studio) -> None:
    """R-37."""
    issued = await studio.owed(**FORTNIGHTLY)
    part, debit_id = issued.instalments[0].instalment_id, new_id()
    await studio.hear(debit(DebitSubmitted, debit_id, 1, part, in_flight=30000))
    await studio.pay(issued.invoice_id, 30000)
    await studio.hear(debit(DebitSettled, debit_id, 2, part, collected=30000))
    entries = (await studio.read("journal"))["items"]
    assert {side["account"]: side["amount_minor"] for side in entries[-1]["postings"]} == {
        "cash": 30000,
        "account_balance": -30000,
    }
    assert (await studio.read(f"invoices/{issued.invoice_id}"))["open_minor"] == 0
    await studio.whole()


async def test_only_who_manages_invoices_takes_money(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    issuer = studio.billing.issuer
    for token in (
        issuer.staff(studio.business_id, permissions=["billing.tab.access"]),
        issuer.client(studio.business_id, studio.payer_id),
    ):
        async with studio.billing.http(token) as http:
            body = {"amount_minor": 1, "method": "cash"}
            assert (await http.post(f"invoices/{issued.invoice_id}/payments", json=body)).status_code == 403
