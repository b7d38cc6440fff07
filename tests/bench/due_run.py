"""S5: a day of billing for very many packages, beside the raw SQL of the same rows.

Both write the same invoices, lines, instalments, journal and facts into the same tables, under the same constraints and
triggers, alternately, each time for a business of its own. The raw SQL is given every id, number and text ready-made.
"""

import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from uuid import UUID

from sqlalchemy import text

from services.billing.actions import daily
from shared.database import Context, Database, Db
from shared.ids import new_id
from shared.migrations import migrate
from tests.bench.figures import Figure, Found, Goal, Pairs
from tests.bench.place import Place

DUE, YESTERDAY = date(2022, 9, 27), date(2022, 9, 26)

SOLD = text(
    "insert into billed_packages (package_id, business_id, client_id, payer_id, name, post_bill, form, price_minor,"
    " currency, frequency, term_weeks, first_due_date, auto_pay, next_index, next_due_date)"
    " select package_id, :business_id, payer_id, payer_id, '6 sessions a fortnight', false, 'recurring', 30000, 'AUD',"
    " 'fortnightly', 0, '2022-09-13', true, 2, :due"
    " from unnest(cast(:packages as uuid[]), cast(:payers as uuid[])) as given (package_id, payer_id)"
)
BEGUN = text(
    "insert into daily_runs (business_id, last_done, target, since_date, collections_requested)"
    " values (:business_id, :yesterday, :due, :due, 0)"
)
READY = """
create temp table ready as select p.*, row_number() over (order by package_id)::int as number,
  new_id() invoice_id, new_id() instalment_id, new_id() entry_id, new_id() first_id, new_id() second_id,
  new_id() third_id, repeat('x', 950) issued, repeat('x', 480) opened, repeat('x', 600) asked
from billed_packages p;
analyze ready
"""
RAW = """
insert into invoice_counters (business_id, last_number) select business_id, max(number) from ready group by 1;
insert into invoices (invoice_id, business_id, number, package_id, period_index, client_id, payer_id, total_minor,
  currency, issued_date)
select invoice_id, business_id, number, package_id, 2, client_id, payer_id, price_minor, currency, next_due_date
from ready;
insert into invoice_lines (invoice_id, business_id, position, description, amount_minor)
select invoice_id, business_id, 1, name, price_minor from ready;
insert into instalments (instalment_id, business_id, invoice_id, position, due_date, amount_minor, paid_minor, state,
  collection_version)
select instalment_id, business_id, invoice_id, 1, next_due_date, price_minor, 0, 'due', 1 from ready;
insert into journal_entries (entry_id, business_id, invoice_id, entry_date)
select entry_id, business_id, invoice_id, next_due_date from ready;
insert into postings (entry_id, business_id, account, amount_minor, currency)
select entry_id, business_id, account, sign * price_minor, currency
from ready cross join (values ('receivable', 1), ('sales', -1)) side (account, sign);
insert into outbox (event_id, business_id, type, subject, envelope)
select first_id, business_id, 'billing.invoice_issued.v1', invoice_id, issued from ready
union all select second_id, business_id, 'billing.period_opened.v1', package_id, opened from ready
union all select third_id, business_id, 'billing.collection_requested.v1', instalment_id, asked from ready;
update billed_packages set next_index = 3, next_due_date = '2022-10-11'
"""


async def sold(database: Database, packages: int) -> Context:
    """A new business with so many packages, all due on one date."""
    context = Context(new_id(), "service:bench", business_date=DUE)
    async with database.transaction() as db:
        await db.enter(context)
        of_business = {"business_id": context.business_id, "due": DUE}
        await db.execute(text("set local statement_timeout = 0"))
        ids = {name: [new_id() for _ in range(packages)] for name in ("packages", "payers")}
        await db.execute(SOLD, of_business | ids)
        await db.execute(BEGUN, of_business | {"yesterday": YESTERDAY})
    await _vacuum(database)
    return context


async def _vacuum(database: Database) -> None:
    """As autovacuum would have it by the next day."""
    async with database.engine.connect() as connection:
        raw = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await raw.execute(text("delete from outbox"))
        await raw.execute(text("vacuum analyze"))


async def run(database: Database, context: Context) -> float:
    began, more = time.monotonic(), True
    while more:
        async with database.transaction() as db:
            await db.enter(context)
            more = await daily.bill_next(db)
    return time.monotonic() - began


async def _raw(database: Database, context: Context) -> float:
    async with database.transaction() as db:
        await db.enter(context)
        await _unhurried(db, READY)
        began = time.monotonic()
        await _unhurried(db, RAW)
        await database.commit(db)
        took = time.monotonic() - began
        await db.execute(text("drop table ready"))
    return took


async def _unhurried(db: Db, script: str) -> None:
    await db.execute(text("set local statement_timeout = 0"))
    for statement in script.split(";"):
        await db.execute(text(statement))


async def _written(database: Database, business_id: UUID) -> list[int]:
    """How many rows of each kind a business has: the two must have written the same."""
    async with database.transaction() as db:
        await db.enter(Context(business_id, "service:bench"))
        tables = ("invoices", "invoice_lines", "instalments", "journal_entries", "postings")
        return [(await db.execute(text(f"select count(*) from {table}"))).scalar_one() for table in tables]


async def measure(place: Place) -> list[Found]:
    packages = place.sizes.due
    contexts: list[Context] = []
    async with billing(place) as database:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        async def ours() -> float:
            contexts.append(await sold(database, packages))
            return packages / await run(database, contexts[-1])

        async def raw() -> float:
            contexts.append(await sold(database, packages))
            rate = packages / await _raw(database, contexts[-1])
            written = [await _written(database, context.business_id) for context in contexts[-2:]]
            if written[0] != written[1]:
                raise RuntimeError(f"not the same work: {written}")
            return rate

        pairs = await Pairs().take(place.sizes.rounds, ours, raw)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    work = f"packages billed on a day on which {packages:,} are due"
    note = f"Memory of the process grew by {grown:.0f} MB"
    return [Figure("S5", work, "/s", pairs.ours, Goal(0.5), pairs.limit, "raw SQL of the same rows", note)]


@asynccontextmanager
async def billing(place: Place) -> AsyncIterator[Database]:
    """A database of billing's, which no process of billing knows."""
    await place.names.make("due")
    await migrate("billing", place.names.url("due"))
    database = Database(place.names.url("due"))
    try:
        yield database
    finally:
        await database.close()
