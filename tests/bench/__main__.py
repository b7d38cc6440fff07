"""`./dev bench` runs this: every row, or those that are named, on servers of their own."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from deploy.local.servers import CACHE, NoServer
from deploy.local.servers.postgres import postgres
from deploy.local.servers.rabbitmq import FOR_TESTS, rabbitmq
from shared import log
from tests.bench import table
from tests.bench.figures import FULL, USUAL, Found
from tests.bench.noise import Noise
from tests.bench.place import Place, place
from tests.bench.rows import ROWS

Heard = Callable[[list[Found]], None]
"""Told all that was found so far, after each row: who breaks off a long run keeps what it had."""


async def _measure(rows: list[str], where: Place, noise: Noise, tell: Heard) -> list[Found]:
    found: list[Found] = []
    for row in rows:
        await noise.sample()
        began = time.monotonic()
        found += await ROWS[row](where)
        print(f"  {row}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        tell(found)
    await noise.sample()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], metavar="ROW")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    log.configure()
    began = time.monotonic()
    CACHE.mkdir(exist_ok=True)
    try:
        # On the disk that keeps the project: where temporary files lie in memory, nothing waits for a disk.
        with (
            tempfile.TemporaryDirectory(prefix="bench-", dir=CACHE) as made,
            postgres(None, Path(made) / "postgres", durable=True) as database,
            rabbitmq(None, FOR_TESTS, Path(made) / "rabbitmq") as broker,
        ):
            print(f"  {database.origin}\n  {broker.origin}", file=sys.stderr, flush=True)
            noise = Noise(database.url)
            origins = {"postgres": database.origin, "rabbitmq": broker.origin}

            def keep(found: list[Found]) -> None:
                if asked.json:
                    table.write(asked.json, found, noise.samples, origins)

            with place(Path(made), database.url, broker.url, FULL if asked.full else USUAL) as where:
                found = asyncio.run(_measure(asked.rows or list(ROWS), where, noise, keep))
    except NoServer as failure:
        sys.exit(f"dev: {failure}")
    table.show(found, noise.samples, (time.monotonic() - began) / 60)


if __name__ == "__main__":
    main()
