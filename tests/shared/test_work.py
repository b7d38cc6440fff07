"""Work that is due: done once, by one at a time, again if it fails, and never without its reason."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared import work
from shared.database import Context, Database, Db
from shared.ids import new_id
from shared.migrations import migrate
from shared.settings import Settings
from shared.work import AT_ONCE, LONGEST_PAUSE_SECONDS, Task, Workers, do, done, schedule, take, work_forever
from tests.harness.databases import Databases
from tests.shared.pair import BUSINESS, query, until

pytestmark = pytest.mark.servers

CONTEXT = Context(BUSINESS, "staff:test", date(2022, 9, 9), "because", "of this", "00-trace")
BELL = new_id()
SETTINGS = Settings.model_construct()


class Bench:
    """A database with work in it, and a worker that writes down what it did."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.works = Workers()
        self.rung: list[UUID] = []
        self.works("ring")(self.ring)

    async def ring(self, _: Database, task: Task) -> None:
        self.rung.append(task.subject_id)

    async def leave(self, subject_id: UUID = BELL, **options: Any) -> None:
        async with self.inside() as db:
            await schedule(db, "ring", subject_id, **options)

    @asynccontextmanager
    async def inside(self) -> AsyncIterator[Db]:
        """A transaction in the business of the test."""
        async with self.database.transaction() as db:
            await db.enter(CONTEXT)
            yield db

    async def once(self) -> int:
        """Do what is due, one after the other; how many were tried."""
        tried = 0
        while task := await take(self.database, SETTINGS, list(self.works.by_kind)):
            await do(self.database, self.works, task)
            tried += 1
        return tried

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A process works meanwhile."""
        working = asyncio.create_task(work_forever(self.database, self.works, SETTINGS))
        yield
        working.cancel()
        await asyncio.wait([working])

    async def heard(self) -> list[UUID]:
        return sorted(self.rung)

    async def rows(self) -> list[Any]:
        seconds = "extract(epoch from due_at - now())::float as seconds"
        return await query(self.database, f"select *, {seconds} from work order by subject_id")

    async def all_due(self) -> None:
        await query(self.database, "update work set due_at = now()")


@pytest.fixture
async def bench(databases: Databases) -> AsyncIterator[Bench]:
    await databases.make("work")
    await migrate("work", databases.url("work"))
    database = Database(databases.url("work"))
    await query(database, "truncate work")
    yield Bench(database)
    await database.close()


async def test_work_is_done_once_and_forgotten(bench: Bench) -> None:
    await bench.leave()
    assert await bench.once() == 1
    assert await bench.once() == 0
    assert bench.rung == [BELL]
    assert await bench.rows() == []


async def test_the_worker_knows_for_whom_and_why(bench: Bench) -> None:
    known: list[Task] = []

    async def ring(_: Database, task: Task) -> None:
        known.append(task)

    bench.works("ring")(ring)
    await bench.leave()
    await bench.once()
    (task,) = known
    assert (task.kind, task.subject_id, task.attempts) == ("ring", BELL, 1)
    assert task.settings is SETTINGS
    assert task.context == Context(BUSINESS, "staff:test", None, "because", "of this", "00-trace")


async def test_work_left_twice_is_done_once(bench: Bench) -> None:
    await asyncio.gather(*(bench.leave() for _ in range(5)))
    await bench.once()
    assert bench.rung == [BELL]
    assert await bench.rows() == []


async def test_leaving_a_deadline_again_does_not_move_it(bench: Bench) -> None:
    await bench.leave(after=timedelta(minutes=5))
    await bench.leave(after=timedelta(hours=5))
    await bench.leave()
    (row,) = await bench.rows()
    assert 290 < row.seconds <= 300
    assert await bench.once() == 0


async def test_work_of_a_transaction_that_fails_was_never_left(bench: Bench) -> None:
    with pytest.raises(ValueError, match="no"):
        async with bench.inside() as db:
            await schedule(db, "ring", BELL)
            raise ValueError("no")
    assert await bench.once() == 0


async def test_work_that_is_no_longer_needed_is_not_done(bench: Bench) -> None:
    await bench.leave()
    async with bench.inside() as db:
        await done(db, "ring", BELL)
    assert await bench.once() == 0


async def test_work_that_fails_is_tried_again_after_growing_pauses(bench: Bench) -> None:
    async def fail(_: Database, __: Task) -> None:
        raise ValueError("the rope\0 is torn")

    bench.works("ring")(fail)
    await bench.leave()
    for pause in (2, 4, 8, 16, 32, 64, 128, 256, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS):
        assert await bench.once() == 1
        (row,) = await bench.rows()
        assert pause - 2 <= row.seconds <= pause
        await bench.all_due()
    assert row.error.startswith("ValueError")
    bench.works("ring")(bench.ring)
    await bench.once()
    assert bench.rung == [BELL]


async def test_one_that_fails_harms_no_other(bench: Bench) -> None:
    bells = sorted(new_id() for _ in range(5))

    async def ring(database: Database, task: Task) -> None:
        if task.subject_id == bells[2]:
            raise ValueError("torn")
        await bench.ring(database, task)

    bench.works("ring")(ring)
    for bell in bells:
        await bench.leave(bell)
    await bench.once()
    assert sorted(bench.rung) == [*bells[:2], *bells[3:]]


async def test_two_workers_never_have_the_same_piece_in_hand(bench: Bench) -> None:
    bells = [new_id() for _ in range(20)]
    in_hand: set[UUID] = set()

    async def ring(database: Database, task: Task) -> None:
        assert task.subject_id not in in_hand
        in_hand.add(task.subject_id)
        await asyncio.sleep(0.02)
        in_hand.remove(task.subject_id)
        await bench.ring(database, task)

    bench.works("ring")(ring)
    for bell in bells:
        await bench.leave(bell)
    for _ in range(5):
        await asyncio.gather(*(bench.once() for _ in range(3)))
    assert sorted(bench.rung) == sorted(bells)


async def test_the_work_of_one_who_vanished_goes_to_another(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(BaseException):
        """As good as `kill -9`."""

    async def end(_: Database, __: Task) -> None:
        raise Ended

    monkeypatch.setattr(work, "LEASE_SECONDS", 0.3)
    bench.works("ring")(end)
    await bench.leave()
    with pytest.raises(Ended):
        await bench.once()
    bench.works("ring")(bench.ring)
    assert await bench.once() == 0, "while the lease lasts it may still be in hand"
    await asyncio.sleep(0.3)
    assert await bench.once() == 1
    assert bench.rung == [BELL]


async def test_who_takes_too_long_is_ended_before_another_may_begin(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dawdle(_: Database, __: Task) -> None:
        await asyncio.sleep(10)

    monkeypatch.setattr(work, "WORK_SECONDS", 0.1)
    bench.works("ring")(dawdle)
    await bench.leave()
    await bench.once()
    (row,) = await bench.rows()
    assert row.error.startswith("TimeoutError")


@pytest.mark.parametrize("succeeds", [True, False])
async def test_work_left_again_while_it_is_in_hand_is_done_once_more(bench: Bench, succeeds: bool) -> None:
    async def ring(database: Database, task: Task) -> None:
        await bench.ring(database, task)
        if len(bench.rung) == 1:
            await bench.leave()
            assert await bench.once() == 0, "not by another at the same time"
            if not succeeds:
                raise ValueError("torn")

    bench.works("ring")(ring)
    await bench.leave()
    await bench.once()
    await bench.once()
    assert bench.rung == [BELL, BELL]
    assert await bench.rows() == []


async def test_a_worker_may_leave_its_own_work_for_later(bench: Bench) -> None:
    async def ring(database: Database, task: Task) -> None:
        await bench.ring(database, task)
        await bench.leave(after=timedelta(minutes=5))

    bench.works("ring")(ring)
    await bench.leave()
    await bench.once()
    assert await bench.once() == 0
    (row,) = await bench.rows()
    assert 290 < row.seconds <= 300


async def test_work_left_by_this_process_is_begun_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "POLL_SECONDS", 60)

    async with bench.working():
        await asyncio.sleep(0.1)
        await bench.leave()
        await until(bench.heard, [BELL], seconds=2)


async def test_a_slow_piece_holds_up_no_other(bench: Bench) -> None:
    bells, slow, enough = sorted(new_id() for _ in range(3 * AT_ONCE)), new_id(), asyncio.Event()

    async def ring(database: Database, task: Task) -> None:
        if task.subject_id == slow:
            await enough.wait()
        await bench.ring(database, task)

    bench.works("ring")(ring)
    for bell in (slow, *bells):
        await bench.leave(bell)
    async with bench.working():
        await until(bench.heard, bells)
        enough.set()
        await until(bench.heard, sorted([slow, *bells]))


async def test_a_flood_of_one_kind_leaves_room_for_another(bench: Bench) -> None:
    enough, whistled = asyncio.Event(), asyncio.Event()

    async def ring(database: Database, task: Task) -> None:
        if len(await bench.rows()) > AT_ONCE:
            await whistled.wait()
        await bench.ring(database, task)

    async def whistle(_: Database, __: Task) -> None:
        whistled.set()
        await enough.wait()

    bench.works("ring")(ring)
    bench.works("whistle")(whistle)
    bells = sorted(new_id() for _ in range(2 * AT_ONCE))
    for bell in bells:
        await bench.leave(bell)
    async with bench.inside() as db:
        await schedule(db, "whistle", BELL, after=timedelta(microseconds=1))
    async with bench.working():
        await until(bench.heard, bells)
        enough.set()


async def test_work_left_again_while_it_is_in_hand_is_done_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "POLL_SECONDS", 60)

    async def ring(database: Database, task: Task) -> None:
        await bench.ring(database, task)
        if len(bench.rung) == 1:
            await bench.leave()

    bench.works("ring")(ring)
    await bench.leave()
    async with bench.working():
        await until(bench.heard, [BELL, BELL], seconds=2)


async def test_what_is_in_hand_when_the_process_leaves_is_finished(bench: Bench) -> None:
    begun, enough = asyncio.Event(), asyncio.Event()

    async def ring(database: Database, task: Task) -> None:
        begun.set()
        await enough.wait()
        await bench.ring(database, task)

    bench.works("ring")(ring)
    await bench.leave()
    working = asyncio.create_task(work_forever(bench.database, bench.works, SETTINGS))
    await begun.wait()
    working.cancel()
    asyncio.get_running_loop().call_later(0.1, enough.set)
    await asyncio.wait([working])
    assert bench.rung == [BELL]
    assert await bench.rows() == [], "nobody has to wait for a lease"
