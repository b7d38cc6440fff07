"""A consumer with a database of its own and no bus: what a test hands it, it handles."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from shared.database import Database, Db
from shared.events import Envelope
from shared.handlers import Handlers
from shared.inbox import Consumer
from shared.migrations import migrate
from tests.harness.databases import Databases
from tests.harness.room import envelope
from tests.shared.pair import BUSINESS, BellRang, query, write_down

TABLES = (
    "create table if not exists heard (row_id bigint generated always as identity, bell_id uuid, number int)",
    "create table if not exists once (number int unique deferrable initially deferred)",
    "create table if not exists tally (number int primary key, rung int not null)",
    "truncate heard, once, tally, inbox, inbox_failed, outbox",
)


def rang(bell_id: UUID, number: int, trouble: str = "", *, business_id: UUID = BUSINESS, **attributes: Any) -> Envelope:
    """A bell rang; `attributes` spoil the envelope."""
    fact = envelope(BellRang(bell_id=bell_id, number=number, trouble=trouble), business_id, date(2022, 9, 9))
    return Envelope.parse(fact.raw | attributes)


class Listening:
    """A consumer, and what became of what it was handed."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.handlers = Handlers()
        self.handlers(BellRang)(write_down)
        self.consumer = Consumer("inbox", database, self.handlers)

    async def heard(self) -> list[int]:
        return [row.number for row in await self.rows("select number from heard order by row_id")]

    async def failed(self) -> list[Any]:
        return await self.rows(
            "select *, extract(epoch from next_attempt_at - now())::float as seconds"
            " from inbox_failed order by event_id"
        )

    async def rows(self, sql: str) -> list[Any]:
        return await query(self.database, sql)

    async def retry(self) -> None:
        """What waits is due now; each is tried again."""
        await self.rows("update inbox_failed set next_attempt_at = now() where next_attempt_at is not null")
        while await self.consumer.retry_due():
            pass


async def ring_once(db: Db, event: BellRang) -> None:
    """A number that was rung before is only found out at the commit."""
    await db.execute(text("insert into once values (:number)"), {"number": event.number})


@asynccontextmanager
async def listening(databases: Databases, url: str | None = None) -> AsyncIterator[Listening]:
    """A consumer on an empty database, which another address may lead to too."""
    await databases.make("inbox")
    await migrate("inbox", databases.url("inbox"))
    database = Database(url or databases.url("inbox"))
    for statement in TABLES:
        await query(database, statement)
    try:
        yield Listening(database)
    finally:
        await database.close()
