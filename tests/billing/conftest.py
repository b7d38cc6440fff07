"""Billing alone, with its database, and a business whose days are billed until the first due date."""

import pytest

from services.billing.main import service
from shared.ids import new_id
from tests.billing.desk import NOW, Studio
from tests.conftest import Rooms
from tests.harness.room import Room
from tests.harness.terms import FIRST_DUE


@pytest.fixture
async def billing(rooms: Rooms) -> Room:
    return await rooms(service)


@pytest.fixture
async def studio(billing: Room) -> Studio:
    studio = Studio(billing, await billing.business(test_now=NOW), new_id(), new_id())
    await studio.day(FIRST_DUE)
    return studio
