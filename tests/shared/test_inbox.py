"""Each fact handled once, and one that cannot be handled harms no other."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import select, text
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import BusinessRow, Db, Row, metadata
from shared.errors import Later, Reject
from shared.events.catalog import BusinessChanged
from shared.ids import new_id
from shared.inbox import AT_ONCE
from shared.migrations import secure
from shared.outbox import publish
from tests.harness.databases import Databases
from tests.shared.listening import Listening, listening, rang, ring_once
from tests.shared.pair import BellRang, LeafFell, write_down

pytestmark = pytest.mark.servers

BELL = new_id()


@pytest.fixture
async def listener(databases: Databases) -> AsyncIterator[Listening]:
    async with listening(databases) as made:
        yield made


async def test_a_fact_that_comes_again_is_dropped(listener: Listening) -> None:
    fact = rang(BELL, 1)
    await listener.consumer.process([fact])
    await listener.consumer.process([fact, rang(BELL, 2)])
    assert await listener.heard() == [1, 2]


async def test_a_fact_that_comes_twice_in_one_batch_is_handled_once(listener: Listening) -> None:
    good, bad = rang(BELL, 1), rang(BELL, 2, "fail")
    await listener.consumer.process([good, bad, good, bad, rang(BELL, 3)])
    assert await listener.heard() == [1, 3]
    assert [row.event_id for row in await listener.failed()] == [bad.id]


async def test_two_replicas_handed_the_same_facts_handle_each_once(listener: Listening) -> None:
    facts = [rang(BELL, number) for number in range(20)]
    await asyncio.gather(listener.consumer.process(facts), listener.consumer.process(facts[::-1]))
    assert sorted(await listener.heard()) == list(range(20))


async def test_one_that_fails_among_fifty_costs_only_itself(listener: Listening) -> None:
    tried: list[int] = []
    usual = listener.handlers.by_type[BellRang.type]

    async def note(db: Db, event: BellRang) -> None:
        tried.append(event.number)
        await usual(db, event)

    listener.handlers(BellRang)(note)
    facts = [rang(BELL, number, "fail" if number == 30 else "") for number in range(AT_ONCE)]
    await listener.consumer.process(facts)
    assert await listener.heard() == [number for number in range(AT_ONCE) if number != 30]
    assert [row.error for row in await listener.failed()] == ["ValueError: broken"]
    assert len(tried) == 31 + 1 + 49, "the batch as far as the bad one, the bad one alone, the others together"


async def test_a_commit_that_fails_is_blamed_on_the_fact_that_made_it_fail(listener: Listening) -> None:
    listener.handlers(BellRang)(ring_once)
    facts = [rang(BELL, number) for number in (1, 2, 1, 3)]
    await listener.consumer.process(facts)
    assert [row.number for row in await listener.rows("select number from once order by number")] == [1, 2, 3]
    (failed,) = await listener.failed()
    assert failed.event_id == facts[2].id
    assert "once_number_key" in failed.error


async def test_what_a_failing_handler_wrote_and_told_is_gone(listener: Listening) -> None:
    async def tell_then_fail(db: Db, event: BellRang) -> None:
        publish(db, LeafFell(leaf_id=event.bell_id))
        if event.number == 2:
            raise Reject("after it told")

    listener.handlers(BellRang)(tell_then_fail)
    await listener.consumer.process([rang(BELL, 1), rang(BELL, 2)])
    assert len(await listener.rows("select id from outbox")) == 1


async def test_what_can_never_be_handled_is_parked_at_once(listener: Listening) -> None:
    await listener.consumer.process([rang(BELL, 1, "reject"), rang(BELL, 5)])
    assert await listener.heard() == [5]
    assert [(row.error, row.next_attempt_at) for row in await listener.failed()] == [("Reject: never", None)]


async def test_what_only_a_newer_version_reads_or_handles_is_tried_again(listener: Listening) -> None:
    grown = [rang(BELL, 3, type="teller.bell_rang.v2"), rang(BELL, 4, type=7), rang(BELL, 5, data={"bell_id": "new"})]
    await listener.consumer.process(grown)
    failed = await listener.failed()
    assert [row.error.partition(":")[0] for row in failed] == ["NotHandledHere", "NotHandledHere", "ValidationError"]
    assert all(row.next_attempt_at for row in failed)


@pytest.mark.parametrize("suspected", [False, True])
async def test_what_is_set_aside_waits_there_though_the_bus_brings_it_again(
    listener: Listening, suspected: bool
) -> None:
    facts = [rang(BELL, 1, "fail"), rang(BELL, 2, "reject")]
    await listener.consumer.process(facts)
    before = await listener.rows("select * from inbox_failed order by event_id")
    listener.handlers(BellRang)(lambda db, event: write_down(db, event.model_copy(update={"trouble": ""})))
    await listener.consumer.process([*facts, *facts], suspected=suspected)
    assert await listener.rows("select * from inbox_failed order by event_id") == before
    assert await listener.heard() == []
    await listener.retry()
    assert await listener.heard() == [1]


async def test_an_error_that_cannot_be_written_down_as_it_is_stops_nobody(listener: Listening) -> None:
    async def complain(_: Db, event: BellRang) -> None:
        raise Reject(f"no \0 in {event.trouble}")

    listener.handlers(BellRang)(complain)
    await listener.consumer.process([rang(BELL, 1, "a name")])
    assert [row.error for row in await listener.failed()] == ["Reject: no  in a name"]


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03"])
async def test_what_may_succeed_the_next_time_is_tried_again_at_once(listener: Listening, state: str) -> None:
    usual, tries = listener.handlers.by_type[BellRang.type], 0

    async def stumble(db: Db, event: BellRang) -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise_it = f"do $$ begin raise exception 'stumbled' using errcode = '{state}'; end $$"
            await db.execute(text(raise_it))
        await usual(db, event)

    listener.handlers(BellRang)(stumble)
    await listener.consumer.process([rang(BELL, 1)])
    assert await listener.heard() == [1]
    assert await listener.failed() == []


async def test_two_batches_that_wait_for_each_other_both_succeed(listener: Listening) -> None:
    async def ring(db: Db, event: BellRang) -> None:
        await db.execute(text("update tally set rung = rung + 1 where number = :n"), {"n": event.number})
        await asyncio.sleep(0.1)

    listener.handlers(BellRang)(ring)
    await listener.rows("insert into tally values (1, 0), (2, 0)")
    there, back = [rang(BELL, 1), rang(BELL, 2)], [rang(BELL, 2), rang(BELL, 1)]
    await asyncio.gather(listener.consumer.process(there), listener.consumer.process(back))
    assert [tuple(row) for row in await listener.rows("select * from tally order by number")] == [(1, 2), (2, 2)]
    assert await listener.failed() == []


async def test_facts_of_two_businesses_in_one_batch_stay_apart(listener: Listening) -> None:
    seen: dict[UUID, list[int]] = {}
    one, other = new_id(), new_id()

    async def note(db: Db, event: BellRang) -> None:
        seen[db.context.business_id] = [*(await db.scalars(select(Note.number).order_by(Note.number)))]
        db.add(Note(note_id=new_id(), business_id=db.context.business_id, number=event.number))

    async def trespass(db: Db, _: BusinessChanged) -> None:
        db.add(Note(note_id=new_id(), business_id=other, number=99))

    listener.handlers(BellRang)(note)
    async with listener.database.engine.begin() as connection:
        await connection.run_sync(_make_notes)
    await listener.consumer.process(
        [rang(BELL, number, business_id=one if number % 2 else other) for number in range(6)]
    )
    assert seen == {one: [1, 3], other: [0, 2]}
    assert await listener.rows("select * from note") == [], "outside of a business nothing is seen"
    listener.handlers.by_type[BellRang.type] = trespass
    await listener.consumer.process([rang(BELL, 7, business_id=one)])
    (failed,) = await listener.failed()
    assert "row-level security" in failed.error


async def test_a_handler_may_ask_for_patience(listener: Listening) -> None:
    patience = 3  # together, alone, and at the first retry
    usual = listener.handlers.by_type[BellRang.type]

    async def wait_for_the_rope(db: Db, event: BellRang) -> None:
        nonlocal patience
        patience -= 1
        if patience >= 0:
            raise Later("no rope yet")
        await usual(db, event)

    listener.handlers(BellRang)(wait_for_the_rope)
    await listener.consumer.process([rang(BELL, 1)])
    await listener.retry()
    assert [row.error for row in await listener.failed()] == ["Later: no rope yet"]
    await listener.retry()
    assert await listener.heard() == [1]
    assert await listener.failed() == []


class Notes(Row):
    """The tables of this file."""

    __abstract__ = True
    metadata = metadata()


class Note(Notes, BusinessRow):
    """A number that a business heard."""

    __tablename__ = "note"

    note_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int]


def _make_notes(connection: Connection) -> None:
    Notes.metadata.drop_all(connection)
    Notes.metadata.create_all(connection)
    with Operations.context(MigrationContext.configure(connection)):
        secure("note")
