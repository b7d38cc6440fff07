"""HTTP as cheap as it gets, so that who asks costs little beside who answers."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

LONGEST_SECONDS = 8
"""Of one round: a busy machine must not keep the whole bench waiting."""
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Line:
    """One kept connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.reader, self.writer, self.host = reader, writer, host

    async def post(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        return await self._ask("POST", path, {"content-type": "application/json", **headers}, body)

    async def get(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        return await self._ask("GET", path, headers, b"")

    async def _ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and body. The servers we ask say how long an answer is."""
        lines = [f"{method} {path} HTTP/1.1", f"host: {self.host}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        return int(head[9:12]), await self.reader.readexactly(int(length[1]) if length else 0)


@asynccontextmanager
async def lines(url: str, count: int) -> AsyncIterator[list[Line]]:
    """So many connections to a server."""
    place = urlsplit(url)
    opened = [await asyncio.open_connection(place.hostname, place.port) for _ in range(count)]
    try:
        yield [Line(reader, writer, place.netloc) for reader, writer in opened]
    finally:
        for _, writer in opened:
            writer.close()


Ask = Callable[[Line, int, int], Awaitable[None]]
"""What the n-th line does for the k-th time."""


async def rate(connected: Sequence[Line], count: int, ask: Ask) -> tuple[int, float]:
    """All lines ask as fast as they are answered, `count` times in all, unless it takes too long.

    Returns how often they did, and how often in a second.
    """
    done, began = 0, time.perf_counter()

    async def go(number: int, line: Line) -> None:
        nonlocal done
        for nth in range(count // len(connected)):
            if time.perf_counter() - began > LONGEST_SECONDS:
                return
            await ask(line, number, nth)
            done += 1

    await asyncio.gather(*(go(number, line) for number, line in enumerate(connected)))
    return done, done / (time.perf_counter() - began)


async def paced(connected: Sequence[Line], count: int, per_second: float, ask: Ask) -> list[float]:
    """Ask at a steady pace, whoever is free; milliseconds from when it was time to ask until the answer was there."""
    free: asyncio.Queue[tuple[int, Line]] = asyncio.Queue()
    for each in enumerate(connected):
        free.put_nowait(each)
    took: list[float] = []

    async def one(nth: int, due: float) -> None:
        number, line = await free.get()
        await ask(line, number, nth)
        took.append((time.perf_counter() - due) * 1000)
        free.put_nowait((number, line))

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for nth in range(count):
            due = began + nth / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(one(nth, due))
    return took
