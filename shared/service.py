"""A service: what it is made of, and how it runs — migrate, serve, consume, relay, work, keep house, leave.

Crash-only: each part is one loop that may fail at any point, and is started again by the same code as at first.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from fastapi import APIRouter, FastAPI
from sqlalchemy import MetaData, select
from starlette.datastructures import State

from shared.auth import Keys
from shared.bus import Bus
from shared.copies import keep_business
from shared.database import Database
from shared.events.catalog import BusinessChanged
from shared.handlers import Handlers
from shared.housekeeping import keep_house
from shared.http import health
from shared.http.gate import Gate
from shared.http.openapi import complete
from shared.http.problems import add_problem_handlers
from shared.inbox import Consumer
from shared.leaving import IN_HAND_SECONDS
from shared.log import log
from shared.migrations import migrate
from shared.outbox import relay
from shared.settings import Settings
from shared.work import Workers, work_forever

LONGEST_PAUSE_SECONDS = 5.0
RETRY_POLL_SECONDS = 0.5
LAST_WORD_SECONDS = 5
END_SECONDS = IN_HAND_SECONDS + 2
REQUESTS_SECONDS = 12
"""For the requests that a process has when it is told to end: none waits longer than 10 s (`Prefer: wait=10`)."""
LEAVING_SECONDS = REQUESTS_SECONDS + END_SECONDS + LAST_WORD_SECONDS + 6
"""Who is not gone by then may be killed: Compose and `./dev` wait as long."""


@dataclass
class Service:
    """What a service is made of. Its `main.py` says no more than this."""

    name: str
    router: APIRouter
    handles: Handlers
    tables: MetaData
    invariants: dict[str, str]
    works: Workers = field(default_factory=Workers)
    forgets: dict[str, str] = field(default_factory=dict)
    """What its rows forget after a long time, with the statement that lets up to `:most` of a business do so."""
    body_limit: int | None = None

    def __post_init__(self) -> None:
        if self.name != "catalog":
            self.handles(BusinessChanged)(keep_business)

    @property
    def subscriptions(self) -> frozenset[str]:
        return self.handles.types

    def app(self) -> FastAPI:
        """The HTTP side, to be mounted under `/<name>`."""
        app = FastAPI(
            title=f"Punchcard {self.name}", version="1", docs_url="/docs", redoc_url=None, redirect_slashes=False
        )
        app.include_router(self.router, prefix="/v1")
        app.include_router(health.router)
        add_problem_handlers(app)
        complete(app)
        return app


class Running:
    """A service at work in this process."""

    def __init__(self, service: Service, settings: Settings, bus: Bus, keys: Keys) -> None:
        settings.need(service.name)
        self.service, self.settings, self.bus = service, settings, bus
        self.url = settings.database_url[service.name].get_secret_value()
        self.loops: dict[str, asyncio.Task[None]] = {}
        self.database = Database(self.url, pool_size=settings.pool_size)
        self.backstage = Database(self.url, pool_size=settings.pool_size, beside=self.database)
        """For the loops: requests that wait for them must not take their connections."""
        self.consumer = Consumer(service.name, self.backstage, service.handles)
        self.app = service.app()
        self.app.state = State(
            {
                "service": service.name,
                "database": self.database,
                "backstage": self.backstage,
                "keys": keys,
                "settings": settings,
                "leaving": False,
            }
        )
        self.app.add_middleware(Gate, service=service.name, body_limit=service.body_limit or settings.body_limit)

    async def start(self) -> None:
        """Migrate, then run every loop."""
        name = self.service.name
        await migrate(name, self.url)
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "consume": self._consume,
            "relay": self._relay,
            "retry": self._retry,
            "work": lambda: work_forever(self.backstage, self.service.works, self.settings),
            "chores": lambda: keep_house(name, self.backstage, self.service.forgets),
        }
        self.loops = {key: asyncio.create_task(supervise(f"{name}.{key}", loop)) for key, loop in loops.items()}

    async def _consume(self) -> None:
        """Take events only while the database answers: each one brought in vain counts towards its delivery limit."""
        async with self.backstage.transaction() as db:
            await db.execute(select(1))
        await self.bus.consume(self.consumer)

    async def _relay(self) -> None:
        async with self.bus.publisher(self.service.name) as publisher:
            await relay(self.service.name, self.backstage, publisher)

    async def _retry(self) -> None:
        while True:
            if not await self.consumer.retry_due():
                await asyncio.sleep(RETRY_POLL_SECONDS)

    async def leave(self) -> None:
        """Stop taking events, finish what is in hand, let the last facts out, then let go."""
        self.app.state.leaving = True
        await asyncio.gather(*(_end(self.loops[key]) for key in ("consume", "retry", "work", "chores")))
        with suppress(Exception):  # without the database there is no last word
            async with asyncio.timeout(LAST_WORD_SECONDS):
                while (await health.backlog(self.backstage))["pending"]:  # noqa: ASYNC110 — the outbox is in the database
                    await asyncio.sleep(0.05)
        await _end(self.loops["relay"])
        await self.database.close()
        await self.backstage.close()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task], timeout=END_SECONDS)


async def supervise(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for ever: whatever ends it, it starts again, after a pause that grows while it keeps failing."""
    clock = asyncio.get_running_loop()
    pause = 0.1
    while True:
        started = clock.time()
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 — crash-only: any trouble is answered by a new start
            log.warning("restarted", loop=name, error=repr(error))
        if clock.time() - started > 2 * LONGEST_PAUSE_SECONDS:
            pause = 0.1
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
