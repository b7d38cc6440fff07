"""What the bus promises, on both transports: one suite, so that they cannot drift apart."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from deploy.local.running.issuer import Issuer
from shared.ids import new_id
from shared.outbox import replay
from tests.harness.databases import Databases
from tests.shared.pair import BellRang, LeafFell, MakeBus, NightFell, pair, query, until

pytestmark = pytest.mark.servers


async def test_a_committed_fact_is_handled_once(databases: Databases, issuer: Issuer, make_bus: MakeBus) -> None:
    bell = new_id()
    async with pair(databases, issuer, make_bus) as two:
        await two.tell(BellRang(bell_id=bell, number=1))
        await two.until_heard(bell, 1)
        await until(two.waiting, 0)
        await asyncio.sleep(0.3)
        assert await two.heard(bell) == [1]


async def test_a_rolled_back_fact_is_never_told(databases: Databases, issuer: Issuer, make_bus: MakeBus) -> None:
    bell = new_id()
    async with pair(databases, issuer, make_bus) as two:
        await two.tell(BellRang(bell_id=bell, number=1), rollback=True)
        await two.tell(BellRang(bell_id=bell, number=2))
        await two.until_heard(bell, 2)


async def test_facts_about_one_subject_keep_their_order(
    databases: Databases, issuer: Issuer, make_bus: MakeBus
) -> None:
    bells = [new_id() for _ in range(3)]
    async with pair(databases, issuer, make_bus) as two:
        for number in range(1, 41):
            await two.tell(*(BellRang(bell_id=bell, number=number) for bell in bells))
        for bell in bells:
            await two.until_heard(bell, *range(1, 41))


async def test_facts_wait_until_the_subscriber_is_there(
    databases: Databases, issuer: Issuer, make_bus: MakeBus
) -> None:
    bell = new_id()
    async with pair(databases, issuer, make_bus, listening=False) as two:
        await two.tell(BellRang(bell_id=bell, number=1))
        await asyncio.sleep(0.3)
        await two.listener.start()
        await two.until_heard(bell, 1)


async def test_a_fact_that_nobody_hears_leaves_the_outbox(
    databases: Databases, issuer: Issuer, make_bus: MakeBus
) -> None:
    async with pair(databases, issuer, make_bus) as two:
        await two.tell(LeafFell(leaf_id=new_id()))
        await until(two.waiting, 0)


async def test_bulk_facts_arrive_beside_the_others(databases: Databases, issuer: Issuer, make_bus: MakeBus) -> None:
    bell, night = new_id(), new_id()
    async with pair(databases, issuer, make_bus) as two:
        await two.tell(*(NightFell(bell_id=night, number=n) for n in range(1, 301)), BellRang(bell_id=bell, number=1))
        await two.until_heard(bell, 1)
        await two.until_heard(night, *range(1, 301))


async def test_one_that_fails_harms_no_other_and_is_tried_again(
    databases: Databases, issuer: Issuer, make_bus: MakeBus
) -> None:
    good, bad = new_id(), new_id()
    async with pair(databases, issuer, make_bus) as two:
        await two.tell(
            BellRang(bell_id=good, number=1),
            BellRang(bell_id=bad, number=1, trouble="fail"),
            BellRang(bell_id=good, number=2),
        )
        await two.until_heard(good, 1, 2)
        await until(lambda: _states(two.failed(bad)), [("ValueError: broken", False)])
        await query(two.listener.database, "update inbox_failed set next_attempt_at = now()")
        await until(lambda: _attempts(two.failed(bad)), [1])
        assert await two.heard(bad) == []


async def test_one_that_can_never_be_handled_is_parked(databases: Databases, issuer: Issuer, make_bus: MakeBus) -> None:
    bad = new_id()
    async with pair(databases, issuer, make_bus) as two:
        await two.tell(BellRang(bell_id=bad, number=1, trouble="reject"))
        await until(lambda: _states(two.failed(bad)), [("Reject: never", True)])


async def test_a_fact_told_again_by_the_log_is_dropped(databases: Databases, issuer: Issuer, make_bus: MakeBus) -> None:
    bell, after = new_id(), new_id()
    async with pair(databases, issuer, make_bus) as two:
        await two.tell(BellRang(bell_id=bell, number=1))
        await two.until_heard(bell, 1)
        await until(two.waiting, 0)
        assert await replay(two.teller.database, "1 hour") >= 1
        await two.tell(BellRang(bell_id=after, number=1))
        await two.until_heard(after, 1)
        await until(two.waiting, 0)
        assert await two.heard(bell) == [1]


async def _states(rows: Awaitable[list[Any]]) -> list[tuple[str, bool]]:
    return [(row.error, row.parked) for row in await rows]


async def _attempts(rows: Awaitable[list[Any]]) -> list[int]:
    return [row.attempts for row in await rows]
