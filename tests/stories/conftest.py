"""Stories run over HTTP, on both transports: one process on the embedded bus, six processes on RabbitMQ.

Each has a business of its own, and ends with every invariant.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.observer import Observer
from deploy.local.system import APART, TOGETHER, System, system
from shared.ids import new_id
from tests.harness.studio import Studio

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
    """A new business on Friday 9 September 2022; when its story has ended, nothing moves and every invariant holds."""
    observer = Observer(running_system)
    made = Studio(running_system, observer)
    try:
        await made.open()
        yield made
        await made.quiet()
        assert await observer.violations(made.business_id) == {}
    finally:
        await made.close()
        await observer.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "stories" in item.path.parts:
            item.add_marker(pytest.mark.servers)
