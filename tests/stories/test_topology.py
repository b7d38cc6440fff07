"""What stands on the broker: a durable quorum queue for each service, one for its bulk, and the last net."""

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from deploy.audit.reading import DEFINITIONS
from deploy.local.running.system import System
from shared.bus import queues
from shared.bus.rabbit import QUEUE_ARGUMENTS
from tests.shared.pair import until
from tests.stories.conftest import RABBITMQ, SCALE


async def _consumers_and_messages(channel: AbstractChannel, name: str) -> tuple[int | None, int | None]:
    """Fails if there is no such queue."""
    declared = (await channel.declare_queue(name, passive=True)).declaration_result
    return declared.consumer_count, declared.message_count


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
            consumers = {"events": 0, "billing": SCALE["billing"]}.get(name.partition(".")[0], 1)
            await until(
                lambda name=name: _consumers_and_messages(channel, prefix + name),  # type: ignore[misc]
                (consumers, 0),
            )
    assert QUEUE_ARGUMENTS["x-queue-type"] == "quorum"
