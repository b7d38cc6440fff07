"""Debits that fail after all, on PostgreSQL: what is owed again, who is told, and what the journal says on each day."""

import asyncio
from datetime import date, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from shared.events.billing import CollectionFailed, InvoiceIssued
from shared.events.directdebit import DebitClaimed, DebitEvent, DebitReturned, DebitSettled, DebitSubmitted
from shared.ids import new_id
from tests.billing.desk import FORTNIGHTLY, PARTS, Studio, debit
from tests.harness.terms import FIRST_DUE

pytestmark = pytest.mark.servers

DUE, RETURNED, RETRIED = date(2022, 9, 27), date(2022, 9, 30), date(2022, 10, 5)


async def standing_of(studio: Studio, invoice_id: UUID, position: int) -> dict[str, Any]:
    part: dict[str, Any] = (await studio.read(f"invoices/{invoice_id}"))["instalments"][position]
    return part


async def entries_of(studio: Studio, instalment_id: UUID) -> list[tuple[str, dict[str, int]]]:
    """The journal of an instalment: dates, and what was moved."""
    entries = (await studio.read("journal"))["items"]
    return [
        (entry["entry_date"], {side["account"]: side["amount_minor"] for side in entry["postings"]})
        for entry in entries
        if entry["instalment_id"] == str(instalment_id)
    ]


async def test_a_return_and_its_retry_leave_three_entries_and_the_right_balance_on_each_day(studio: Studio) -> None:
    """V-17, the money of it (R-34)."""
    issued = await studio.owed(**PARTS)
    await studio.day(DUE)
    part, first, second = issued.instalments[1].instalment_id, new_id(), new_id()
    amount = issued.instalments[1].amount_minor
    settled: dict[str, Any] = {"collected": amount, "attempt_no": 2}
    told = [
        (DUE, debit(DebitSubmitted, first, 1, part, in_flight=amount)),
        (DUE, debit(DebitSettled, first, 2, part, collected=amount)),
        (RETURNED, debit(DebitReturned, first, 3, part, next_attempt=RETRIED)),
        (RETRIED, debit(DebitSubmitted, second, 1, part, in_flight=amount, attempt_no=2)),
        (RETRIED, debit(DebitSettled, second, 2, part, **settled)),
        (RETRIED + timedelta(days=5), debit(DebitSettled, second, 3, part, final=True, **settled)),
    ]
    reads = []
    for on, event in told:
        await studio.clock(on)
        await studio.hear(event, event, on=on)
        shown = await standing_of(studio, issued.invoice_id, 1)
        reads.append((shown["label"], shown["open_minor"], shown["next_attempt_date"]))
        await studio.whole()
    assert reads == [
        ("paid_uncleared", amount, None),
        ("paid", 0, None),
        ("overdue", amount, str(RETRIED)),
        ("paid_uncleared", amount, None),
        ("paid", 0, None),
        ("paid_final", 0, None),
    ]
    assert await entries_of(studio, part) == [
        (str(DUE), {"cash": amount, "receivable": -amount}),
        (str(RETURNED), {"receivable": amount, "cash": -amount}),
        (str(RETRIED), {"cash": amount, "receivable": -amount}),
    ]
    (failed,) = await studio.told(CollectionFailed)
    assert (failed.what, failed.final, failed.next_attempt_date, failed.amount_minor) == (
        "returned",
        False,
        RETRIED,
        amount,
    )
    debits = (await studio.read(f"invoices/{issued.invoice_id}"))["debits"]
    assert [(fact["state"], fact["fact_date"], fact["code"], fact["next_attempt_date"]) for fact in debits[1:4]] == [
        ("settled", str(DUE), None, None),
        ("returned", str(RETURNED), "6", str(RETRIED)),
        ("submitted", str(RETRIED), None, None),
    ]


async def test_every_order_of_a_return_and_its_retry_ends_alike(studio: Studio) -> None:
    """All 120 of them side by side, each fact told twice."""
    orders = list(permutations(range(5)))
    await studio.hear(*(studio.sale(**FORTNIGHTLY) for _ in orders))
    issued: list[InvoiceIssued] = await studio.told(InvoiceIssued)
    told = [_return_and_retry(invoice.instalments[0].instalment_id) for invoice in issued]
    for turn in range(5):
        batch = [facts[order[turn]] for facts, order in zip(told, orders, strict=True)]
        await asyncio.gather(*(studio.hear(*batch[start::4], *batch[start::4]) for start in range(4)))
    failed: list[CollectionFailed] = await studio.told(CollectionFailed)
    shown = {invoice["number"]: invoice for invoice in await _pages(studio)}
    for invoice, order in zip(issued, orders, strict=True):
        seen = shown[invoice.number]
        assert (seen["label"], seen["open_minor"], seen["in_flight_minor"]) == ("paid", 0, 0), order
        tellings = [each for each in failed if each.invoice_id == invoice.invoice_id]
        assert len(tellings) == (order.index(2) < order.index(4)), order
    await studio.whole()
    before = await _pages(studio)
    await studio.hear(*(fact for facts in told for fact in facts))
    assert await _pages(studio) == before
    assert len(await studio.told(CollectionFailed)) == len(failed)


