"""Auto-pay of a package, switched while it runs, on PostgreSQL."""

import asyncio
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.events.billing import CollectionRequested, InvoiceIssued
from shared.events.directdebit import DebitReturned, DebitSettled, DebitSubmitted
from shared.events.packages import AutoPaySwitched
from shared.ids import new_id
from tests.billing.desk import FORTNIGHTLY, PARTS, Studio, debit
from tests.harness.terms import FIRST_DUE, POST_BILL, SALE

pytestmark = pytest.mark.servers

SECOND, THIRD = date(2022, 9, 27), date(2022, 10, 11)


async def asked(studio: Studio, instalment_id: UUID) -> list[tuple[int, int]]:
    """The versions and targets of what was asked for an instalment."""
    requests: list[CollectionRequested] = await studio.told(CollectionRequested)
    return [(each.version, each.target_minor) for each in requests if each.instalment_id == instalment_id]


@pytest.mark.behaviour("EZ-11")
async def test_switched_off_nothing_open_is_asked_for_and_switched_on_what_is_due(studio: Studio) -> None:
    """R-40; another package of the same payer goes on as it was sold."""
    issued, other = await studio.owed(**PARTS), await studio.owed(**PARTS)
    await studio.day(SECOND)
    first, second, third, *_ = (part.instalment_id for part in issued.instalments)
    await studio.hear(debit(DebitSettled, new_id(), 2, first, collected=22000))
    for _ in range(2):
        shown = await studio.switch(issued.package_id, False)
        assert shown["auto_pay"] is False
    assert await asked(studio, first) == [(1, 22000)], "it is paid"
    assert await asked(studio, second) == [(1, 22000), (2, 0)]
    await studio.day(THIRD)
    assert await asked(studio, third) == []
    assert [await asked(studio, part.instalment_id) for part in other.instalments[:3]] == [[(1, 22000)]] * 3
    await studio.whole()
    for _ in range(2):
        assert (await studio.switch(issued.package_id, True))["auto_pay"] is True
    assert [await asked(studio, part) for part in (first, second, third)] == [
        [(1, 22000)],
        [(1, 22000), (2, 0), (3, 22000)],
        [(1, 22000)],
    ]
    requests: list[CollectionRequested] = await studio.told(CollectionRequested)
    assert [(each.collect_date, each.run_date) for each in requests[-2:]] == [(SECOND, None), (THIRD, None)]
    await studio.day(issued.instalments[3].due_date)
    assert await asked(studio, issued.instalments[3].instalment_id) == [(1, 22000)]
    await studio.whole()


async def test_later_periods_follow_the_package(studio: Studio) -> None:
    sold = await studio.owed(**FORTNIGHTLY)
    await studio.switch(sold.package_id, False)
    await studio.day(SECOND)
    await studio.switch(sold.package_id, True)
    await studio.day(THIRD)
    issued: list[InvoiceIssued] = await studio.told(InvoiceIssued)
    assert [await asked(studio, each.instalments[0].instalment_id) for each in issued] == [
        [(1, 30000), (2, 0), (3, 30000)],
        [(1, 30000)],
        [(1, 30000)],
    ]
    await studio.whole()


async def test_a_payment_by_hand_after_it_was_switched_off_asks_for_nothing(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part = issued.instalments[0].instalment_id
    await studio.switch(issued.package_id, False)
    await studio.pay(issued.invoice_id, 10000)
    assert await asked(studio, part) == [(1, 30000), (2, 0)]
    await studio.switch(issued.package_id, True)
    assert (await asked(studio, part))[-1] == (3, 20000)
    await studio.whole()


async def test_what_was_paid_and_is_lost_after_it_was_switched_off_is_not_collected_again(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part, debit_id = issued.instalments[0].instalment_id, new_id()
    await studio.hear(debit(DebitSettled, debit_id, 2, part, collected=30000))
    await studio.switch(issued.package_id, False)
    assert await asked(studio, part) == [(1, 30000)]
    lost = debit(DebitReturned, debit_id, 3, part, next_attempt=FIRST_DUE + timedelta(days=5))
    await studio.hear(lost, lost)
    assert await asked(studio, part) == [(1, 30000), (2, 0)]
    (shown,) = (await studio.read(f"invoices/{issued.invoice_id}"))["instalments"]
    assert (shown["open_minor"], shown["next_attempt_date"]) == (30000, None)
    await studio.whole()


async def test_what_was_sent_before_it_was_switched_off_goes_on(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part, debit_id = issued.instalments[0].instalment_id, new_id()
    await studio.hear(debit(DebitSubmitted, debit_id, 1, part, in_flight=30000))
    await studio.switch(issued.package_id, False)
    await studio.hear(debit(DebitSettled, debit_id, 2, part, collected=30000, final=True))
    assert await asked(studio, part) == [(1, 30000), (2, 0)]
    assert (await studio.read(f"invoices/{issued.invoice_id}"))["label"] == "paid_final"
    await studio.whole()


async def test_switching_while_debits_and_payments_come_ends_as_the_package_says(studio: Studio) -> None:
    """Whoever comes second sees what the first has done: an invariant compares what is asked for at the end."""
    issued = await studio.owed(**PARTS)
    await studio.day(THIRD)
    for turn in range(6):
        debit_id, part = new_id(), issued.instalments[turn % 3].instalment_id
        await studio.hear(debit(DebitSettled, debit_id, 2, part, collected=10000))
        await asyncio.gather(
            studio.switch(issued.package_id, bool(turn % 2)),
            studio.hear(debit(DebitReturned, debit_id, 3, part)),
            studio.pay(issued.invoice_id, 1000),
            studio.switch(issued.package_id, bool(turn % 2)),
            studio.day(THIRD + timedelta(days=turn)),
        )
        await studio.whole()


async def test_a_post_billed_package_shows_it_while_it_tells_nothing_else(studio: Studio) -> None:
    sale = studio.sale(**POST_BILL)
    await studio.hear(sale, on=SALE)
    shown: Any = await studio.switch(sale.package_id, False)
    assert shown == {"package_id": str(sale.package_id), "auto_pay": False, "billing": None}


async def test_switches_count_by_their_version_and_not_as_they_come(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    part = issued.instalments[0].instalment_id
    switches = [
        AutoPaySwitched(package_id=issued.package_id, auto_pay=bool(version % 2 == 0), version=version)
        for version in (1, 2, 3)
    ]
    await studio.hear(*reversed(switches), *switches)
    assert (await studio.read(f"packages/{issued.package_id}/billing"))["auto_pay"] is False
    assert await asked(studio, part) == [(1, 30000), (2, 0)]
    await studio.whole()
