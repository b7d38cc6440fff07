"""Two services and a broker that breaks between them: facts flow again by themselves, none lost, none doubled."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import asyncpg
import pytest
from prometheus_client import REGISTRY

from deploy.local.running.issuer import Issuer
from shared.bus import rabbit
from shared.http.health import backlog
from shared.ids import new_id
from tests.harness.databases import Databases
from tests.harness.proxy import Proxy, proxy
from tests.shared.broker import Broker
from tests.shared.pair import BellRang, MakeBus, pair, query, until

pytestmark = [pytest.mark.servers, pytest.mark.broker]

QUEUE = "listener.events"


@pytest.fixture
async def line(broker: Broker) -> AsyncIterator[tuple[Proxy, MakeBus]]:
    """The line to the broker, and a bus that goes over it."""
    async with proxy(broker.url) as (made, url):
        yield made, partial(broker.bus, url=url)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"punchcard_{name}", labels) or 0


async def test_facts_flow_again_after_a_line_was_dead(
    databases: Databases, issuer: Issuer, line: tuple[Proxy, MakeBus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbit, "PUBLISH_SECONDS", 0.5)
    bell, (wire, make_bus) = new_id(), line
    async with pair(databases, issuer, make_bus) as two:
        await two.tell(BellRang(bell_id=bell, number=1))
        await two.until_heard(bell, 1)
        wire.freeze()
        await two.tell(BellRang(bell_id=bell, number=2))
        await asyncio.sleep(1)
        assert await two.waiting() == 1, "what nobody confirmed stays in the outbox"
        wire.thaw()
        await two.tell(BellRang(bell_id=bell, number=3))
        await two.until_heard(bell, 1, 2, 3)
        await until(two.waiting, 0)
        assert await two.heard(bell) == [1, 2, 3]


async def test_a_dead_line_is_noticed_by_its_heartbeat(
    databases: Databases, issuer: Issuer, line: tuple[Proxy, MakeBus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbit, "HEARTBEAT_SECONDS", 1)
    wire, make_bus = line
    async with pair(databases, issuer, make_bus) as two:

        async def attached() -> float:
            return counted("consumer_attached", service=two.listener.service.name)

        await until(attached, 1.0)
        wire.freeze()
        await until(attached, 0.0)
        wire.thaw()
        await until(attached, 1.0)


async def test_a_line_cut_again_and_again_loses_and_doubles_nothing(
    databases: Databases, issuer: Issuer, line: tuple[Proxy, MakeBus]
) -> None:
    bell, (wire, make_bus) = new_id(), line
    async with pair(databases, issuer, make_bus) as two:

        async def heard() -> list[int]:
            return sorted(await two.heard(bell))

        for first in range(0, 500, 20):
            await two.tell(*(BellRang(bell_id=bell, number=n) for n in range(first, first + 20)))
            await asyncio.sleep(0.1)
            if first % 100 == 40:
                wire.cut()
        await until(heard, list(range(500)))
        await until(two.waiting, 0)
        assert await heard() == list(range(500))


async def test_services_start_without_the_broker_and_facts_wait_for_it(
    databases: Databases, issuer: Issuer, line: tuple[Proxy, MakeBus]
) -> None:
    bell, (wire, make_bus) = new_id(), line
    wire.freeze()
    async with pair(databases, issuer, make_bus) as two:
        await two.tell(BellRang(bell_id=bell, number=1))
        assert (await backlog(two.teller.database))["pending"] >= 1
        wire.thaw()
        await two.until_heard(bell, 1)


async def test_a_binding_that_somebody_removed_is_made_again(
    databases: Databases, issuer: Issuer, broker: Broker
) -> None:
    bell = new_id()
    async with pair(databases, issuer, broker.bus) as two:
        await two.tell(BellRang(bell_id=bell, number=1))
        await two.until_heard(bell, 1)
        await broker.unbind(QUEUE, BellRang.type)
        await two.tell(BellRang(bell_id=bell, number=2))
        await two.until_heard(bell, 1, 2)


async def test_a_queue_that_somebody_deleted_is_made_and_consumed_again(
    databases: Databases, issuer: Issuer, broker: Broker
) -> None:
    bell = new_id()
    async with pair(databases, issuer, broker.bus) as two:
        await two.tell(BellRang(bell_id=bell, number=1))
        await two.until_heard(bell, 1)
        await until(two.waiting, 0)
        await broker.delete(QUEUE)
        await two.tell(BellRang(bell_id=bell, number=2))
        await two.until_heard(bell, 1, 2)


@pytest.mark.parametrize("body", [b"\xff not json", b'{"id": 1}', b'[{"id": "1"}]', b"[[]]", b"7"])
async def test_bytes_that_nobody_can_read_are_put_aside_and_stop_nobody(
    databases: Databases, issuer: Issuer, broker: Broker, body: bytes
) -> None:
    bell = new_id()
    async with pair(databases, issuer, broker.bus) as two:
        await two.tell(BellRang(bell_id=bell, number=1))
        await two.until_heard(bell, 1)
        await broker.publish(BellRang.type, body)
        await two.tell(BellRang(bell_id=bell, number=2))
        await two.until_heard(bell, 1, 2)
        async with broker.queue("events.dead") as dead:
            message = await dead.get(timeout=5)
            await message.ack()
        assert message.body == body


async def test_a_message_brought_again_and_again_is_set_aside_untried_then_tried_alone(
    databases: Databases, issuer: Issuer, broker: Broker
) -> None:
    bell = new_id()
    async with pair(databases, issuer, broker.bus, listening=False) as two:
        await two.tell(BellRang(bell_id=bell, number=1))
        await until(two.waiting, 0)
        async with broker.queue(QUEUE) as queue:
            for _ in range(3):
                await (await queue.get(timeout=5)).reject(requeue=True)
        labels = {"service": "listener", "type": BellRang.type}
        before = counted("inbox_handled_total", outcome="retry", **labels)
        await two.listener.start()
        await two.until_heard(bell, 1)
        assert counted("inbox_handled_total", outcome="retry", **labels) == before + 1


async def test_messages_stay_with_the_broker_while_the_database_is_away(
    databases: Databases, issuer: Issuer, broker: Broker
) -> None:
    bell = new_id()
    admin = await asyncpg.connect(databases.admin_url)
    labels = {"service": "listener", "side": "consume"}
    async with pair(databases, issuer, broker.bus) as two:
        await until(lambda: query(two.listener.database, "select 1 as one"), [(1,)])
        name = two.listener.url.rpartition("/")[2]
        try:
            await admin.execute(f'alter database "{name}" connection limit 0')
            await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
            sessions = counted("bus_sessions_total", **labels)
            await two.tell(BellRang(bell_id=bell, number=1))
            await asyncio.sleep(3)
            assert counted("bus_sessions_total", **labels) <= sessions + 1
        finally:
            await admin.execute(f'alter database "{name}" connection limit -1')
            await admin.close()
        await two.until_heard(bell, 1)
        assert await two.failed(bell) == []
