"""Two small services for the tests of the bus: one tells, the other listens and writes down what it heard."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import MetaData, text

from deploy.local.running.issuer import Issuer
from shared.auth import Keys
from shared.bus import Bus, Subscriptions
from shared.database import Context, Database, Db
from shared.errors import Later, Reject
from shared.events import Event
from shared.events.catalog import BusinessChanged
from shared.handlers import Handlers
from shared.ids import new_id
from shared.outbox import publish
from shared.service import Running, Service
from shared.settings import DEVELOPMENT_ISSUER, Settings
from tests.harness.databases import Databases

MakeBus = Callable[[Subscriptions], Bus]
BUSINESS = new_id()


class BellRang(Event, type="teller.bell_rang.v1", subject="bell_id"):
    """A bell rang for the n-th time."""

    bell_id: UUID
    number: int
    trouble: str = ""


class NightFell(Event, type="teller.night_fell.v1", subject="bell_id", bulk=True):
    """It is night; told in bulk."""

    bell_id: UUID
    number: int


class LeafFell(Event, type="teller.leaf_fell.v1", subject="leaf_id"):
    """Nobody listens to this one."""

    leaf_id: UUID


handles = Handlers()


@handles(BellRang, NightFell)
async def write_down(db: Db, event: BellRang | NightFell) -> None:
    """One row per event: no unique key, so that the inbox alone keeps a double out."""
    row = {"bell_id": event.bell_id, "number": event.number}
    await db.execute(text("insert into heard (bell_id, number) values (:bell_id, :number)"), row)
    match getattr(event, "trouble", ""):
        case "reject":
            raise Reject("never")
        case "later":
            raise Later("not yet")
        case "fail":
            raise ValueError("broken")


def service(name: str, reactions: Handlers) -> Service:
    return Service(name, APIRouter(), reactions, MetaData(), {})


class Pair:
    """The teller and the listener, running."""

    def __init__(self, teller: Running, listener: Running) -> None:
        self.teller, self.listener = teller, listener

    async def tell(self, *events: Event, rollback: bool = False) -> None:
        await tell(self.teller.database, *events, rollback=rollback)

    async def heard(self, bell_id: UUID) -> list[int]:
        rows = await query(
            self.listener.backstage, "select number from heard where bell_id = :id order by row_id", id=bell_id
        )
        return [row.number for row in rows]

    async def until_heard(self, bell_id: UUID, *numbers: int, seconds: float = 20) -> None:
        """Wait until exactly these numbers were heard, in this order."""
        await until(lambda: self.heard(bell_id), list(numbers), seconds)

    async def waiting(self) -> int:
        rows = await query(self.teller.database, "select count(*) waiting from outbox")
        waiting: int = rows[0].waiting
        return waiting

    async def failed(self, bell_id: UUID) -> list[Any]:
        return await query(
            self.listener.backstage,
            "select *, next_attempt_at is null as parked from inbox_failed where envelope like :id",
            id=f"%{bell_id}%",
        )


async def tell(database: Database, *events: Event, rollback: bool = False) -> None:
    async with database.transaction() as db:
        await db.enter(Context(BUSINESS, "staff:test", date(2022, 9, 9)))
        publish(db, *events)
        if rollback:
            db.pending.clear()
            await db.rollback()


async def query(database: Database, sql: str, **values: Any) -> list[Any]:
    async with database.transaction() as db:
        result = await (await db.connection()).execute(text(sql), values)
        return list(result) if result.returns_rows else []


async def until(look: Callable[[], Awaitable[Any]], expected: Any, seconds: float = 20) -> None:
    """Look again and again until it is as expected; fail with what was seen last."""
    seen: Any = None
    for _ in range(int(seconds / 0.02)):
        seen = await look()
        if seen == expected:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"expected {expected!r}, and last saw {seen!r}")


@asynccontextmanager
async def pair(
    databases: Databases, issuer: Issuer, make_bus: MakeBus, *, listening: bool = True
) -> AsyncIterator[Pair]:
    """Start both on a bus; with `listening=False` the listener is there, but not started."""
    await databases.make("teller", "listener")
    settings = Settings(
        environment="development",
        database_url={name: databases.url(name) for name in ("teller", "listener")},
        bus_url="local:",
        jwks=str(issuer.jwks),
        token_issuer=DEVELOPMENT_ISSUER,
    )
    services = (service("teller", Handlers()), service("listener", handles))
    for each in services:
        each.handles.by_type.pop(BusinessChanged.type, None)
    bus = make_bus({each.name: each.subscriptions for each in services})
    keys = Keys(settings.jwks, settings.token_issuer, settings.token_audience)
    teller, listener = (Running(each, settings, bus, keys) for each in services)
    made = Pair(teller, listener)
    await teller.start()
    await query(
        listener.database,
        "create table if not exists heard (row_id bigint generated always as identity, bell_id uuid, number int)",
    )
    if listening:
        await listener.start()
    try:
        yield made
    finally:
        await teller.leave()
        if listener.loops:
            await listener.leave()
