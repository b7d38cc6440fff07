"""Stories run over HTTP, on both transports: one process on the embedded bus, six processes on RabbitMQ.

Each has a business of its own, and ends with every invariant.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.system import APART, TOGETHER, System, system
from shared.ids import new_id
from tests.harness.studio import Studio, opened

EMBEDDED = pytest.param("embedded", marks=pytest.mark.xdist_group("embedded"))
RABBITMQ = pytest.param("rabbitmq", marks=[pytest.mark.broker, pytest.mark.xdist_group("rabbitmq")])


@pytest.fixture(scope="session", params=[EMBEDDED, RABBITMQ])
def running_system(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """The six services, the practice bank and the mail sink."""
    broker = request.param == "rabbitmq"
    amqp_url = request.getfixturevalue("amqp_url") if broker else None
    prefix = f"story_{request.param}_{new_id().hex[-8:]}"
    state = tmp_path_factory.mktemp(request.param)
    with system(state, postgres_url, amqp_url, groups=APART if broker else TOGETHER, prefix=prefix) as made:
        yield made


@pytest.fixture
async def studio(running_system: System) -> AsyncIterator[Studio]:
    async with opened(running_system) as studio:
        yield studio


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "stories" in item.path.parts:
            item.add_marker(pytest.mark.servers)
