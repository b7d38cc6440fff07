"""Reads the books: a business at a time, a statement for each table and each invariant, however much there is."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Table, TextClause, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.audit.books import BEGINNING, Books, Shelf, first_id, read
from services import __main__ as composition
from shared.database import Database
from shared.plumbing import business

DEFINITIONS, SUBSCRIPTIONS = composition.SERVICES, composition.SUBSCRIPTIONS
SERVICES = tuple(DEFINITIONS)
LEFT_OUT = {"client_words", "deliveries", "runs", "provider_accounts", "bank_holidays"}
"""Tables that hold no session, no cent and no copy of a fact."""

SEE = text(
    "select set_config('punchcard.business', cast(:id as text), true), set_config('role', tableowner, true)"
    " from pg_tables where schemaname = current_schema() and tablename = 'event_log'"
)
"""As the service itself sees it inside the business: row-level security holds for its login, and for no superuser."""
LOG = text(
    "select event_id, type, subject, envelope, published_at from event_log"
    " where business_id = :id and event_id >= :since order by event_id"
)
ASIDE = text("select event_id, error, next_attempt_at from inbox_failed where business_id = :id")
HEARD = text("select event_id from inbox where event_id = any(:ids)")
BUSINESSES = text(
    "select business_id from business union select distinct business_id from event_log order by business_id"
)
"""Those that a service knows; all services are asked, for one of them may have lost it."""


def tables(service: str) -> list[Table]:
    """The tables of a service that are compared."""
    own = DEFINITIONS[service].tables.sorted_tables
    return [business, *(table for table in own if table.name not in LEFT_OUT)]


async def businesses(databases: Mapping[str, Database]) -> list[UUID]:
    """Every business that any service knows."""
    found: set[UUID] = set()
    for database in databases.values():
        async with looking(database) as connection:
            found |= set((await connection.execute(BUSINESSES)).scalars())
    return sorted(found)


@asynccontextmanager
async def looking(database: Database) -> AsyncIterator[AsyncConnection]:
    """One unchanging view of a database, that is only read."""
    level = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    async with database.engine.connect() as connection:
        await connection.execution_options(**level)
        yield connection
        await connection.rollback()


async def read_shelf(
    connection: AsyncConnection, service: str, business_id: UUID, since: datetime = BEGINNING
) -> Shelf:
    """A service's part of the books of a business, but for what it has heard.

    The log from an instant on: each service forgets what is older in its own time.
    """
    of_business = {"id": business_id}
    await connection.execute(SEE, {"id": str(business_id)})
    log = [read(service, row) for row in await connection.execute(LOG, of_business | {"since": first_id(since)})]
    aside = (await connection.execute(ASIDE, of_business)).all()
    kept = {}
    for table in tables(service):
        wanted = select(table).where(table.c.business_id == business_id)
        if table.name == "bookings":
            wanted = wanted.add_columns(func.lower(table.c.during).label("starts_at"))
        kept[table.name] = (await connection.execute(wanted)).all()
    broken = {
        name: (await connection.execute(text(sql))).all() for name, sql in DEFINITIONS[service].invariants.items()
    }
    return Shelf(
        log=log,
        heard=set(),
        aside={row.event_id for row in aside},
        parked={row.event_id: row.error for row in aside if row.next_attempt_at is None},
        tables=kept,
        offenders=broken,
    )


async def read_heard(connection: AsyncConnection, ids: list[UUID]) -> set[UUID]:
    """Which of these events a service has handled."""
    return set((await connection.execute(HEARD, {"ids": ids})).scalars())


async def read_books(
    databases: Mapping[str, Database], business_id: UUID, *, log_days: int | None = None, grace: timedelta = timedelta()
) -> Books:
    """The books of a business. What was published within the grace may still be on its way."""

    now = datetime.now(UTC)
    since = BEGINNING if log_days is None else now - timedelta(days=log_days)

    async def shelf(service: str) -> Shelf:
        async with looking(databases[service]) as connection:
            return await read_shelf(connection, service, business_id, since)

    shelves = dict(zip(databases, await asyncio.gather(*map(shelf, databases)), strict=True))

    async def hear(service: str) -> None:
        wanted = SUBSCRIPTIONS[service]
        ids = [told.event_id for other in shelves.values() for told in other.log if told.type in wanted]
        async with looking(databases[service]) as connection:
            shelves[service].heard |= await read_heard(connection, ids)

    await asyncio.gather(*map(hear, databases))
    return Books(
        business_id,
        shelves,
        SUBSCRIPTIONS,
        kept_since=since,
        heard_until=now - grace,
    )


STRETCH = timedelta(days=1)
OLDEST = text("select min(handled_at) from inbox")
TOLD_IN = text(
    "select event_id from event_log where event_id >= :since and event_id < :until"
    " union all select event_id from outbox where event_id >= :since and event_id < :until"
)
HEARD_IN = text("select event_id from inbox where event_id >= :since and event_id < :until")


async def stretches(
    databases: Mapping[str, Database], *, log_days: int
) -> AsyncIterator[tuple[set[UUID], dict[str, set[UUID]]]]:
    """A day after the other, as far back as the logs are kept: what was told in it, and what each service has heard.

    By the time in the ids, so that a stretch is a range of the keys. What was heard is read first: by then it is told.
    """
    now = datetime.now(UTC)
    oldest = [await _first(database, OLDEST) for database in databases.values()]
    since = max(min((each for each in oldest if each), default=now) - STRETCH, now - timedelta(days=log_days))
    while since < now:
        span = {"since": first_id(since), "until": first_id(since + STRETCH)}
        inboxes = {name: await _ids(database, HEARD_IN, span) for name, database in databases.items()}
        known: set[UUID] = set()
        for database in databases.values():
            known |= await _ids(database, TOLD_IN, span)
        yield known, inboxes
        since += STRETCH


async def _first(database: Database, statement: TextClause) -> datetime | None:
    async with looking(database) as connection:
        found: datetime | None = await connection.scalar(statement)
        return found


async def _ids(database: Database, statement: TextClause, span: Mapping[str, UUID]) -> set[UUID]:
    async with looking(database) as connection:
        return set((await connection.execute(statement, span)).scalars())
