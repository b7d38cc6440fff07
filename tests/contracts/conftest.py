"""The contract of the API is kept by a running system: all services in one process, two businesses, every role."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from deploy.local.running.system import System, system
from shared.ids import new_id
from tests.harness.studio import Studio, opened
from tests.stories.test_two_businesses import Things, one_of_each


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them ask one system, so they stay in one worker."""
    for item in items:
        if "contracts" in item.path.parts:
            item.add_marker(pytest.mark.servers)
            item.add_marker(pytest.mark.xdist_group("contracts"))


@pytest.fixture(scope="package")
def running_system(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The six services in one process, the practice bank and the mail sink."""
    prefix = f"contracts_{new_id().hex[-8:]}"
    with system(tmp_path_factory.mktemp(prefix), postgres_url, None, prefix=prefix) as made:
        yield made


@dataclass
class World:
    """Where the system is, what there is at a business, and the tokens of those who may ask for it."""

    url: str
    studio: Studio
    things: Things
    tokens: dict[str, str]


@pytest.fixture(scope="package")
async def world(running_system: System) -> AsyncIterator[World]:
    """A business with one of each thing, and a neighbour; at the end every invariant holds at the first."""
    async with opened(running_system) as studio:
        things = await one_of_each(studio)
        neighbour = Studio(running_system, studio.observer)
        await neighbour.open()
        issuer, ours = running_system.issuer, studio.business_id
        tokens = {
            "the owner": issuer.staff(ours),
            "staff without permissions": issuer.staff(ours, permissions=()),
            "a client": issuer.client(ours, UUID(studio.ana)),
            "a program": issuer.service(ours, permissions=["report.view"]),
            "a neighbour": issuer.staff(neighbour.business_id),
        }
        yield World(running_system.urls["catalog"], studio, things, tokens)
        await neighbour.close()
