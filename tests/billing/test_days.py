"""The day chain in billing, on PostgreSQL: every date once, in order, whatever comes late or at the same time."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.billing.actions import daily, falling_due
from shared.database import Context
from shared.events.billing import CollectionRequested, DayBilled, InvoiceIssued, PeriodOpened
from shared.events.catalog import BusinessDayStarted
from shared.ids import new_id
from tests.billing.desk import FORTNIGHTLY, Studio, closure
from tests.harness.terms import FIRST_DUE, POST_BILL, SALE

pytestmark = pytest.mark.servers

MISSED = date(2022, 10, 12)
SECOND, THIRD = date(2022, 9, 27), date(2022, 10, 11)
MONTHLY: dict[str, Any] = FORTNIGHTLY | {"frequency": "monthly"}


async def books(studio: Studio) -> list[Any]:
    """Invoices with their dates, and every instalment: what a run leaves behind, without its ids."""
    async with studio.billing.inside(studio.business_id) as db:
        rows = await db.execute(
            text(
                "select number, period_index, issued_date, total_minor, position, due_date, amount_minor, state,"
                " collection_version from invoices join instalments using (invoice_id) order by number, position"
            )
        )
        return [tuple(row) for row in rows]


async def test_an_open_ended_package_is_invoiced_and_opens_a_period_on_each_due_date(studio: Studio) -> None:
    """V-04."""
    issued = await studio.owed(**FORTNIGHTLY)
    assert [part.due_date for part in issued.instalments] == [FIRST_DUE], "one instalment exists"
    await studio.day(SECOND - timedelta(days=1))
    assert len(await studio.told(InvoiceIssued)) == 1
    await studio.day(SECOND)
    first, second = await studio.told(InvoiceIssued)
    assert (second.number, second.total_minor, second.instalments[0].due_date) == (2, 30000, SECOND)
    (opened,) = await studio.told(PeriodOpened)
    assert (opened.package_id, opened.period_index, opened.due_date) == (first.package_id, 2, SECOND)
    asked = await studio.told(CollectionRequested)
    assert [(each.collect_date, each.run_date) for each in asked] == [(FIRST_DUE, None), (SECOND, SECOND)]
    await studio.whole()


async def test_a_fixed_term_opens_its_periods_and_no_more(studio: Studio) -> None:
    await studio.owed(form="recurring", price_minor=30000, frequency="fortnightly", term_weeks=4)
    await studio.day(MISSED)
    assert [opened.period_index for opened in await studio.told(PeriodOpened)] == [2]
    assert len(await studio.told(InvoiceIssued)) == 1
    assert [row[7] for row in await books(studio)] == ["due", "due"]
    await studio.whole()


async def test_missed_days_are_billed_in_order_each_under_its_own_date(studio: Studio) -> None:
    """V-05: nothing ran from 20/9 to 12/10."""
    await studio.owed(**FORTNIGHTLY)
    await studio.day(date(2022, 9, 19))
    await studio.day(MISSED)
    assert [(row[1], row[2]) for row in await books(studio)] == [(1, FIRST_DUE), (2, SECOND), (3, THIRD)]
    caught_up = [day for day in await studio.told(DayBilled) if day.business_date > date(2022, 9, 19)]
    assert [day.business_date for day in caught_up] == [date(2022, 9, 20) + timedelta(days=n) for n in range(23)]
    assert {day.since_date for day in caught_up} == {date(2022, 9, 20)}
    assert [day.business_date for day in caught_up if day.current] == [MISSED]
    assert [day.business_date for day in caught_up if day.collections_requested] == [SECOND, THIRD]
    again = await books(studio)
    await studio.day(MISSED)
    assert await books(studio) == again
    await studio.whole()


async def test_three_runs_at_once_end_as_one(studio: Studio) -> None:
    """R-09."""
    for _ in range(5):
        await studio.owed(**FORTNIGHTLY)
    context = Context(studio.business_id, "service:billing")

    async def run() -> None:
        more = True
        while more:
            async with studio.billing.running.database.transaction() as db:
                await db.enter(context)
                more = await daily.bill_next(db)

    await studio.hear(BusinessDayStarted(business_id=studio.business_id, business_date=MISSED), on=MISSED)
    await asyncio.gather(*(run() for _ in range(3)))
    assert len(await books(studio)) == 15
    days = [day.business_date for day in await studio.told(DayBilled)]
    assert days == [FIRST_DUE + timedelta(days=n) for n in range(30)]
    await studio.whole()


async def test_a_jump_ends_as_daily_steps_do(studio: Studio) -> None:
    other = Studio(studio.billing, await studio.billing.business(), new_id(), new_id())
    await other.day(FIRST_DUE)
    for each in (studio, other):
        await each.owed(**FORTNIGHTLY)
        await each.owed(**MONTHLY)
        await each.owed(form="instalments", price_minor=110000, instalment_count=5, frequency="weekly")
    await studio.day(FIRST_DUE + timedelta(days=75))
    for step in (1, 2, 3, 20, 21, 40, 75):
        await other.day(FIRST_DUE + timedelta(days=step))
    jumped, walked = [sorted(row[1:] for row in await books(each)) for each in (studio, other)]
    assert jumped == walked
    assert len(jumped) == 1 + 5 + 1 + 2 + 5


async def test_a_late_sale_is_billed_for_the_days_that_are_over(studio: Studio) -> None:
    """A sale that the run has overtaken: each period under its own due date, by the run's own statement."""
    await studio.day(MISSED)
    sale = studio.sale(**FORTNIGHTLY)
    await studio.hear(sale, on=SALE)
    assert [(row[1], row[2], row[7]) for row in await books(studio)] == [
        (1, SALE, "due"),
        (2, SECOND, "due"),
        (3, THIRD, "due"),
    ]
    assert [opened.period_index for opened in await studio.told(PeriodOpened)] == [2, 3]
    assert [each.collect_date for each in await studio.told(CollectionRequested)] == [FIRST_DUE, SECOND, THIRD]
    await studio.whole()


