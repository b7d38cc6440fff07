"""The bus of the contract suite: both transports, each with names of its own."""

from collections.abc import AsyncIterator, Iterator

import aio_pika
import pytest

from shared.bus import Bus, Subscriptions, queues
from shared.bus.local import LocalBus
from shared.bus.rabbit import RabbitBus
from shared.ids import new_id
from tests.shared.pair import MakeBus


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.broker)])
def make_bus(request: pytest.FixtureRequest) -> Iterator[MakeBus]:
    """Makes a bus for some subscriptions, over the transport of this round."""
    if request.param == "embedded":
        return LocalBus
    made: MakeBus = request.getfixturevalue("make_rabbit")
    return made


@pytest.fixture
async def make_rabbit(amqp_url: str) -> AsyncIterator[MakeBus]:
    """RabbitMQ under a prefix of its own; the queues are deleted afterwards."""
    prefix = f"test-{new_id()}."
    names: set[str] = set()

    def make(subscriptions: Subscriptions) -> Bus:
        names.update(prefix + name for name in (*queues(subscriptions), "events.dead"))
        return RabbitBus(amqp_url, subscriptions, prefix)

    yield make
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        for name in names:
            await channel.queue_delete(name)
        for name in ("events", "events.dead"):
            await channel.exchange_delete(prefix + name)
