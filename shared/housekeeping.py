"""What a service's database is to have done now and then, by one process: forget what is old, send a day's facts again.

A chore is a row; who moves its `due_at` on does it. One that does not come to an end is due again after its lease.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Column, ColumnClause, Delete, Executable, any_, delete, func, literal_column, select, text

from shared.database import SET_BUSINESS, Database
from shared.log import log
from shared.outbox import replay
from shared.plumbing import event_log, idempotency, inbox

POLL_SECONDS = 60
EVERY_HOURS = {"purge": 1, "forget": 24, "replay": 24}
LOG_DAYS = 35
INBOX_DAYS = LOG_DAYS + 5
"""Always longer than the log: what can be sent again is known."""
IDEMPOTENCY_DAYS = 7
RECORD_DAYS = 400
"""Raw callbacks and the texts of messages: longer than the 13 months in which a debit may be disputed (SEPA, MD01)."""
LEASE_MINUTES = 15
OVERLAP = timedelta(hours=2)
"""What is sent again twice: a fact's `published_at` may be some time before its commit."""
AT_ONCE = 5000

CLAIM = text(
    "insert into chores (name, due_at) values (:name, now() + make_interval(mins => :lease))"
    " on conflict (name) do update set due_at = excluded.due_at where chores.due_at <= now()"
    " returning name, now() as begun_at, done_at"
)
DONE = text(
    "update chores set done_at = :begun_at, due_at = cast(:begun_at as timestamptz) + make_interval(hours => :hours)"
    " where name = :name"
)
PURGED: dict[str, tuple[Column[datetime], int]] = {
    "idempotency": (idempotency.c.created_at, IDEMPOTENCY_DAYS),
    "event_log": (event_log.c.published_at, LOG_DAYS),
    "inbox": (inbox.c.handled_at, INBOX_DAYS),
}
BUSINESSES = text("select business_id from business order by business_id")


async def purge(database: Database) -> dict[str, int]:
    """Delete the plumbing's rows that are past their time; how many of each table."""
    return {table: await _in_chunks(database, _old(since, days)) for table, (since, days) in PURGED.items()}


def _old(since: Column[datetime], days: int) -> Delete:
    """Deletes a chunk of what is older; by `ctid`, where a row lies, so that none is looked for twice."""
    ctid: ColumnClause[object] = literal_column("ctid")
    old = select(ctid).select_from(since.table).where(since < func.now() - timedelta(days=days)).limit(AT_ONCE)
    return delete(since.table).where(ctid == any_(func.array(old.correlate(None).scalar_subquery())))


async def businesses(database: Database) -> list[UUID]:
    """The ids of those that the service knows, as plain ones: the driver's own are not known to who writes JSON."""
    async with database.engine.connect() as connection:
        return [UUID(str(its_id)) for its_id in (await connection.execute(BUSINESSES)).scalars()]


async def forget(database: Database, forgets: Mapping[str, str]) -> dict[str, int]:
    """Let each business's rows forget what the service says that they shall; how many did, by what it was."""
    forgot: Counter[str] = Counter(dict.fromkeys(forgets, 0))
    for business_id in await businesses(database):
        for what, statement in forgets.items():
            old = text(statement).bindparams(days=RECORD_DAYS, most=AT_ONCE)
            forgot[what] += await _in_chunks(database, old, business_id)
    return dict(forgot)


async def _in_chunks(database: Database, statement: Executable, business_id: UUID | None = None) -> int:
    """Run a statement until it finds less than a chunk, each time in a transaction of its own."""
    changed = 0
    while True:
        async with database.engine.begin() as connection:
            if business_id:
                await connection.execute(SET_BUSINESS, {"id": str(business_id)})
            chunk = (await connection.execute(statement)).rowcount
        changed += chunk
        if chunk < AT_ONCE:
            return changed


@dataclass(frozen=True)
class Claimed:
    """A chore that this process is to do now."""

    name: str
    begun_at: datetime
    done_at: datetime
    """When the last one that came to an end had begun."""


async def claim(database: Database, chore: str) -> Claimed | None:
    """Take a chore in hand, if it is due and no other process has it."""
    async with database.engine.begin() as connection:
        row = (await connection.execute(CLAIM, {"name": chore, "lease": LEASE_MINUTES})).one_or_none()
    return Claimed(**row._mapping) if row else None


async def finish(database: Database, claimed: Claimed) -> None:
    """It came to an end, and is due again a period after it began."""
    done = {"name": claimed.name, "begun_at": claimed.begun_at, "hours": EVERY_HOURS[claimed.name]}
    async with database.engine.begin() as connection:
        await connection.execute(DONE, done)


def sent_again(claimed: Claimed) -> timedelta:
    """A day's facts; more, after replays that did not come to an end, so that no fact is left out for ever."""
    return min(claimed.begun_at - claimed.done_at + OVERLAP, timedelta(days=LOG_DAYS))


async def keep_house(service: str, database: Database, forgets: Mapping[str, str]) -> None:
    """Do each chore when it is due and no other process does."""
    chores: dict[str, Callable[[Claimed], Awaitable[object]]] = {
        "purge": lambda _: purge(database),
        "forget": lambda _: forget(database, forgets),
        "replay": lambda claimed: replay(database, f"{sent_again(claimed).total_seconds()} seconds"),
    }
    while True:
        for name, chore in chores.items():
            if claimed := await claim(database, name):
                log.info("chore", service=service, name=name, done=await chore(claimed))
                await finish(database, claimed)
        await asyncio.sleep(POLL_SECONDS)
