"""Booking alone, with its database."""

import pytest

from services.booking.main import service
from tests.conftest import Rooms
from tests.harness.room import Room


@pytest.fixture
async def booking(rooms: Rooms) -> Room:
    return await rooms(service)
