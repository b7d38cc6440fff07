"""How steady the machine is while it is measured: the same two small things, again and again between the rows."""

import time

import asyncpg

LOOPS, INSERTS = 3, 10


class Noise:
    """A loop that only counts, and a row that is safe on the disk before the answer comes."""

    def __init__(self, postgres_url: str) -> None:
        self.postgres_url = postgres_url
        self.samples: dict[str, list[float]] = {"a counting loop, ms": [], "an insert and its fsync, ms": []}

    async def sample(self) -> None:
        counting, inserting = self.samples.values()
        for _ in range(LOOPS):
            began = time.perf_counter()
            sum(number * number for number in range(200_000))
            counting.append((time.perf_counter() - began) * 1000)
        connection = await asyncpg.connect(self.postgres_url)
        try:
            await connection.execute("create table if not exists noise (number int)")
            for number in range(INSERTS):
                began = time.perf_counter()
                await connection.execute("insert into noise values ($1)", number)
                inserting.append((time.perf_counter() - began) * 1000)
        finally:
            await connection.close()