def _return_and_retry(part: UUID) -> list[DebitEvent]:
    first, second = new_id(), new_id()
    return [
        debit(DebitSubmitted, first, 1, part, in_flight=30000),
        debit(DebitSettled, first, 2, part, collected=30000),
        debit(DebitReturned, first, 3, part, next_attempt=RETRIED),
        debit(DebitSubmitted, second, 1, part, in_flight=30000, attempt_no=2),
        debit(DebitSettled, second, 2, part, collected=30000, attempt_no=2),
    ]


async def _pages(studio: Studio) -> list[Any]:
    page = await studio.read("invoices", limit=100)
    rest = await studio.read("invoices", limit=100, cursor=page["next_cursor"])
    return [*page["items"], *rest["items"]]


async def test_a_claim_takes_final_money_back_and_its_withdrawal_brings_it_again(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part, debit_id = issued.instalments[0].instalment_id, new_id()
    reads = []
    for event in (
        debit(DebitSettled, debit_id, 2, part, collected=30000, final=True),
        debit(DebitClaimed, debit_id, 3, part),
        debit(DebitSettled, debit_id, 4, part, collected=30000, final=True),
    ):
        await studio.hear(event)
        reads.append((await standing_of(studio, issued.invoice_id, 0))["label"])
        await studio.whole()
    assert reads == ["paid_final", "due", "paid_final"]
    (failed,) = await studio.told(CollectionFailed)
    assert (failed.what, failed.reason_class, failed.final) == ("claimed", "hard", True)
    assert len(await entries_of(studio, part)) == 3
    claimed = (await studio.read(f"invoices/{issued.invoice_id}"))["debits"][1]
    assert (claimed["state"], claimed["code"], claimed["reason_class"]) == ("claimed", "disputed", None)


async def test_a_claim_that_is_heard_after_its_withdrawal_tells_nobody(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part, debit_id = issued.instalments[0].instalment_id, new_id()
    await studio.hear(debit(DebitSettled, debit_id, 4, part, collected=30000))
    await studio.hear(debit(DebitClaimed, debit_id, 3, part))
    assert await studio.told(CollectionFailed) == []
    assert (await standing_of(studio, issued.invoice_id, 0))["label"] == "paid"
    await studio.whole()


async def test_a_resubmission_that_fails_too_is_told_although_the_first_failure_was_heard_late(studio: Studio) -> None:
    """The provider tries again by itself: its first return is heard when the money is on its way once more."""
    issued = await studio.owed(**FORTNIGHTLY)
    part, debit_id = issued.instalments[0].instalment_id, new_id()
    await studio.hear(debit(DebitSubmitted, debit_id, 4, part, in_flight=30000))
    await studio.hear(debit(DebitReturned, debit_id, 3, part))
    assert await studio.told(CollectionFailed) == []
    last = debit(DebitReturned, debit_id, 5, part)
    await asyncio.gather(*(studio.hear(last) for _ in range(3)))
    assert len(await studio.told(CollectionFailed)) == 1
    assert (await standing_of(studio, issued.invoice_id, 0))["open_minor"] == 30000
    await studio.whole()


async def test_what_was_paid_by_hand_meanwhile_is_kept_and_its_return_is_no_debt(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part, debit_id = issued.instalments[0].instalment_id, new_id()
    await studio.hear(debit(DebitSubmitted, debit_id, 1, part, in_flight=30000))
    await studio.pay(issued.invoice_id, 30000)
    await studio.hear(debit(DebitSettled, debit_id, 2, part, collected=30000))
    await studio.hear(debit(DebitReturned, debit_id, 3, part), on=FIRST_DUE + timedelta(days=3))
    assert (await standing_of(studio, issued.invoice_id, 0))["open_minor"] == 0
    assert await studio.told(CollectionFailed) == []
    assert (await entries_of(studio, part))[-1][1] == {"account_balance": 30000, "cash": -30000}
    await studio.whole()
