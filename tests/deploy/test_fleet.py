"""Processes behind the gateway are started again when they end, and replaced without one request that fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import httpx
import psutil
import pytest

from deploy.local.running.fleet import Fleet
from deploy.local.running.system import SERVICES
from tests.harness.load import Load
from tests.harness.studio import Studio, opened, scaled

pytestmark = [
    pytest.mark.servers,
    pytest.mark.broker,
    pytest.mark.xdist_group("fleet"),
    pytest.mark.timeout(300),
]


SCALE = {"billing": 2, "packages": 2}


@pytest.fixture(scope="module")
def launched(postgres_url: str, amqp_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with scaled(tmp_path_factory.mktemp("fleet"), postgres_url, amqp_url, SCALE) as launched:
        yield launched


@pytest.fixture
async def studio(launched: Fleet) -> AsyncIterator[Studio]:
    async with opened(launched.made) as studio:
        yield studio


async def test_all_are_replaced_under_load_and_no_request_fails(studio: Studio, launched: Fleet) -> None:
    before = {each.pid for each in launched.conditions()}
    load = Load(studio, seed=1, patient=False, pause=0.2)
    await load.settle(people=2)
    working = asyncio.ensure_future(load.work(seconds=600))
    await asyncio.to_thread(launched.roll, SERVICES)
    load.stop()
    await working
    await studio.quiet()

    await load.prove()
    after = launched.conditions()
    assert [each.state for each in after] == ["ready"] * 8
    assert before.isdisjoint({each.pid for each in after})
    assert load.booked
    assert load.cancelled


async def test_who_is_killed_is_started_again(studio: Studio, launched: Fleet) -> None:
    """Those who insist get their answers from the one that is left."""
    load = Load(studio, seed=2, patient=True, pause=0.2)
    await load.settle(people=2)
    victim = next(each for each in launched.conditions() if each.name == "packages.2")
    working = asyncio.ensure_future(load.work(seconds=600))
    assert victim.pid
    psutil.Process(victim.pid).kill()
    async with asyncio.timeout(30):
        while (again := launched.find(victim.name)).restarts == victim.restarts or again.state != "ready":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    load.stop()
    await working
    await studio.quiet()

    assert again.pid != victim.pid
    assert "killed by SIGKILL" in again.trouble
    await load.prove()


async def test_a_gateway_that_is_killed_is_started_again_where_it_was(studio: Studio, launched: Fleet) -> None:
    assert launched.gateway
    gateway = psutil.Process(launched.gateway.server_pid())
    gateway.kill()
    psutil.wait_procs([gateway], timeout=5)
    async with asyncio.timeout(30):
        while True:
            await asyncio.to_thread(launched.look)
            with suppress(httpx.TransportError):
                if (await studio.owner.request("GET", "/catalog/v1/business")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
