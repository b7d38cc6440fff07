"""What billing makes of a sale, on PostgreSQL."""

import asyncio

import pytest

from shared.events.billing import CollectionRequested, InvoiceIssued
from tests.billing.desk import Studio
from tests.harness.terms import FIRST_DUE, SALE

pytestmark = pytest.mark.servers


@pytest.mark.behaviour("CC-04")
async def test_a_package_paid_in_full_makes_one_invoice(studio: Studio) -> None:
    sale = studio.sale(first_due=SALE)
    await studio.hear(sale, on=SALE)
    (issued,) = await studio.told(InvoiceIssued)
    assert (issued.number, issued.total_minor, issued.payer_id) == (1, 50000, studio.payer_id)
    shown = await studio.read(f"invoices/{issued.invoice_id}")
    assert shown["lines"] == [{"description": "10 sessions", "amount_minor": 50000, "booking_id": None}]
    assert [(part["due_date"], part["open_minor"], part["state"]) for part in shown["instalments"]] == [
        ("2022-09-09", 50000, "due")
    ]
    assert (shown["issued_date"], shown["label"]) == ("2022-09-09", "overdue")
    await studio.whole()


@pytest.mark.behaviour("CC-09", "CC-10", "CC-12")
async def test_an_invoice_shows_its_instalments_with_their_dates(studio: Studio) -> None:
    issued = await studio.owed(
        form="instalments", price_minor=110000, instalment_count=5, frequency="fortnightly", auto_pay=False
    )
    shown = await studio.read(f"invoices/{issued.invoice_id}")
    assert [(part["due_date"], part["amount_minor"], part["label"]) for part in shown["instalments"]] == [
        ("2022-09-13", 22000, "due"),
        ("2022-09-27", 22000, "scheduled"),
        ("2022-10-11", 22000, "scheduled"),
        ("2022-10-25", 22000, "scheduled"),
        ("2022-11-08", 22000, "scheduled"),
    ]
    assert (shown["open_minor"], shown["label"]) == (110000, "due")
    assert await studio.told(CollectionRequested) == []
    await studio.whole()


async def test_what_is_due_at_the_sale_is_collected_and_the_rest_is_not_yet(studio: Studio) -> None:
    issued = await studio.owed(form="recurring", price_minor=30000, frequency="fortnightly", term_weeks=4)
    (asked,) = await studio.told(CollectionRequested)
    assert asked.instalment_id == issued.instalments[0].instalment_id
    assert (asked.version, asked.target_minor, asked.collect_date) == (1, 30000, FIRST_DUE)


async def test_a_sale_told_again_bills_nothing_more(studio: Studio) -> None:
    sale = studio.sale()
    await asyncio.gather(*(studio.hear(sale, sale) for _ in range(4)))
    assert len(await studio.told(InvoiceIssued)) == 1
    assert len(await studio.told(CollectionRequested)) == 1
    await studio.whole()


async def test_invoices_are_numbered_without_a_gap_whoever_writes_them(studio: Studio) -> None:
    broken = studio.sale(form="instalments")
    await asyncio.gather(*(studio.hear(studio.sale(), broken, studio.sale()) for _ in range(6)))
    assert sorted(issued.number for issued in await studio.told(InvoiceIssued)) == list(range(1, 13))
    await studio.whole()


async def test_an_amount_beyond_32_bits_is_billed(studio: Studio) -> None:
    issued = await studio.owed(price_minor=10**12)
    assert (await studio.read(f"invoices/{issued.invoice_id}"))["total_minor"] == 10**12
    await studio.whole()
