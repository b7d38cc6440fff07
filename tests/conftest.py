"""Real servers for the tests that need them: each worker of pytest has databases of its own on one PostgreSQL."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import settings

from deploy.local.running.issuer import Issuer
from deploy.local.servers.postgres import postgres
from deploy.local.servers.rabbitmq import FOR_TESTS, rabbitmq
from shared.service import Service
from tests.harness.databases import Databases
from tests.harness.logs import quiet
from tests.harness.room import Room, room

pytest_plugins = ["tests.proven"]

Rooms = Callable[..., Awaitable[Room]]


def pytest_configure() -> None:
    quiet()
    settings.register_profile("busy cores", deadline=None)
    settings.load_profile("busy cores")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test of a run takes minutes that many wait for; more deaths of the same kind are for a quiet hour."""
    if os.environ.get("PUNCHCARD_AT_LENGTH"):
        return
    left_out = [item for item in items if item.get_closest_marker("at_length")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def worker() -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An administrator's URL: the one that `./dev test` gives, else a private server for this run."""
    with postgres(os.environ.get("TEST_POSTGRES_URL"), data=None, durable=False) as server:
        yield server.url


@pytest.fixture(scope="session")
def amqp_url() -> Iterator[str]:
    """A broker: the one that `./dev test` gives, else a private node for this run."""
    with rabbitmq(os.environ.get("TEST_AMQP_URL"), ways=FOR_TESTS) as server:
        yield server.url


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="session")
def databases(postgres_url: str, worker: str) -> Databases:
    """The databases of this worker's services."""
    return Databases(postgres_url, f"test_{worker}")


@pytest.fixture(scope="session")
async def rooms(databases: Databases, issuer: Issuer) -> AsyncIterator[Rooms]:
    """Services that run alone in this process, each started at its first use: `await rooms(service)`."""
    running: dict[str, Room] = {}
    async with AsyncExitStack() as stack:

        async def start(service: Service, **settings: Any) -> Room:
            if service.name not in running:
                await databases.make(service.name)
                opened = room(service, databases.url(service.name), issuer, **settings)
                running[service.name] = await stack.enter_async_context(opened)
            return running[service.name]

        yield start
