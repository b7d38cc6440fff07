"""The six services in this process, on their real databases, where nothing moves by itself.

A step is one thing that some process would do at some time: the relay sends, a message comes, a piece of work is done,
time passes. Between the services is no broker but a list for each of them, out of which messages come in any order.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

import httpx
from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from deploy.local.running.system import SERVICES
from services.notify.channels import Outgoing
from shared.database import Database
from shared.events import Envelope
from shared.inbox import parse
from shared.outbox import Batch, relay_once
from shared.service import Running
from shared.settings import Settings
from shared.work import Task, Worker, Workers, do, take
from tests.simulation.bank import OwnBank
from tests.simulation.dying import Failpoints

T = TypeVar("T")

ROUNDS = 60
"""How often time may pass before there must be rest."""
ALL = 1000
UNDONE = "work.undone"
"""Death after a piece of work, before it is marked as done."""
PAUSES_END = "update inbox_failed set next_attempt_at = first_failed_at where next_attempt_at > now()"
TIME_PASSES = (
    "with leases as (update work set due_at = due_at - interval '1 day' where due_at > now() returning 1),"
    f" pauses as ({PAUSES_END} returning 1),"
    " behind as (update outbox set not_before = created_at where not_before > now() returning 1)"
    " select (select count(*) from leases) + (select count(*) from pauses) + (select count(*) from behind) as ended,"
    "  exists (select from work) as scheduled, exists (select from outbox) as published"
)
"""Leases, deadlines and pauses are in machine time, which the database tells; they end in the order they were to."""
SET_ASIDE = "select from inbox_failed where next_attempt_at is not null limit 1"
LEFTOVERS = tuple(f"delete from {table}" for table in ("outbox", "inbox_failed", "work"))


class NoRest(AssertionError):
    """Something still moves that should long be at rest."""


class Post:
    """Where notify hands over its letters."""

    async def send(self, _: Outgoing) -> None:
        """It takes them all."""


class Session:
    """One session of a relay with the bus, which confirms some of what it takes."""

    def __init__(self, world: "World", confirms: int) -> None:
        self.world, self.confirms = world, confirms

    async def send(self, batches: Sequence[Batch]) -> list[int]:
        for batch in batches:
            for name, running in self.world.services.items():
                if batch.type in running.service.subscriptions:
                    self.world.waiting[name] += parse(batch.body())
        return [row for batch in batches for row in batch.rows][: self.confirms]


class World:
    """All processes there are, and what is under way between them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        services: Mapping[str, Running],
        settings: Settings,
        bank: OwnBank,
        failpoints: Failpoints,
    ) -> None:
        self.services, self.settings, self.bank, self.failpoints = services, settings, bank, failpoints
        self.waiting: dict[str, list[Envelope]] = {name: [] for name in SERVICES}
        self.handled: dict[str, dict[UUID, Envelope]] = {name: {} for name in SERVICES}
        self.set_aside: list[str] = []
        """The services that have events to try again."""
        self.business_id: UUID
        self.unfinished = False
        """Whether the business before came to no good end."""
        self._loop = loop
        self._leaders: dict[str, AsyncConnection] = {}
        self._workers = {name: _mortal(running.service.works, failpoints) for name, running in services.items()}
        self.http = {
            name: httpx.AsyncClient(transport=httpx.ASGITransport(running.app), base_url=f"http://{name}.test")
            for name, running in services.items()
        }

    def run(self, steps: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(steps)

    # What could move

    @property
    def relays(self) -> list[str]:
        """The services that have told something since their relay last found nothing."""
        return [name for name in SERVICES if self.services[name].backstage.published.is_set()]

    @property
    def workers(self) -> list[str]:
        """The services that were left work since their workers last found none due."""
        return [name for name in SERVICES if self.services[name].backstage.scheduled.is_set()]

    @property
    def listeners(self) -> list[str]:
        """The services to which messages are on their way."""
        return [name for name in SERVICES if self.waiting[name]]

    @property
    def hearers(self) -> list[str]:
        """The services that have heard something."""
        return [name for name in SERVICES if self.handled[name]]

    # The steps

    async def relay(self, service: str, *, confirms: int = ALL) -> int:
        """The relay of a service sends what waits; what is not confirmed, or not noted in time, it sends again."""
        read = 0
        with self.failpoints.may_die():
            read, _ = await relay_once(await self._leader(service), Session(self, confirms))
            if not read:
                self.services[service].backstage.published.clear()
        return read

    async def deliver(self, service: str, picks: Iterable[int], *, acknowledged: bool = True) -> None:
        """Some of the messages come, in this order, and some of them twice; unacknowledged, they come again later."""
        on_their_way = self.waiting[service]
        places = [pick % len(on_their_way) for pick in picks]
        with self.failpoints.may_die():
            await self.services[service].consumer.process([on_their_way[place] for place in places])
            self.handled[service] |= {on_their_way[place].id: on_their_way[place] for place in places}
            if acknowledged:
                self.waiting[service] = [each for place, each in enumerate(on_their_way) if place not in places]
        await self._see_what_is_set_aside(service)

    def again(self, service: str) -> None:
        """Everything that a service has ever heard is sent to it once more, as by a replay of the logs."""
        self.waiting[service] += self.handled[service].values()

    async def retry(self, service: str) -> bool:
        """A service tries an event again that it has set aside; whether there was one."""
        tried = True
        with self.failpoints.may_die():
            tried = bool(await self.services[service].consumer.retry_due())
        if tried:
            await self._see_what_is_set_aside(service)
        return tried

    async def retry_later(self, service: str) -> None:
        """What a service has set aside has waited long enough, and one of it is tried."""
        await self._sweep(service, PAUSES_END)
        await self.retry(service)

    async def work(self, service: str) -> bool:
        """A service does one piece of work that is due; whether there was one."""
        running = self.services[service]
        task = await take(running.backstage, self.settings, sorted(self._workers[service].by_kind))
        if task is None:
            running.backstage.scheduled.clear()
            return False
        with self.failpoints.may_die():
            await do(running.backstage, self._workers[service], task)
        return True

    async def call_back(self, picks: Iterable[int]) -> None:
        """The bank makes some of its callbacks, in this order, and some of them twice."""
        untold = self.bank.untold
        for pick in picks:
            await self.bank.call_back(untold[pick % len(untold)], self.http["directdebit"])

    async def repeat_callbacks(self) -> None:
        """The bank makes every callback again that it has made, the newest first."""
        for callback in reversed(self.bank.told):
            await self.bank.call_back(callback, self.http["directdebit"])

    async def time_passes(self) -> int:
        """So much that every lease has run out, and every pause has ended; how many did."""
        ended = 0
        for service, running in self.services.items():
            left = (await (await self._leader(service)).execute(text(TIME_PASSES))).one()
            ended += left.ended
            for there_is, woken in (
                (left.scheduled, running.backstage.scheduled),
                (left.published, running.backstage.published),
            ):
                if there_is:  # relays and workers look now and then, woken or not
                    woken.set()
        return ended

    async def rest(self, *, called: bool = True) -> None:
        """Let everything come to an end, as it does when nothing fails any more; a death in between ends one step.

        A bank that does not call meanwhile leaves it to the services to find out what it did.
        """
        for _ in range(ROUNDS):
            moved = 0
            while self.relays or self.listeners or self.workers or (called and self.bank.untold):
                moved += await self._round(called=called)
            if not await self.time_passes() and not moved:
                return
        raise NoRest(f"time passed {ROUNDS} times")

    async def _round(self, *, called: bool) -> int:
        """Everybody does what there is to do; how much that was."""
        moved = 0
        for service in SERVICES:
            while service in self.relays:
                moved += await self.relay(service)
            if waiting := len(self.waiting[service]):
                await self.deliver(service, range(waiting))
                moved += waiting
            while service in self.set_aside and await self.retry(service):
                moved += 1
            while service in self.workers:
                moved += await self.work(service)
        untold = len(self.bank.untold) if called else 0
        if untold:
            await self.call_back(range(untold))
        return moved + untold

    # Between two lives of the world

    async def begin(self, business_id: UUID) -> None:
        """A new business; what an earlier one left that came to no good end is gone."""
        self.business_id, self.set_aside = business_id, []
        for service in SERVICES:
            self.waiting[service], self.handled[service] = [], {}
            self.services[service].backstage.published.clear()
            self.services[service].backstage.scheduled.clear()
            for statement in LEFTOVERS if self.unfinished else ():
                await self._sweep(service, statement)
        self.unfinished = True

    async def close(self) -> None:
        for service, running in self.services.items():
            if leader := self._leaders.pop(service, None):
                await leader.close()
            await self.http[service].aclose()
            await running.database.close()
            await running.backstage.close()
        self.bank.ledger.close()

    async def _leader(self, service: str) -> AsyncConnection:
        """The session on which a relay reads and moves; alone here, it needs no lock."""
        if service not in self._leaders:
            url = self.services[service].backstage.url
            engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
            self._leaders[service] = await engine.connect()
        return self._leaders[service]

    async def _see_what_is_set_aside(self, service: str) -> None:
        found = await self._sweep(service, SET_ASIDE)
        others = [name for name in self.set_aside if name != service]
        self.set_aside = [*others, service] if found else others

    async def _sweep(self, service: str, statement: str) -> int:
        result = await (await self._leader(service)).execute(text(statement))
        return cast("CursorResult[Any]", result).rowcount


def _mortal(works: Workers, failpoints: Failpoints) -> Workers:
    """The same workers, who may also die when they have done a piece of work and not yet said so."""
    mortal = Workers()
    for kind, worker in works.by_kind.items():
        mortal(kind)(_undone(worker, failpoints))
    return mortal


def _undone(worker: Worker, failpoints: Failpoints) -> Worker:
    async def work(database: Database, task: Task) -> None:
        await worker(database, task)
        failpoints.hit(UNDONE)

    return work
