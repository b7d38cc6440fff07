"""Where a bench takes place: servers of its own that keep what they promise, and the six services in one process."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psutil

from deploy.local.running.observer import Observer
from deploy.local.running.system import SERVICES, System, served, system
from deploy.local.servers.kept import Process
from shared.ids import new_id
from tests.bench.figures import Sizes
from tests.bench.plain import Plain, plain
from tests.harness.databases import Databases
from tests.harness.studio import FRIDAY, Studio

PATIENCE_SECONDS = 300


@dataclass
class Place:
    """What every row may use."""

    postgres_url: str
    amqp_url: str
    folder: Path
    system: System
    process: Process
    """The six services."""
    plain: Plain
    """What bookings and callbacks are measured by."""
    names: Databases
    """Of databases beside those of the six services."""
    sizes: Sizes

    def cpu_seconds(self) -> float:
        """What the process of the six services has used of a processor."""
        return cpu_seconds(self.process)

    @asynccontextmanager
    async def studio(self, on: date = FRIDAY) -> AsyncIterator[Studio]:
        """A new business, left when it is at rest."""
        observer = Observer(self.system)
        studio = Studio(self.system, observer)
        try:
            await studio.open(on)
            yield studio
            await observer.until_quiet(studio.business_id, PATIENCE_SECONDS)
        finally:
            await studio.close()
            await observer.close()


def cpu_seconds(process: Process) -> float:
    used = psutil.Process(process.server_pid()).cpu_times()
    return float(used.user + used.system)


@contextmanager
def place(folder: Path, postgres_url: str, amqp_url: str, sizes: Sizes) -> Iterator[Place]:
    """The six services in one process on the embedded bus; the broker is for the rows that speak of it."""
    prefix = f"bench_{new_id().hex[-8:]}"
    with ExitStack() as stack:
        made = stack.enter_context(system(folder / "system", postgres_url, None, start=False, prefix=prefix))
        process = stack.enter_context(served(made, *SERVICES))
        names = Databases(postgres_url, f"{prefix}_beside")
        beside = stack.enter_context(plain(folder, names, made.environment))
        yield Place(postgres_url, amqp_url, folder, made, process, beside, names, sizes)
