"""The bus of the contract suite: both transports, each with names of its own."""

from collections.abc import AsyncIterator

import pytest

from shared.bus.local import LocalBus
from tests.shared.broker import Broker
from tests.shared.pair import MakeBus


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.broker)])
def make_bus(request: pytest.FixtureRequest) -> MakeBus:
    """Makes a bus for some subscriptions, over the transport of this round."""
    if request.param == "embedded":
        return LocalBus
    broker: Broker = request.getfixturevalue("broker")
    return broker.bus


@pytest.fixture
async def broker(amqp_url: str) -> AsyncIterator[Broker]:
    made = Broker(amqp_url)
    yield made
    await made.clean()
