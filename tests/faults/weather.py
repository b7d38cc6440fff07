"""A whole system in bad weather: its processes, its broker, its databases and the lines to them fail.

What befalls whom comes from a seed; at what moment it finds them is never the same.

Two replicas of each service stand behind the gateway. Broker and PostgreSQL are servers of their own, with their data
on disk, each reached over a line that can be cut or go dead.
"""

import asyncio
import random
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import asyncpg
import psutil
from aio_pika.exceptions import AMQPError

from deploy.audit.reading import DEFINITIONS
from deploy.local.running.fleet import Fleet, behind_gateway
from deploy.local.running.system import APART, SERVICES, System, system
from deploy.local.servers import Server
from deploy.local.servers.postgres import postgres
from deploy.local.servers.rabbitmq import FOR_TESTS, rabbitmq
from shared.bus import queues
from tests.harness.proxy import Proxy, proxy

BACK_SECONDS, ATTACHED_SECONDS = 90, 45
REPLICAS = 2
NAMES = [f"{name}.{number}" for name in SERVICES for number in range(1, REPLICAS + 1)]


class Lines:
    """Proxies on an event loop of their own: they go on while whoever uses them blocks."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._open: list[AbstractAsyncContextManager[tuple[Proxy, str]]] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="lines", daemon=True)
        self._thread.start()

    def before(self, url: str) -> tuple[Proxy, str]:
        """A line to the server of a URL, and the URL that leads over it."""
        self._open.append(proxy(url))
        return asyncio.run_coroutine_threadsafe(self._open[-1].__aenter__(), self._loop).result()

    def do(self, act: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(act)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


class Mortal:
    """A server that can be killed, and comes back with its data; over its line it keeps its address."""

    def __init__(self, name: str, start: Callable[[], AbstractContextManager[Server]], lines: Lines) -> None:
        self.name, self._start, self._lines = name, start, lines
        self._running = ExitStack()
        server = self._running.enter_context(start())
        self.direct = server.url
        self.wire, self.url = lines.before(server.url)

    def kill(self, number: signal.Signals) -> None:
        """End it without a word, or as an operator would."""
        port = urlsplit(self.direct).port
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if any(each.laddr.port == port and each.status == "LISTEN" for each in process.net_connections("tcp")):
                    process.send_signal(number)
                    break
        self._running.close()

    def back(self) -> None:
        """Start it again on its data."""
        server = self._running.enter_context(self._start())
        self.direct = server.url
        self.wire.target = urlsplit(server.url).port or 0

    def close(self) -> None:
        self._running.close()


class Weather:
    """The system, and all that can befall it."""

    def __init__(self, made: System, launched: Fleet, broker: Mortal, database: Mortal, lines: Lines) -> None:
        self.system, self.fleet, self.broker, self.database = made, launched, broker, database
        self._lines = lines
        self.queues = sorted(queues({name: each.subscriptions for name, each in DEFINITIONS.items()}))
        self.prefix = made.environment["PUNCHCARD_BUS_PREFIX"]

    async def storm(self, seconds: float, seed: int) -> None:
        """One trouble after another, a moment between them, until time is up; each is told as it comes."""
        chance = random.Random(seed)
        began = time.monotonic()
        while (gone := time.monotonic() - began) < seconds:
            await asyncio.sleep(chance.uniform(0.2, 2))
            trouble = chance.choices(list(self.troubles), list(self.troubles.values()))[0]
            print(f"  {gone:6.1f} s  {await trouble(self, chance)}", flush=True)  # noqa: T201

    async def kill(self, chance: random.Random) -> str:
        """A replica dies."""
        name = chance.choice(NAMES)
        with suppress(psutil.NoSuchProcess):
            if victim := self._process(name):
                victim.kill()
        return f"killed {name}"

    async def stall(self, chance: random.Random) -> str:
        """A replica stands still for a while, with all it holds, and goes on."""
        name, seconds = chance.choice(NAMES), chance.uniform(1, 8)
        with suppress(psutil.NoSuchProcess):
            if victim := self._process(name):
                victim.suspend()
                await asyncio.sleep(seconds)
                victim.resume()
        return f"{name} stood still for {seconds:.1f} s"

    def _process(self, name: str) -> psutil.Process | None:
        """The process of a replica; None while it has none."""
        pid = next((each.pid for each in self.fleet.conditions() if each.name == name), None)
        return psutil.Process(pid) if pid else None

    async def cut(self, chance: random.Random) -> str:
        """All connections to the broker, or to PostgreSQL, are reset, a few times over."""
        server, times = chance.choice([self.broker, self.database]), chance.randint(1, 4)
        for _ in range(times):
            self._lines.do(server.wire.cut)
            await asyncio.sleep(0.3)
        return f"reset every connection to {server.name}, {times} times"

    async def dead_line(self, chance: random.Random) -> str:
        """Nothing passes to the broker, or to PostgreSQL, and nothing is closed."""
        server, seconds = chance.choice([self.broker, self.database]), chance.uniform(2, 12)
        self._lines.do(server.wire.freeze)
        await asyncio.sleep(seconds)
        self._lines.do(server.wire.thaw)
        return f"the line to {server.name} was dead for {seconds:.1f} s"

    async def server_dies(self, chance: random.Random) -> str:
        """The broker, or PostgreSQL, is killed and comes back."""
        server, seconds = chance.choice([self.broker, self.database]), chance.uniform(0, 4)
        number = chance.choice([signal.SIGKILL, signal.SIGTERM])
        await asyncio.to_thread(server.kill, number)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(server.back)
        return f"{number.name} to {server.name}, back after {seconds:.1f} s and its start"

    async def sessions_ended(self, chance: random.Random) -> str:
        """An operator ends sessions of PostgreSQL at random."""
        ended, share = 0, chance.uniform(0.1, 0.6)
        with suppress(OSError, asyncpg.PostgresError):
            connection = await asyncpg.connect(self.database.direct, timeout=5)
            ended = await connection.fetchval(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where backend_type = 'client backend' and pid <> pg_backend_pid() and random() < $1",
                share,
            )
            await connection.close()
        return f"ended {ended} sessions of PostgreSQL"

    async def queue_lost(self, chance: random.Random) -> str:
        """An operator deletes a queue, with whatever is in it."""
        name = chance.choice(self.queues)
        with suppress(OSError, TimeoutError, AMQPError):
            async with asyncio.timeout(5), await aio_pika.connect(self.broker.direct) as connection:
                await (await connection.channel()).queue_delete(self.prefix + name)
        return f"deleted the queue {name}"

    async def row_held(self, chance: random.Random) -> str:
        """Somebody holds every package for a while."""
        seconds = chance.uniform(1, 5)
        database = urlsplit(self.system.database_urls["packages"]).path
        with suppress(OSError, asyncpg.PostgresError):
            there = urlsplit(self.database.direct)._replace(path=database).geturl()
            connection = await asyncpg.connect(there, timeout=5, server_settings={"lock_timeout": "30s"})
            async with connection.transaction():
                await connection.execute("select 1 from packages for update")
                await asyncio.sleep(seconds)
            await connection.close()
        return f"every package was locked for {seconds:.1f} s"

    async def roll(self, chance: random.Random) -> str:
        """An operator replaces the replicas of a service."""
        name = chance.choice(SERVICES)
        await asyncio.to_thread(self.fleet.roll, [name])
        return f"replaced {name}"

    troubles: dict[Callable[["Weather", random.Random], Awaitable[str]], int] = {  # noqa: RUF012
        kill: 8,
        stall: 2,
        cut: 3,
        dead_line: 2,
        sessions_ended: 2,
        queue_lost: 1,
        row_held: 1,
        roll: 1,
        server_dies: 2,
    }

    async def calm(self) -> list[str]:
        """Wait until every replica is ready again, then do as `docs/runbooks/broker-lost.md` says; the dead queues."""
        async with asyncio.timeout(BACK_SECONDS):
            while any(each.state != "ready" for each in self.fleet.conditions()):  # noqa: ASYNC110 — processes, not tasks
                await asyncio.sleep(0.1)
        dead = [name for name in self.queues if not await self._consumed(name)]
        for name in dead:
            async with await aio_pika.connect(self.broker.direct) as connection:
                with suppress(TimeoutError, AMQPError):
                    async with asyncio.timeout(10):
                        await (await connection.channel()).queue_delete(self.prefix + name)
        command = (sys.executable, "-m", "services", "replay", "all", "--since", "2 hours")
        replaying = await asyncio.create_subprocess_exec(
            *command, env=self.system.environment, stdout=asyncio.subprocess.DEVNULL
        )
        assert await replaying.wait() == 0
        return dead

    async def _consumed(self, name: str) -> bool:
        """Whether somebody takes from a queue, or does within the time that a service needs to find its way back."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ATTACHED_SECONDS):
                while True:
                    with suppress(OSError, AMQPError):
                        async with await aio_pika.connect(self.broker.direct) as connection:
                            queue = await (await connection.channel()).declare_queue(self.prefix + name, passive=True)
                            if queue.declaration_result.consumer_count:
                                return True
                    await asyncio.sleep(0.5)
        return False


@contextmanager
def weather(folder: Path) -> Iterator[Weather]:
    """A system that everything can befall, on servers of its own."""
    with ExitStack() as stack:
        lines = Lines()
        stack.callback(lines.close)
        ways = {
            "the broker": partial(rabbitmq, None, FOR_TESTS, folder / "rabbitmq"),
            "PostgreSQL": partial(postgres, None, folder / "postgres", durable=True),
        }
        servers = []
        for name, start in ways.items():
            servers.append(Mortal(name, start, lines))
            stack.callback(servers[-1].close)
        broker, database = servers
        made = stack.enter_context(system(folder, database.url, broker.url, groups=APART, start=False))
        launched = stack.enter_context(behind_gateway(made, dict.fromkeys(SERVICES, REPLICAS)))
        yield Weather(made, launched, broker, database, lines)
