"""What the broker's client would get wrong if it were let: each of these lost or stopped something once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.bus import rabbit
from shared.bus.rabbit import RabbitPublisher, guarded
from shared.outbox import Batch
from tests.harness.proxy import Proxy, proxy
from tests.shared.broker import Broker
from tests.shared.pair import BellRang, LeafFell

pytestmark = [pytest.mark.servers, pytest.mark.broker]

QUEUE = "listener.events"
HEARD = {"listener": frozenset({BellRang.type})}


def batch(row: int, of: type[BellRang] | type[LeafFell] = BellRang, *, event: str = "{}") -> Batch:
    return Batch(of.type, [row], [event])


@asynccontextmanager
async def publishing(broker: Broker) -> AsyncIterator[tuple[RabbitPublisher, Proxy]]:
    """A publisher, and the line between it and the broker."""
    async with proxy(broker.url) as (line, url), broker.bus(HEARD, url).publisher("teller") as publisher:
        yield publisher, line


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead broker is given up in a moment, not in a quarter of a minute."""
    for name, seconds in (("PUBLISH_SECONDS", 0.5), ("RPC_SECONDS", 0.5), ("CLOSE_SECONDS", 0.2)):
        monkeypatch.setattr(rabbit, name, seconds)


async def test_a_fact_that_reaches_no_queue_is_not_confirmed(broker: Broker) -> None:
    async with publishing(broker) as (publisher, _):
        assert await publisher.send([batch(1)]) == [1]
        await broker.unbind(QUEUE, BellRang.type)
        assert await publisher.send([batch(2)]) == []


async def test_of_several_in_flight_those_that_reach_no_queue_are_not_confirmed(broker: Broker) -> None:
    async with publishing(broker) as (publisher, _):
        await broker.unbind(QUEUE, BellRang.type)
        assert await publisher.send([batch(1), batch(2), batch(3, LeafFell), batch(4)]) == [3]


async def test_an_event_sent_twice_at_once_is_not_confirmed_when_it_reaches_no_queue(broker: Broker) -> None:
    same = '{"id":"019a0000-0000-7000-8000-000000000000"}'
    async with publishing(broker) as (publisher, _):
        await broker.unbind(QUEUE, BellRang.type)
        assert await publisher.send([batch(1, event=same), batch(2, event=same)]) == []


async def test_a_connection_cut_during_a_publish_is_a_connection_error(broker: Broker) -> None:
    async with publishing(broker) as (publisher, line):
        line.freeze()
        sending = asyncio.create_task(publisher.send([batch(row) for row in range(20)]))
        await asyncio.sleep(0.1)
        line.cut()
        with pytest.raises(ConnectionError):
            await sending
        with pytest.raises(ConnectionError):
            await publisher.send([batch(1)])


@pytest.mark.usefixtures("impatient")
async def test_a_publish_on_a_dead_line_is_given_up(broker: Broker) -> None:
    async with publishing(broker) as (publisher, line):
        line.freeze()
        started = time.monotonic()
        assert await publisher.send([batch(1), batch(2)]) == [], "so the relay ends the session, and builds another"
        assert time.monotonic() - started < 2


@pytest.mark.usefixtures("impatient")
async def test_a_session_with_a_broker_that_does_not_answer_is_given_up(broker: Broker) -> None:
    async with proxy(broker.url) as (line, url):
        line.freeze()
        started = time.monotonic()
        with pytest.raises(ConnectionError):
            async with broker.bus(HEARD, url).publisher("teller"):
                pass
        assert time.monotonic() - started < 2


@pytest.mark.usefixtures("impatient")
async def test_a_call_without_an_answer_is_given_up(broker: Broker) -> None:
    async with publishing(broker) as (publisher, line):
        line.freeze()
        with pytest.raises(ConnectionError):
            await guarded(publisher.session.channel.get_queue(broker.prefix + QUEUE))


async def test_a_call_whose_connection_breaks_is_a_connection_error(broker: Broker) -> None:
    async with publishing(broker) as (publisher, line):
        line.freeze()
        asking = asyncio.create_task(guarded(publisher.session.channel.get_queue(broker.prefix + QUEUE)))
        await asyncio.sleep(0.1)
        line.cut()
        with pytest.raises(ConnectionError):
            await asking


async def test_whoever_waits_for_a_call_can_still_be_cancelled(broker: Broker) -> None:
    async with publishing(broker) as (publisher, line):
        line.freeze()
        asking = asyncio.create_task(guarded(publisher.session.channel.get_queue(broker.prefix + QUEUE)))
        await asyncio.sleep(0.1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
