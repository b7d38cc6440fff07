"""The day's run, which is SQL, against the rules, which are not: the same dates, invoices, periods and requests."""

from datetime import date, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from services.billing.rules import invoicing
from services.billing.tables.packages import BilledPackage
from shared.events.billing import CollectionRequested, InvoiceIssued, PeriodOpened
from shared.events.packages import PackageSold
from shared.ids import new_id
from shared.schedule import due_date
from tests.billing.desk import FORTNIGHTLY, Studio, closure
from tests.harness.room import Room
from tests.harness.terms import FIRST_DUE, SALE

pytestmark = pytest.mark.servers

FREQUENCIES = st.sampled_from(["weekly", "fortnightly", "monthly"])
TERMS = st.fixed_dictionaries(
    {
        "form": st.just("recurring"),
        "frequency": FREQUENCIES,
        "term_weeks": st.sampled_from([0, 0, 2, 4, 12]),
        "price_minor": st.sampled_from([0, 1, 30000]),
        "auto_pay": st.booleans(),
        "first_due": st.dates(SALE, SALE + timedelta(days=60)),
    }
)
CLOSED = st.none() | st.integers(0, 90)
"""After how many days a package is closed, if it is."""

Told = tuple[set[Any], set[Any], set[Any]]
"""What was invoiced, opened and asked for: by package, date and amount."""


def by_the_rules(sales: list[tuple[PackageSold, int | None]], until: date) -> Told:
    """The same life, period by period."""
    invoiced, opened, asked = set[Any](), set[Any](), set[Any]()
    for sold, closed in sales:
        package = BilledPackage(
            **{name: getattr(sold.terms, name) for name in ("form", "frequency", "term_weeks", "price_minor", "name")},
            package_id=sold.package_id,
            first_due_date=sold.first_due_date,
            ended_date=None if closed is None else SALE + timedelta(days=closed),
        )
        bills = [invoicing.bill_sale(sold)]
        package.next_index, package.next_due_date = 2, invoicing.next_due(package, 2)
        while package.next_due_date and package.next_due_date <= until:
            period, bill, following = invoicing.open_period(package)
            opened.add((sold.package_id, period.period_index, period.due_date))
            bills.append(bill)
            package.next_index, package.next_due_date = package.next_index + 1, following
        for bill in filter(None, bills):
            invoiced.add((sold.package_id, bill.dated[0][0], bill.total_minor))
            ended = package.ended_date or date.max
            owed = bill.dated[:1] + [dated for dated in bill.dated[1:] if dated[0] <= ended]
            asked |= {(sold.package_id, *dated) for dated in owed if sold.auto_pay and dated[0] <= until}
    return invoiced, opened, asked


async def by_the_run(studio: Studio) -> Told:
    issued: list[InvoiceIssued] = await studio.told(InvoiceIssued)
    package_of = {part.instalment_id: each.package_id for each in issued for part in each.instalments}
    asked: list[CollectionRequested] = await studio.told(CollectionRequested)
    opened: list[PeriodOpened] = await studio.told(PeriodOpened)
    return (
        {(each.package_id, each.instalments[0].due_date, each.total_minor) for each in issued},
        {(each.package_id, each.period_index, each.due_date) for each in opened},
        {(package_of[each.instalment_id], each.collect_date, each.target_minor) for each in asked},
    )


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders=st.lists(st.tuples(TERMS, CLOSED), min_size=1, max_size=8), until=st.integers(1, 100))
async def test_the_run_does_what_the_rules_say(
    billing: Room, orders: list[tuple[dict[str, Any], int | None]], until: int
) -> None:
    studio = Studio(billing, await billing.business(), new_id(), new_id())
    sales = [(studio.sale(**terms), closed) for terms, closed in orders]
    last = SALE + timedelta(days=until)
    for sold, closed in sales:
        await studio.hear(sold, on=SALE)
        if closed is not None:
            await studio.hear(closure(sold, []), on=SALE + timedelta(days=closed))
    await studio.day(last)
    assert await by_the_run(studio) == by_the_rules(sales, last)
    await studio.whole()


@given(first=st.dates(date(2000, 1, 1), date(2090, 1, 1)))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_database_reckons_the_same_dates(studio: Studio, first: date) -> None:
    reckon = text(
        "select frequency, nth, due_date(:first, frequency, nth) due from generate_series(1, 60) nth,"
        " unnest(array['weekly', 'fortnightly', 'monthly']) frequency"
    )
    async with studio.billing.inside(studio.business_id) as db:
        for row in await db.execute(reckon, {"first": first}):
            assert row.due == due_date(first, row.frequency, row.nth), row


async def test_a_fact_written_by_the_run_looks_like_any_other(studio: Studio) -> None:
    await studio.owed(**FORTNIGHTLY)
    await studio.day(FIRST_DUE + timedelta(days=14))
    async with studio.billing.running.database.transaction() as db:
        rows = await db.execute(
            text(
                "select event_id, type, subject, envelope from event_log where business_id = :id union all"
                " select event_id, type, subject, envelope from outbox where business_id = :id order by event_id"
            ),
            {"id": studio.business_id},
        )
        facts = [(row, orjson.loads(row.envelope)) for row in rows]
    for row, envelope in facts:
        assert (str(row.event_id), row.type, row.subject) == (envelope["id"], envelope["type"], envelope["subject"])
        assert envelope["businessid"] == str(studio.business_id)
    for kind in (InvoiceIssued, CollectionRequested):
        at_the_sale, by_the_run = [envelope for row, envelope in facts if row.type == kind.type]
        assert at_the_sale.keys() - {"causationid"} == by_the_run.keys() - {"causationid"}
        assert at_the_sale["data"].keys() == by_the_run["data"].keys()
        assert by_the_run["businessdate"] == "2022-09-27"
        assert by_the_run["causationid"], "the day that started is the cause"
