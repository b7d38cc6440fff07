"""S10: what is asked of a package with a long past costs what it costs with a short one."""

import time
from datetime import UTC, datetime
from statistics import median

from sqlalchemy import text

from tests.bench.asking import Line, lines
from tests.bench.booking import Diaries, as_staff, booked, diaries
from tests.bench.figures import Figure, Found, Goal, Unmeasured
from tests.bench.place import Place
from tests.harness.studio import Studio

LONG_AGO = datetime(1900, 1, 1, tzinfo=UTC)
PIECE = 20_000
"""Bookings in one statement: none may take longer than statements may."""
ATTENDED = (
    "with past as materialized (select new_id() as id, start from generate_series(cast(:first as int), cast(:last as"
    " int)) nth cross join lateral (select cast(:long_ago as timestamptz) + nth * interval '1 hour') as at (start))"
)
PAST = {
    "booking": ATTENDED
    + "insert into bookings (booking_id, business_id, client_id, package_id, service_id, practitioner_id, during,"
    " session_date, state, sequence, decide_by, late_cancel_hours) select id, :business_id, :client, :package,"
    " :service, :practitioner, tstzrange(start, start + interval '1 hour'), cast(start as date), 'attended', 3,"
    " start, 0 from past",
    "packages": ATTENDED
    + ", hold as (insert into holds (booking_id, business_id, sequence, state, package_id, service_id, starts_at,"
    " session_date, outcome) select id, :business_id, 3, 'consumed', :package, :service, start, cast(start as date),"
    " 'attended' from past)"
    ", entry as (insert into ledger_entries (entry_id, business_id, package_id, kind, quantity, booking_id, actor,"
    " cause_id, business_date) select new_id(), :business_id, :package, kind, 1, id, 'service:bench', 'bench',"
    " cast(start as date) from past cross join (values ('held'), ('consumed')) as of (kind))"
    " update packages set consumed = consumed + came, allocated = allocated + came"
    " from (select count(*) as came from past) past where package_id = :package",
}
SEARCH = Unmeasured(
    "S10", "the search for available sessions over 1,000,000 bookings", "There is no such search in the API yet"
)


async def live_through(studio: Studio, orders: Diaries, number: int, entries: int) -> None:
    """Somebody has attended so long that their package's ledger has so many entries: two of each booking."""
    client_id, practitioner_id, package_id = orders.people[number]
    who = {"client": client_id, "practitioner": practitioner_id, "package": package_id, "service": studio.training}
    for first in range(1, entries // 2 + 1, PIECE):
        last = min(first + PIECE - 1, entries // 2)
        for service, script in PAST.items():
            await studio.write(service, script, first=first, last=last, long_ago=LONG_AGO, **who)


async def _tidy(studio: Studio) -> None:
    """As autovacuum would have it."""
    for service in PAST:
        await studio.observer.databases[service].alone(text("vacuum analyze"), {})


async def measure(place: Place) -> list[Found]:
    sizes = place.sizes
    short, long = sizes.ledger
    booking: dict[int, list[float]] = {0: [], 1: []}
    balance: dict[int, list[float]] = {0: [], 1: []}
    async with place.studio() as studio:
        orders = await diaries(studio, 2)
        for number, entries in enumerate(sizes.ledger):
            await live_through(studio, orders, number, entries)
        await _tidy(studio)
        staff = as_staff(studio)
        book = booked("/booking/v1/bookings", orders, staff)

        async def look(line: Line, number: int, _: int) -> None:
            status, answer = await line.get(f"/packages/v1/packages/{orders.people[number][2]}", staff)
            if status != 200:
                raise RuntimeError(f"a package was answered {status}: {answer[:300]!r}")

        async with lines(place.system.urls["booking"], 1) as (line,):
            for _ in range(sizes.rounds):
                for found, ask in ((booking, book), (balance, look)):
                    took: dict[int, list[float]] = {0: [], 1: []}
                    for nth in range(sizes.reads):
                        for number in ((0, 1), (1, 0))[nth % 2]:
                            began = time.perf_counter()
                            await ask(line, number, nth)
                            took[number].append((time.perf_counter() - began) * 1000)
                    for number, each in took.items():
                        found[number].append(median(each))
    goal, limit = Goal(1.1, at_most=True), f"the same at {short:,}"
    whole = long >= 1_000_000
    work = f"from a package with {long:,} ledger entries"
    return [
        Figure("S10", f"a booking {work}", "ms", booking[1], goal, booking[0], limit, whole=whole),
        Figure("S10", f"the balance {work}", "ms", balance[1], goal, balance[0], limit, whole=whole),
        SEARCH,
    ]
