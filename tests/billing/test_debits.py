"""What billing makes of debits, on PostgreSQL."""

import asyncio
from itertools import permutations

import pytest

from shared.events.billing import CollectionFailed
from shared.events.directdebit import DebitDeclined, DebitSettled, DebitSubmitted
from shared.ids import new_id
from tests.billing.desk import FORTNIGHTLY, Studio, debit, waiting
from tests.harness.room import Room

pytestmark = pytest.mark.servers


async def test_a_debit_in_flight_reads_paid_uncleared_then_paid_then_final(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part, debit_id = issued.instalments[0].instalment_id, new_id()
    reads = []
    for event in (
        debit(DebitSubmitted, debit_id, 1, part, in_flight=30000),
        debit(DebitSettled, debit_id, 2, part, collected=30000),
        debit(DebitSettled, debit_id, 3, part, collected=30000, final=True),
    ):
        await studio.hear(event)
        shown = await studio.read(f"invoices/{issued.invoice_id}")
        reads.append((shown["label"], shown["open_minor"], shown["in_flight_minor"], shown["instalments"][0]["state"]))
        await studio.whole()
    assert reads == [
        ("paid_uncleared", 30000, 30000, "due"),
        ("paid", 0, 0, "paid"),
        ("paid_final", 0, 0, "paid"),
    ]
    assert [(fact["state"], fact["final"]) for fact in shown["debits"]] == [
        ("submitted", False),
        ("settled", False),
        ("settled", True),
    ]
    entries = (await studio.read("journal"))["items"]
    assert [{side["account"]: side["amount_minor"] for side in entry["postings"]} for entry in entries] == [
        {"receivable": 30000, "sales": -30000},
        {"cash": 30000, "receivable": -30000},
    ]


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_a_decline_and_its_next_debit_end_the_same_in_any_order(studio: Studio, order: tuple[int, ...]) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part, first, second = issued.instalments[0].instalment_id, new_id(), new_id()
    told = [
        debit(DebitSubmitted, first, 1, part, in_flight=30000),
        debit(DebitDeclined, first, 2, part),
        debit(DebitSubmitted, second, 1, part, in_flight=30000, attempt_no=2),
        debit(DebitSettled, second, 2, part, collected=30000, attempt_no=2),
    ]
    for position in order:
        await studio.hear(told[position], told[order[0]])
    shown = await studio.read(f"invoices/{issued.invoice_id}")
    assert (shown["label"], shown["open_minor"], shown["in_flight_minor"]) == ("paid", 0, 0)
    assert [fact["state"] for fact in shown["debits"]] == ["submitted", "declined", "submitted", "settled"]
    assert len(await studio.told(CollectionFailed)) == (order.index(1) < order.index(3))
    await studio.whole()


@pytest.mark.parametrize("declined_first", [True, False])
async def test_a_decline_is_told_once(studio: Studio, declined_first: bool) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part, debit_id = issued.instalments[0].instalment_id, new_id()
    told = [
        debit(DebitSubmitted, debit_id, 1, part, in_flight=30000),
        debit(DebitDeclined, debit_id, 2, part),
    ]
    await studio.hear(*(reversed(told) if declined_first else told))
    await asyncio.gather(*(studio.hear(event) for event in told * 3))
    (failed,) = await studio.told(CollectionFailed)
    assert (failed.invoice_number, failed.amount_minor, failed.attempt_no, failed.final) == (1, 30000, 1, True)
    shown = await studio.read(f"invoices/{issued.invoice_id}")
    assert (shown["label"], shown["open_minor"], shown["in_flight_minor"]) == ("due", 30000, 0)
    await studio.whole()


async def test_one_debit_pays_the_instalments_of_several_invoices(studio: Studio) -> None:
    parts = [(await studio.owed(**FORTNIGHTLY)).instalments[0].instalment_id for _ in range(3)]
    await studio.hear(debit(DebitSettled, new_id(), 2, *parts, collected=30000))
    assert [invoice["label"] for invoice in (await studio.read("invoices"))["items"]] == ["paid"] * 3
    await studio.whole()


async def test_a_debit_of_what_was_never_owed_waits_for_a_person(studio: Studio, billing: Room) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part = issued.instalments[0].instalment_id
    await studio.hear(debit(DebitSettled, new_id(), 1, part, new_id(), collected=30000))
    await studio.hear(debit(DebitSettled, new_id(), 1, part, collected=30000, currency="EUR"))
    assert await waiting(studio) == ["Reject", "Reject"]
    other = Studio(billing, await billing.business(), new_id(), new_id())
    await other.hear(debit(DebitSettled, new_id(), 1, part, collected=30000))
    assert await waiting(other) == ["Reject"]
    assert (await studio.read(f"invoices/{issued.invoice_id}"))["open_minor"] == 30000
