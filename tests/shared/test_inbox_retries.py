"""What could not be handled is tried again on a schedule, and a database that is away is nobody's fault."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import BaseModel, ValidationError
from sqlalchemy import text

from shared import inbox
from shared.database import Db, is_away
from shared.errors import Conflict, Later, NotYetKnown, Reject
from shared.ids import new_id
from shared.retrying import LATER_SECONDS, LATER_UNTIL, SCHEDULE_SECONDS, next_try
from tests.harness.databases import Databases
from tests.harness.proxy import proxy
from tests.shared.listening import Listening, listening, rang
from tests.shared.pair import BellRang

servers = pytest.mark.servers

BELL = new_id()
YOUNG, OLD = timedelta(), LATER_UNTIL


@pytest.fixture
async def listener(databases: Databases) -> AsyncIterator[Listening]:
    async with listening(databases) as made:
        yield made


def _shapeless() -> ValidationError:
    class Shape(BaseModel):
        number: int

    with pytest.raises(ValidationError) as raised:
        Shape.model_validate({})
    return raised.value


@pytest.mark.parametrize("error", [KeyError("x"), _shapeless(), Later(), NotYetKnown("client", 1)])
def test_what_fails_is_tried_again_with_growing_pauses_then_parked(error: Exception) -> None:
    for attempts, seconds in enumerate(SCHEDULE_SECONDS):
        pause = next_try(error, attempts, OLD)
        assert pause is not None
        assert 0.8 * seconds <= pause <= 1.2 * seconds
    assert next_try(error, len(SCHEDULE_SECONDS), OLD) is None


@pytest.mark.parametrize("error", [Later(), NotYetKnown("client", 1)])
def test_what_is_early_waits_two_seconds_at_a_time_however_often(error: Exception) -> None:
    assert {next_try(error, attempts, YOUNG) for attempts in (0, 7, 300)} == {LATER_SECONDS}


@pytest.mark.parametrize("error", [Reject(), Conflict()])
def test_what_no_retry_can_help_is_parked(error: Exception) -> None:
    assert next_try(error, 0, YOUNG) is None


@servers
async def test_a_failing_fact_goes_through_the_whole_schedule(listener: Listening) -> None:
    await listener.consumer.process([rang(BELL, 1, "fail")])
    for attempts, seconds in enumerate(SCHEDULE_SECONDS):
        (row,) = await listener.failed()
        assert row.attempts == attempts
        assert 0.8 * seconds - 5 <= row.seconds <= 1.2 * seconds
        await listener.retry()
    (row,) = await listener.failed()
    assert row.next_attempt_at is None
    await listener.retry()
    assert await listener.heard() == []


@servers
async def test_waiting_uses_up_no_part_of_the_schedule(listener: Listening) -> None:
    await listener.consumer.process([rang(BELL, 1, "later")])
    for _ in range(len(SCHEDULE_SECONDS) + 2):
        await listener.retry()
        (row,) = await listener.failed()
        assert (row.attempts, row.error) == (0, "Later: not yet")
        assert 0 < row.seconds <= LATER_SECONDS
    await listener.rows("update inbox_failed set first_failed_at = now() - interval '11 minutes'")
    seen = []
    while (await listener.failed())[0].next_attempt_at is not None:
        await listener.retry()
        seen.append((await listener.failed())[0].attempts)
    assert seen == [1, 2, 3, 4, 5, 6]


@servers
async def test_one_that_succeeds_after_all_leaves_no_trace_of_its_failure(listener: Listening) -> None:
    fact = rang(BELL, 1, "fail")
    await listener.consumer.process([fact])
    listener.handlers(BellRang)(_succeed)
    await listener.retry()
    assert await listener.failed() == []
    await listener.consumer.process([fact])
    assert await listener.heard() == [1]


@servers
async def test_one_under_suspicion_is_not_tried_until_it_is_alone(listener: Listening) -> None:
    facts = [rang(BELL, 1), rang(BELL, 2)]
    await listener.consumer.process(facts, suspected=True)
    assert await listener.heard() == []
    assert len(await listener.failed()) == 2
    await listener.retry()
    assert sorted(await listener.heard()) == [1, 2]


@servers
async def test_one_that_ends_the_process_at_each_try_is_parked_and_harms_no_other(listener: Listening) -> None:
    class Ended(BaseException):
        """As good as `kill -9`: nothing of ours gets to run."""

    async def end(db: Db, event: BellRang) -> None:
        if event.number == 2:
            raise Ended
        await _succeed(db, event)

    listener.handlers(BellRang)(end)
    await listener.consumer.process([rang(BELL, number) for number in (1, 2, 3)], suspected=True)
    for _ in range(len(SCHEDULE_SECONDS)):
        with pytest.raises(Ended):
            await listener.retry()
    await listener.retry()
    (row,) = await listener.failed()
    assert row.next_attempt_at is None
    assert "end the process" in row.error
    assert sorted(await listener.heard()) == [1, 3]


@servers
@pytest.mark.parametrize("trouble", ["cut", "freeze"])
async def test_a_database_that_goes_away_is_the_fault_of_no_fact(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(inbox, "TOGETHER_SECONDS", 0.5)
    monkeypatch.setattr(inbox, "ANSWER_SECONDS", 0.5)
    async with proxy(databases.url("inbox")) as (line, url), listening(databases, url) as listener:

        async def lose_the_line(db: Db, event: BellRang) -> None:
            await _succeed(db, event)
            if event.number == 2:
                getattr(line, trouble)()

        listener.handlers(BellRang)(lose_the_line)
        await asyncio.gather(*(listener.rows("select pg_sleep(0.05)") for _ in range(5)))  # five lines to lose
        facts = [rang(BELL, number) for number in (1, 2, 3)]
        with pytest.raises(Exception) as raised:
            await listener.consumer.process(facts)
        assert is_away(raised.value)
        line.thaw()
        await listener.database.close()  # the other lines are dead too; the next ones are new
        listener.handlers(BellRang)(_succeed)
        assert await listener.failed() == []
        assert await listener.heard() == []
        await listener.consumer.process(facts)
        assert await listener.heard() == [1, 2, 3]


async def _succeed(db: Db, event: BellRang) -> None:
    row = {"bell_id": event.bell_id, "number": event.number}
    await db.execute(text("insert into heard (bell_id, number) values (:bell_id, :number)"), row)
