"""Billing alone, with its database."""

import pytest

from services.billing.main import service
from tests.conftest import Rooms
from tests.harness.room import Room


@pytest.fixture
async def billing(rooms: Rooms) -> Room:
    return await rooms(service)
