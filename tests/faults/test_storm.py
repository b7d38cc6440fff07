"""Everything that can fail fails while people work: what they were answered is there, once, and every sum is right.

`./dev faults` blows longer, from a seed that it prints.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.up import call_back
from tests.faults.conftest import free_what_the_dead_held
from tests.faults.weather import Weather, weather
from tests.harness.load import Load
from tests.harness.studio import Studio, opened

SECONDS = float(os.environ.get("PUNCHCARD_STORM_SECONDS", "25"))
SEED = int(os.environ.get("PUNCHCARD_STORM_SEED", "1"))
QUIET_SECONDS = 180

pytestmark = [
    pytest.mark.servers,
    pytest.mark.broker,
    pytest.mark.xdist_group("storm"),
    pytest.mark.timeout(600 + 2 * SECONDS),
]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Weather]:
    with weather(tmp_path) as place:
        yield place


@pytest.fixture
async def studio(place: Weather) -> AsyncIterator[Studio]:
    async with opened(place.system) as studio:
        yield studio


async def test_a_storm_loses_nothing_and_doubles_nothing(place: Weather, studio: Studio) -> None:
    load = Load(studio, SEED, patient=True)
    await load.settle(people=3)
    working = asyncio.ensure_future(load.work(2 * SECONDS + QUIET_SECONDS, day_seconds=5))
    await place.storm(SECONDS, SEED)
    dead = await place.calm()
    load.stop()
    await working
    for database in studio.observer.databases.values():
        await database.engine.dispose()  # its connections are of before the storm
    await free_what_the_dead_held(studio)
    await asyncio.to_thread(call_back, place.system.bank_url)
    await studio.observer.until_quiet(studio.business_id, QUIET_SECONDS)
    print(f"  {load.answers} answers, {len(load.booked)} bookings; queues that stayed dead: {dead or 'none'}")  # noqa: T201
    await load.prove()
    assert load.booked
    assert load.bought