async def test_a_sale_during_the_run_is_never_missed(studio: Studio) -> None:
    """Sales go on while days are billed: whoever comes second sees what the first has done."""
    sales = [studio.sale(**FORTNIGHTLY) for _ in range(20)]
    await asyncio.gather(studio.day(MISSED), *(studio.hear(sale, on=SALE) for sale in sales))
    assert len(await books(studio)) == 60
    await studio.whole()


async def test_a_chunk_thought_dead_bills_nothing_twice(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run stalls inside a chunk, another is started in its place, then the first goes on."""
    monkeypatch.setattr(daily, "AT_ONCE", 2)
    monkeypatch.setattr(falling_due, "AT_ONCE", 2)
    for _ in range(5):
        await studio.owed(**FORTNIGHTLY)
    context = Context(studio.business_id, "service:billing")
    database = studio.billing.running.database
    async with database.transaction() as db:
        await db.enter(replace(context, business_date=SECOND))
        await daily.start_days(db, SECOND)
        await db.execute(text("delete from work where kind = 'bill_days'"))

    async def rest() -> None:
        more = True
        while more:
            async with database.transaction() as db:
                await db.enter(context)
                more = await daily.bill_next(db)

    async with database.transaction() as stalled:
        await stalled.enter(context)
        assert await daily.bill_next(stalled)
        another = asyncio.create_task(rest())
        await asyncio.sleep(0.2)
        assert not another.done(), "it waits for the row"
    await another
    assert len(await books(studio)) == 10
    await studio.whole()


async def test_a_close_before_the_due_date_takes_back_what_the_run_made(studio: Studio) -> None:
    """The close was made on 26/9 and is heard after the run of 27/9: the dates decide."""
    sale = studio.sale(**FORTNIGHTLY)
    await studio.hear(sale, on=SALE)
    await studio.day(SECOND)
    await studio.hear(closure(sale, []), on=SECOND - timedelta(days=1))
    labels = [invoice["label"] for invoice in (await studio.read("invoices"))["items"]]
    assert labels == ["due", "void"]
    last = (await studio.told(CollectionRequested))[-1]
    assert (last.version, last.target_minor) == (2, 0)
    await studio.day(MISSED)
    assert len(await books(studio)) == 2, "no period falls due any more"
    await studio.whole()


async def test_a_close_that_is_heard_before_the_run_stops_the_same_periods(studio: Studio) -> None:
    sale = studio.sale(**FORTNIGHTLY)
    await studio.hear(sale, closure(sale, []), on=SECOND)
    await studio.day(MISSED)
    assert [row[1] for row in await books(studio)] == [1, 2], "27/9 had begun when it was closed"
    await studio.whole()


async def test_a_closure_heard_before_its_day_is_billed_falls_due_with_it(studio: Studio) -> None:
    sale = studio.sale(**POST_BILL)
    await studio.hear(sale, closure(sale, ["attended"]), on=FIRST_DUE + timedelta(days=1))
    assert await studio.told(CollectionRequested) == []
    await studio.day(FIRST_DUE + timedelta(days=1))
    (asked,) = await studio.told(CollectionRequested)
    assert (asked.target_minor, asked.run_date) == (6000, FIRST_DUE + timedelta(days=1))
    await studio.whole()


async def test_a_close_stops_the_parts_of_a_fixed_term_that_will_bring_no_sessions(studio: Studio) -> None:
    sale = studio.sale(form="recurring", price_minor=30000, frequency="fortnightly", term_weeks=6)
    await studio.hear(sale, on=SALE)
    await studio.hear(closure(sale, []), on=SECOND)
    await studio.day(MISSED)
    assert [row[7] for row in await books(studio)] == ["due", "due", "void"]
    assert [opened.period_index for opened in await studio.told(PeriodOpened)] == [2]
    billing = (await studio.read(f"packages/{sale.package_id}/billing"))["billing"]
    assert (billing["invoiced_minor"], billing["open_minor"]) == (60000, 60000)
    await studio.whole()
