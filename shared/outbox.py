"""Facts on their way out: written in the transaction that made them true, sent by one relay per service.

The relay reads in the order of `id`, sends batches, and moves what the bus has confirmed to the event log, in one
statement. A crash in between sends a fact twice, and the inbox drops it; none is ever lost. What the bus does not
confirm, time after time, goes behind what is fresh, so that a queue that is broken stops no other; one round in ten
begins there.
"""

import asyncio
import random
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import orjson
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from shared import failpoints
from shared.database import PRESENCE, Database, Db
from shared.events import TYPES, Event, encode
from shared.ids import new_id
from shared.plumbing import outbox

READ_AT_ONCE = 500
LARGEST_BATCH = 200
LARGEST_BYTES = 256 * 1024
POLL_SECONDS = 0.2
COMMAND_SECONDS = 30
FIRST_ID = UUID(int=0)
REPLAYED_AT_ONCE = 5000
_in_order = (
    select(outbox.c.id, outbox.c.type, outbox.c.subject, outbox.c.envelope)
    .order_by(outbox.c.not_before.nulls_first(), outbox.c.id)
    .limit(READ_AT_ONCE)
)
READ = _in_order.where(outbox.c.not_before.is_(None))
READ_BEHIND = _in_order.where(outbox.c.not_before <= func.now())
READ_UNCONFIRMED = READ_BEHIND.where(text("attempts > 0 and published_at is null"))
"""Those behind that nobody may have heard yet, before the many that are told again; by an index of their own."""
BEHIND_FIRST = 0.1
"""How often what is behind goes first: where something fresh always waits, it would never go."""
MOVE = text(
    "with sent as (delete from outbox where id = any(:ids) returning *)"
    " insert into event_log (event_id, business_id, type, subject, envelope, published_at)"
    " select event_id, business_id, type, subject, envelope, coalesce(published_at, now()) from sent"
    " on conflict (event_id) do nothing"
)
"""What is sent again is as old as it was: even if the log has forgotten it meanwhile, no inbox forgets it earlier."""
POSTPONE = text(
    "update outbox set attempts = attempts + 1, not_before = case when attempts = 0 then not_before"
    "  else now() + make_interval(secs => least(power(2, least(attempts, 9)) - 2, 32)) end where id = any(:ids)"
)
"""The first time it keeps its place, for a new session mends a line and declares what was missing; then it goes behind
what is fresh: at once, after 2 seconds, 6, 14, 30, and every 32."""
SPAN = text("select now() - cast(cast(:since as text) as interval) as after, now() as until")
REPLAY = text(
    "with again as (select event_id, business_id, type, subject, envelope, published_at from event_log"
    "  where (published_at, event_id) > (:after, :event_id) and published_at <= :until"
    "  order by published_at, event_id limit :most),"
    " sent as (insert into outbox (event_id, business_id, type, subject, envelope, not_before, published_at)"
    "  select event_id, business_id, type, subject, envelope, now(), published_at from again"
    "  order by published_at, event_id)"
    " select count(*) over () as facts, published_at, event_id from again"
    "  order by published_at desc, event_id desc limit 1"
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


async def relay_once(leader: AsyncConnection, publisher: Publisher, *, behind_first: bool = False) -> tuple[int, int]:
    """Send what waits, up to a few hundred facts; return how many were read and how many confirmed."""
    behind = (READ_UNCONFIRMED, READ_BEHIND)
    for lane in (*behind, READ) if behind_first else (READ, *behind):
        if rows := (await leader.execute(lane)).all():
            break
    else:
        return 0, 0
    confirmed = await publisher.send(batches([(r.id, r.type, r.subject, r.envelope) for r in rows]))
    failpoints.hit("relay.published")
    if confirmed:
        await leader.execute(MOVE, {"ids": confirmed})
        failpoints.hit("relay.deleted")
    if len(confirmed) < len(rows):
        await leader.execute(POSTPONE, {"ids": list({row.id for row in rows} - set(confirmed))})
    return len(rows), len(confirmed)


async def relay(service: str, database: Database, publisher: Publisher) -> None:
    """Send for as long as this process leads: one relay per service, however many replicas run.

    Ends when the bus confirms less than all: the next session declares again what somebody may have deleted.
    """
    async with leader(service, database) as connection:
        while True:
            database.published.clear()
            # Drawn, not counted: while a queue is broken no session lives long enough to count.
            behind_first = random.random() < BEHIND_FIRST  # noqa: S311
            read, confirmed = await relay_once(connection, publisher, behind_first=behind_first)
            if confirmed < read:
                raise ConnectionError(f"the bus did not confirm {read - confirmed} of {read} facts")
            if not read:
                await _wait(database.published)


async def replay(database: Database, since: str) -> int:
    """Let the relay send again what was published in the last interval (`2 hours`); who knows a fact drops it.

    The way back when a broker has lost its disk, or an operator deleted a queue. A few thousand facts a transaction,
    all of them behind what is fresh: millions delay nobody.
    """
    facts = 0
    async with database.engine.begin() as connection:
        span = (await connection.execute(SPAN, {"since": since})).one()
    last: dict[str, object] = {"after": span.after, "event_id": FIRST_ID}
    while True:
        async with database.engine.begin() as connection:
            chunk = last | {"until": span.until, "most": REPLAYED_AT_ONCE}
            sent = (await connection.execute(REPLAY, chunk)).one_or_none()
        if sent is None:
            return facts
        facts += sent.facts
        last = {"after": sent.published_at, "event_id": sent.event_id}


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
            "server_settings": PRESENCE | {"idle_session_timeout": "30s"},
        },
    )
    async with engine.connect() as connection:
        lock = {"key": zlib.crc32(f"relay:{service}".encode())}
        while not await connection.scalar(text("select pg_try_advisory_lock(:key)"), lock):  # noqa: ASYNC110
            await asyncio.sleep(1)
        yield connection
