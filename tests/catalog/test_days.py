"""Each date starts once at a business: whatever its zone does, whoever else is at work, and whatever dies (R-08)."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from alembic import command
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from services.catalog import actions, rules, workers
from services.catalog.api.business import ZONES
from shared.clock import BusinessClock
from shared.database import Context
from shared.events.catalog import BusinessChanged, BusinessDayStarted
from shared.ids import new_id
from shared.migrations import config, migrate
from shared.work import Task
from tests.catalog.conftest import PROFILE, TUESDAY, Book
from tests.harness.databases import Databases
from tests.harness.room import ZONE
from tests.shared.pair import until

EARLIEST, LATEST = "Pacific/Kiritimati", "Pacific/Niue"
"""The first zone to see a date, and one that sees it when it is over there."""
SECOND = timedelta(seconds=1)
zones = st.sampled_from(sorted(ZONES))
instants = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def date_at(zone: str, instant: datetime) -> date:
    return BusinessClock(zone, instant).now().date()


# The next date starts


@pytest.mark.parametrize(
    ("zone", "started", "now", "starts"),
    [
        pytest.param(ZONE, "2022-10-01", "2022-10-01T23:59:00+10:00", "2022-10-01T14:00:00Z", id="a minute before"),
        pytest.param(ZONE, "2022-10-02", "2022-10-02T00:01:00+10:00", "2022-10-02T13:00:00Z", id="a day of 23 hours"),
        pytest.param(ZONE, "2023-04-02", "2023-04-02T00:00:00+11:00", "2023-04-02T14:00:00Z", id="a day of 25 hours"),
        pytest.param(
            "America/Sao_Paulo", "2018-11-03", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z", id="no midnight"
        ),
        pytest.param(
            "America/Havana", "2022-11-05", "2022-11-05T12:00:00Z", "2022-11-06T04:00:00Z", id="two midnights"
        ),
        pytest.param(
            "America/St_Johns", "2010-11-06", "2010-11-07T02:45:00Z", "2010-11-07T03:30:00Z", id="the first was missed"
        ),
        pytest.param("Pacific/Apia", "2011-12-29", "2011-12-30T00:00:00Z", "2011-12-30T10:00:00Z", id="no such date"),
        pytest.param(LATEST, "2022-09-14", "2022-09-13T12:00:00Z", "2022-09-15T11:00:00Z", id="moved to the west"),
    ],
)
def test_the_next_date_starts_at_its_own_midnight(zone: str, started: str, now: str, starts: str) -> None:
    after = rules.next_start(date.fromisoformat(started), zone, datetime.fromisoformat(now))
    assert after == datetime.fromisoformat(starts)


@given(zone=zones, now=instants)
def test_no_date_is_lost_and_none_starts_early(zone: str, now: datetime) -> None:
    started = date_at(zone, now)
    for _ in range(40):
        starts = rules.next_start(started, zone, now)
        assert starts > now
        assert date_at(zone, starts - SECOND) <= started < date_at(zone, starts)
        now, started = starts, date_at(zone, starts)


@given(before=zones, after=zones, now=instants, late=st.timedeltas(timedelta(), timedelta(days=3)))
def test_a_new_zone_and_a_late_worker_still_have_a_next_date(
    before: str, after: str, now: datetime, late: timedelta
) -> None:
    started = date_at(before, now)
    now += late
    started = max(started, date_at(after, now))
    starts = rules.next_start(started, after, now)
    assert starts > now
    assert date_at(after, starts) > started


# On PostgreSQL


async def told(book: Book) -> list[str]:
    """The dates that have started, in the order in which they were told."""
    facts = await book.room.facts(book.business_id, BusinessDayStarted)
    return [str(fact.business_date) for fact in facts if isinstance(fact, BusinessDayStarted)]


async def waiting(book: Book) -> list[Any]:
    """The work that the business left."""
    async with book.room.inside(book.business_id) as db:
        return list(await db.execute(text("select * from work where business_id = :id"), {"id": book.business_id}))


async def yesterday(book: Book, *, due: bool) -> str:
    """Turn the row back by a day, as if today had not been told; the next date may be due at once."""
    async with book.room.inside(book.business_id) as db:
        await db.execute(text("update started_days set started_date = started_date - 1"))
        if due:
            wake = "update work set due_at = now() where business_id = :id"
            await db.execute(text(wake), {"id": book.business_id})
        return str(db.today)


def task(book: Book) -> Task:
    """What a worker of another replica would have in hand."""
    context = Context(book.business_id, "staff:test")
    running = book.room.running
    return Task("start_day", book.business_id, 1, datetime.now(UTC), context, running.settings)


@pytest.mark.servers
async def test_the_description_is_told_before_the_day(timed: Book) -> None:
    facts = await timed.room.facts(timed.business_id)
    assert [type(fact) for fact in facts] == [BusinessChanged, BusinessDayStarted]
    assert await told(timed) == ["2022-09-13"]


@pytest.mark.servers
async def test_a_test_clock_starts_each_date_once_and_a_jump_only_the_newest(timed: Book) -> None:
    for now in (
        "2022-10-01T23:59:00+10:00",
        "2022-10-02T00:01:00+10:00",
        "2022-10-02T23:59:00+11:00",
        "2022-12-24T08:00Z",
    ):
        await timed.ask("PUT", "business/clock", {"now": now})
    assert await told(timed) == ["2022-09-13", "2022-10-01", "2022-10-02", "2022-12-24"]
    assert await waiting(timed) == []


@pytest.mark.servers
async def test_a_new_zone_starts_no_date_again(timed: Book) -> None:
    """R-10."""
    for zone in (LATEST, EARLIEST, LATEST, ZONE):
        await timed.ask("PUT", "business", PROFILE | {"zone": zone})
    await timed.ask("PUT", "business/clock", {"now": "2022-09-14T00:00:00+10:00"})
    assert await told(timed) == ["2022-09-13", "2022-09-14"]


@pytest.mark.servers
@pytest.mark.parametrize("zone", [EARLIEST, LATEST, ZONE])
async def test_in_real_time_one_piece_of_work_waits_for_the_next_midnight(book: Book, zone: str) -> None:
    for name in ("Loft", "Attic"):
        await book.ask("PUT", "business", PROFILE | {"name": name, "zone": EARLIEST})
    await book.ask("PUT", "business", PROFILE | {"zone": zone})
    (row,) = await waiting(book)
    newest = date.fromisoformat((await told(book))[-1])
    assert newest == date_at(EARLIEST, datetime.now(UTC))
    midnight = datetime.combine(newest + timedelta(days=1), datetime.min.time(), ZoneInfo(zone))
    assert (row.kind, row.subject_id, row.attempts) == ("start_day", book.business_id, 0)
    assert abs(row.due_at - midnight.astimezone(UTC)) < timedelta(seconds=5)


@pytest.mark.servers
async def test_the_worker_starts_the_date_and_waits_for_the_next(book: Book) -> None:
    (before,) = await waiting(book)
    today = await yesterday(book, due=True)
    book.room.running.database.scheduled.set()

    async def seen() -> Any:
        return await told(book), [(row.attempts, row.due_at > datetime.now(UTC)) for row in await waiting(book)]

    await until(seen, ([today, today], [(0, True)]))
    (after,) = await waiting(book)
    assert abs(after.due_at - before.due_at) < timedelta(seconds=5)
    assert after.context["actor"] == "service:catalog"
    assert after.context["correlation_id"] != before.context["correlation_id"]


@pytest.mark.servers
async def test_workers_at_once_start_a_date_once(book: Book) -> None:
    today = await yesterday(book, due=False)
    database = book.room.running.database
    profile = book.ask("PUT", "business", PROFILE | {"name": "Loft"})
    await asyncio.gather(profile, *(workers.start_day(database, task(book)) for _ in range(5)))
    assert await told(book) == [today, today]
    assert len(await waiting(book)) == 1


@pytest.mark.servers
async def test_what_dies_half_way_has_told_nothing_and_is_repeated(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    today = await yesterday(book, due=False)
    (before,) = await waiting(book)

    async def die(*_: Any, **__: Any) -> None:
        raise ConnectionError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(actions, "schedule", die)
        with pytest.raises(ConnectionError):
            await workers.start_day(book.room.running.database, task(book))
    assert (await told(book), await waiting(book)) == ([today], [before])
    await workers.start_day(book.room.running.database, task(book))
    assert await told(book) == [today, today]


@pytest.mark.servers
async def test_businesses_from_before_the_days_get_theirs(databases: Databases) -> None:
    await databases.make("days")
    url = databases.url("days")
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    business_id, on_test_clock = new_id(), new_id()
    row = "insert into business values (:id, 1, 'Studio', 'Australia/Sydney', 'AUD', 'desk@studio.example', :test_now)"
    async with engine.begin() as connection:
        for version in ("plumbing_0001", "catalog_0001"):
            await connection.run_sync(upgrade, version)
        for known, test_now in ((business_id, None), (on_test_clock, datetime.fromisoformat(TUESDAY))):
            await connection.execute(text(row), {"id": known, "test_now": test_now})
    await migrate("catalog", url)
    async with engine.begin() as connection:
        work = (await connection.execute(text("select kind, subject_id, attempts from work"))).all()
    assert [tuple(piece) for piece in work] == [("start_day", business_id, 0)]
    await engine.dispose()


def upgrade(connection: Connection, version: str) -> None:
    alembic = config("catalog")
    alembic.attributes["connection"] = connection
    command.upgrade(alembic, version)
