"""The plain service, running beside ours."""

import asyncio
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx

from deploy.local.running import here
from deploy.local.servers import free_ports, wait_for
from deploy.local.servers.kept import Process, running_process
from tests.bench.plain_service import TABLES
from tests.harness.databases import Databases

SECRET = "signed-by-the-bank"


@dataclass(frozen=True)
class Plain:
    """Where it is."""

    url: str
    database_url: str
    process: Process


@contextmanager
def plain(folder: Path, names: Databases, environment: Mapping[str, str]) -> Iterator[Plain]:
    """Start it with a new, empty database."""
    database_url = names.url("plain")
    asyncio.run(_make_tables(names, database_url))
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "tests.bench.plain_service", str(port), database_url, SECRET]
    with running_process(command, folder, name="plain", env=environment, stop_signal=signal.SIGTERM) as process:

        def ready() -> bool | None:
            try:
                return here.request("GET", f"http://127.0.0.1:{port}/docs", timeout=2).is_success or None
            except httpx.TransportError:
                return None

        wait_for("the plain service", ready, seconds=30, alive=process.alive, last_words=process.last_words)
        yield Plain(f"http://127.0.0.1:{port}", database_url, process)


async def _make_tables(names: Databases, database_url: str) -> None:
    await names.make("plain")
    owner = await asyncpg.connect(database_url)
    await owner.execute(TABLES)
    await owner.close()
