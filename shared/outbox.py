"""Facts on their way out: written in the transaction that made them true, sent by one relay per service.

The relay reads in the order of `id`, sends batches, and moves what the bus has confirmed to the event log, in one
statement. A crash in between sends a fact twice, and the inbox drops it; none is ever lost.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import orjson
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from shared import failpoints
from shared.database import Database, Db
from shared.events import TYPES, Event, encode
from shared.ids import new_id
from shared.plumbing import outbox

READ_AT_ONCE = 500
LARGEST_BATCH = 200
LARGEST_BYTES = 256 * 1024
POLL_SECONDS = 0.2
COMMAND_SECONDS = 30
READ = select(outbox.c.id, outbox.c.type, outbox.c.subject, outbox.c.envelope).order_by(outbox.c.id).limit(READ_AT_ONCE)
MOVE = text(
    "with sent as (delete from outbox where id = any(:ids) returning *)"
    " insert into event_log (event_id, business_id, type, subject, envelope)"
    " select event_id, business_id, type, subject, envelope from sent on conflict (event_id) do nothing"
)
REPLAY = text(
    "insert into outbox (event_id, business_id, type, subject, envelope)"
    " select event_id, business_id, type, subject, envelope from event_log"
    " where published_at > now() - cast(cast(:since as text) as interval) order by published_at, event_id"
)


def publish(db: Db, *events: Event) -> None:
    """Let facts become known when, and only when, this transaction commits.

    Lock the aggregate first: then the order of the outbox is the order of what happened to it.
    """
    context = db.context
    for event in events:
        event_id = new_id()
        db.pending.append(
            {
                "event_id": event_id,
                "business_id": context.business_id,
                "type": event.type,
                "subject": event.subject,
                "envelope": encode(
                    event,
                    id=event_id,
                    source=event.type.partition(".")[0],
                    time=datetime.now(UTC),
                    businessid=context.business_id,
                    businessdate=db.today,
                    actor=context.actor,
                    correlationid=context.correlation_id,
                    causationid=context.causation_id,
                    traceparent=context.traceparent,
                ),
            }
        )


def alike(db: Db, service: str) -> str:
    """The members of the envelope that all facts of this transaction share, for a statement that writes facts itself.

    Such a statement inserts into the outbox what the SQL function `envelope(alike, …)` makes of them.
    """
    db.publishes = True
    context = db.context
    members = {
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "source": service,
        "time": datetime.now(UTC),
        "businessid": context.business_id,
        "actor": context.actor,
        "correlationid": context.correlation_id,
        "causationid": context.causation_id,
        "traceparent": context.traceparent,
    }
    return orjson.dumps({name: value for name, value in members.items() if value is not None}).decode()[1:-1]


@dataclass
class Batch:
    """Events of one type that travel as one message: a CloudEvents batch."""

    type: str
    rows: list[int] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    size: int = 2

    @property
    def bulk(self) -> bool:
        return self.type in TYPES and TYPES[self.type].bulk

    def body(self) -> bytes:
        return f"[{','.join(self.events)}]".encode()


def batches(rows: Sequence[tuple[int, str, str, str]]) -> list[Batch]:
    """Gather (id, type, subject, envelope) rows into messages without changing the order within any subject.

    A row joins the open batch of its type only if no later batch already speaks of its subject.
    """
    made: list[Batch] = []
    open_at: dict[str, int] = {}
    last_seen: dict[str, int] = {}
    for row, key, subject, envelope in rows:
        size = len(envelope.encode()) + 1
        at = open_at.get(key, -1)
        fits = at >= 0 and len(made[at].rows) < LARGEST_BATCH and made[at].size + size <= LARGEST_BYTES
        if not fits or last_seen.get(subject, -1) > at:
            made.append(Batch(key))
            at = open_at[key] = len(made) - 1
        batch = made[at]
        batch.rows.append(row)
        batch.events.append(envelope)
        batch.size += size
        last_seen[subject] = at
    return made


class Publisher(Protocol):
    """One open session with the bus."""

    async def send(self, batches: Sequence[Batch]) -> list[int]:
        """Send in order; return the outbox ids that the bus has confirmed. Raises ConnectionError if it is gone."""
        ...


async def relay_once(leader: AsyncConnection, publisher: Publisher) -> tuple[int, int]:
    """Send what waits, up to a few hundred facts; return how many were read and how many confirmed."""
    rows = (await leader.execute(READ)).all()
    if not rows:
        return 0, 0
    confirmed = await publisher.send(batches([(r.id, r.type, r.subject, r.envelope) for r in rows]))
    failpoints.hit("relay.published")
    if confirmed:
        await leader.execute(MOVE, {"ids": confirmed})
        failpoints.hit("relay.deleted")
    return len(rows), len(confirmed)


async def relay(service: str, database: Database, publisher: Publisher) -> None:
    """Send for as long as this process leads: one relay per service, however many replicas run.

    Ends when the bus confirms less than all: the next session declares again what somebody may have deleted.
    """
    async with leader(service, database) as connection:
        while True:
            database.published.clear()
            read, confirmed = await relay_once(connection, publisher)
            if confirmed < read:
                raise ConnectionError(f"the bus did not confirm {read - confirmed} of {read} facts")
            if not read:
                await _wait(database.published)


async def replay(database: Database, since: str) -> int:
    """Send again what was published in the last interval (`2 hours`); who knows a fact already drops it.

    The way back when a broker has lost its disk, or an operator deleted a queue.
    """
    async with database.engine.begin() as connection:
        return (await connection.execute(REPLAY, {"since": since})).rowcount


async def _wait(published: asyncio.Event) -> None:
    """Until this process publishes something; or a moment, since another replica may."""
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL_SECONDS):
            await published.wait()


@asynccontextmanager
async def leader(service: str, database: Database) -> AsyncIterator[AsyncConnection]:
    """The service's relay lock, held on a session of its own that PostgreSQL ends if this process stalls.

    The relay reads and moves rows on this very session, so who has lost the lock can move nothing.
    """
    engine = create_async_engine(
        database.url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={
            "timeout": 5,
            "command_timeout": COMMAND_SECONDS,
            "server_settings": {"idle_session_timeout": "30s"},
        },
    )
    async with engine.connect() as connection:
        lock = {"key": zlib.crc32(f"relay:{service}".encode())}
        while not await connection.scalar(text("select pg_try_advisory_lock(:key)"), lock):  # noqa: ASYNC110
            await asyncio.sleep(1)
        yield connection
