"""What stands on the broker: a durable quorum queue for each service, one for its bulk, and the last net."""

import aio_pika
import pytest

from deploy.local.observer import DEFINITIONS
from deploy.local.system import System
from shared.bus import queues
from shared.bus.rabbit import QUEUE_ARGUMENTS
from tests.stories.conftest import RABBITMQ


@pytest.mark.parametrize("running_system", [RABBITMQ], indirect=True)
async def test_every_queue_stands_on_the_broker(running_system: System) -> None:
    url = running_system.environment["PUNCHCARD_BUS_URL"]
    prefix = running_system.environment["PUNCHCARD_BUS_PREFIX"]
    subscriptions = {name: service.subscriptions for name, service in DEFINITIONS.items()}
    expected = {*queues(subscriptions), "events.dead"}
    assert {"booking.events", "directdebit.bulk", "notify.events"} <= expected
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for name in sorted(expected):
            queue = await channel.declare_queue(prefix + name, passive=True)
            consumers = queue.declaration_result.consumer_count
            assert consumers == (0 if name == "events.dead" else 1), f"{name} has {consumers} consumers"
            assert queue.declaration_result.message_count == 0
    assert QUEUE_ARGUMENTS["x-queue-type"] == "quorum"
