"""S11: `./dev up` once more, when all that it makes is there; and the memory of the services in one process."""

import subprocess
import sys
import time
from pathlib import Path

import psutil

from deploy.local.servers import ROOT
from tests.bench.figures import Figure, Found, Goal
from tests.bench.place import Place

READY = "Ctrl-C stops it."
LARGEST_MB = 250


def start(state: Path) -> tuple[float, float]:
    """Seconds until a person may look around, and the megabytes of the services then."""
    command = [sys.executable, "-m", "deploy.local", "up", "--embedded", "--state", str(state)]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        said = iter(process.stdout or ())
        if not any(line.startswith(READY) for line in said):
            raise RuntimeError("`./dev up` ended before it was ready")
        took = time.perf_counter() - began
        below = psutil.Process(process.pid).children(recursive=True)
        services = next(each for each in below if {"services", "run"} <= set(each.cmdline()))
        megabytes = services.memory_info().rss / 2**20
        process.terminate()
        list(said)
    return took, megabytes


async def measure(place: Place) -> list[Found]:
    first, *again = [start(place.folder / "up") for _ in range(place.sizes.starts)]
    seconds, megabytes = zip(*(again or [first]), strict=True)
    work = "`./dev up --embedded` again, until ready: PostgreSQL, bank, mail and the six services"
    note = f"The first time, which makes the databases: {first[0]:.1f} s"
    soon, small = (Goal(value, at_most=True, of_ratio=False) for value in (5, LARGEST_MB))
    return [
        Figure("S11", work, "s", seconds, soon, note=note),
        Figure("S11", "memory of the six services in one process, just started", "MB", megabytes, small),
    ]
