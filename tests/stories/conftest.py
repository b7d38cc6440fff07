"""Stories run over HTTP, on both transports: one process on the embedded bus; and on RabbitMQ a process for each
service, three for billing, behind the gateway.

Each has a business of its own, and ends with every invariant.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from deploy.local.running.fleet import behind_gateway
from deploy.local.running.system import APART, TOGETHER, System, system
from shared.ids import new_id
from tests.harness.studio import Studio, opened

EMBEDDED = pytest.param("embedded", marks=pytest.mark.xdist_group("embedded"))
SCALE = {"billing": 3}
RABBITMQ = pytest.param("rabbitmq", marks=[pytest.mark.broker, pytest.mark.xdist_group("rabbitmq")])


@contextmanager
def _running(request: pytest.FixtureRequest, name: str, **options: Any) -> Iterator[System]:
    broker = request.param == "rabbitmq"
    prefix = f"{name}_{request.param}_{new_id().hex[-8:]}"
    state = request.getfixturevalue("tmp_path_factory").mktemp(prefix)
    servers = request.getfixturevalue("postgres_url"), request.getfixturevalue("amqp_url") if broker else None
    with ExitStack() as stack:
        groups = APART if broker else TOGETHER
        made = stack.enter_context(system(state, *servers, groups=groups, prefix=prefix, start=not broker, **options))
        if broker:
            stack.enter_context(behind_gateway(made, SCALE))
        yield made


@pytest.fixture(scope="package", params=[EMBEDDED, RABBITMQ])
def running_system(request: pytest.FixtureRequest) -> Iterator[System]:
    """The six services, the practice bank and the mail sink."""
    with _running(request, "story") as made:
        yield made


AT_LENGTH = pytest.param("rabbitmq", marks=[*RABBITMQ.marks, pytest.mark.at_length])


@pytest.fixture(scope="package", params=[EMBEDDED, AT_LENGTH])
def unruly_system(request: pytest.FixtureRequest) -> Iterator[System]:
    """The same, over a bus that brings every event twice and in a random order."""
    with _running(request, "unruly", program="tests.harness.unruly") as made:
        yield made


@pytest.fixture
async def studio(running_system: System) -> AsyncIterator[Studio]:
    async with opened(running_system) as studio:
        yield studio


@pytest.fixture
async def unruly_studio(unruly_system: System) -> AsyncIterator[Studio]:
    async with opened(unruly_system) as studio:
        yield studio


ALIKE_ON_RABBITMQ = (
    "test_erasure.py",
    "test_instalments.py",
    "test_no_leaks.py",
    "test_recurring.py",
    "test_renewing.py",
    "test_selling.py",
    "test_two_businesses.py",
)
"""What these tell is decided within a service, or at its door; over the broker too, when there is time."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "stories" in item.path.parts:
            item.add_marker(pytest.mark.servers)
            if item.path.name in ALIKE_ON_RABBITMQ and item.get_closest_marker("broker"):
                item.add_marker(pytest.mark.at_length)
