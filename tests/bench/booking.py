"""S1: a booking, from the POST until it is confirmed."""

import statistics
from datetime import timedelta
from typing import Any

import asyncpg
import orjson

from shared.ids import new_id
from tests.bench.asking import Ask, Line, lines, rate
from tests.bench.figures import Figure, Found, Goal, Pairs
from tests.bench.place import PATIENCE_SECONDS, Place, cpu_seconds
from tests.bench.plain import Plain
from tests.harness.studio import FRIDAY, Studio

FIRST_HOUR, HOURS = 6, 16
IN_ALL = {"form": "paid_in_full", "session_count": 10_000, "price_minor": 90000, "name": "Many sessions"}


class Diaries:
    """Clients with a package and a practitioner each, so that no two want the same hour; and their next free hours."""

    def __init__(self, studio: Studio, people: list[tuple[str, str, str]]) -> None:
        self.studio, self.people = studio, people
        self._taken = [0] * len(people)

    def next_order(self, number: int) -> bytes:
        client_id, practitioner_id, package_id = self.people[number]
        day, hour = divmod(self._taken[number], HOURS)
        self._taken[number] += 1
        on = FRIDAY + timedelta(days=30 + day)
        who = {"client_id": client_id, "practitioner_id": practitioner_id}
        return orjson.dumps(self.studio.order(package_id, on, FIRST_HOUR + hour, **who))


async def diaries(studio: Studio, people: int) -> Diaries:
    """Each has more sessions than anybody can use."""
    template_id = await studio.template(**IN_ALL)
    made = []
    for number in range(people):
        client = {"name": f"Client {number}"}
        client_id = (await studio.owner.make("POST", "/catalog/v1/clients", client))["client_id"]
        practitioner = {"name": f"Coach {number}", "practitioner": True, "seller": True}
        staff_id = (await studio.owner.make("POST", "/catalog/v1/staff", practitioner))["staff_id"]
        made.append((client_id, staff_id))
    await studio.quiet()
    packages = [await studio.sell(template_id, client_id) for client_id, _ in made]
    await studio.quiet()
    return Diaries(studio, [(*who, package_id) for who, package_id in zip(made, packages, strict=True)])


def booked(path: str, orders: Diaries, headers: dict[str, str]) -> Ask:
    """A line books, and has a place when the answer comes."""

    async def ask(line: Line, number: int, _: int) -> None:
        body = orders.next_order(number)
        status, answer = await line.post(path, headers | {"idempotency-key": str(new_id())}, body)
        if status != 201:
            raise RuntimeError(f"a booking was answered {status}: {answer[:300]!r}")

    return ask


def as_staff(studio: Studio) -> dict[str, str]:
    token = studio.system.issuer.staff(studio.business_id)
    return {"authorization": f"Bearer {token}", "prefer": "wait=10"}


async def measure(place: Place) -> list[Found]:
    sizes = place.sizes
    beside = place.plain
    async with place.studio() as studio:
        ours, theirs = await diaries(studio, sizes.lines), await diaries(studio, sizes.lines)
        await _known_to(beside, theirs)
        used: dict[str, list[float]] = {"ours": [], "limit": []}

        async def book_ours() -> float:
            before = place.cpu_seconds()
            async with lines(place.system.urls["booking"], sizes.lines) as connected:
                ask = booked("/booking/v1/bookings", ours, as_staff(studio))
                done, per_second = await rate(connected, sizes.bookings, ask)
            await studio.observer.until_quiet(studio.business_id, PATIENCE_SECONDS)
            used["ours"].append((place.cpu_seconds() - before) / done)
            return per_second

        async def book_theirs() -> float:
            before = cpu_seconds(beside.process)
            async with lines(beside.url, sizes.lines) as connected:
                done, per_second = await rate(connected, sizes.bookings, booked("/bookings", theirs, {}))
            used["limit"].append((cpu_seconds(beside.process) - before) / done)
            return per_second

        pairs = await Pairs().take(sizes.rounds, book_ours, book_theirs)
    mine, other = (statistics.median(used[who]) * 1000 for who in ("ours", "limit"))
    return [
        Figure(
            "S1",
            f"bookings, POST until confirmed; {sizes.lines} clients, six services in one process",
            "/s",
            pairs.ours,
            Goal(0.5),
            pairs.limit,
            "FastAPI + asyncpg, the same rows in one service and one transaction",
            f"CPU of the process per booking, with its mail: {mine:.1f} ms, of the limit's {other:.1f} ms",
        )
    ]


async def _known_to(beside: Plain, orders: Diaries) -> None:
    connection: Any = await asyncpg.connect(beside.database_url)
    rows = [(package_id, client_id) for client_id, _, package_id in orders.people]
    await connection.executemany("insert into packages values ($1, $2, 1000000, 0)", rows)
    await connection.close()
