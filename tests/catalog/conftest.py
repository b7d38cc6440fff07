"""Catalog alone, with its database, and a business in its book."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from services.catalog.main import service
from shared.ids import new_id
from tests.conftest import Rooms
from tests.harness.room import ZONE, Room

TUESDAY = "2022-09-13T00:00:00Z"
PROFILE = {"name": "Harbour Studio", "zone": ZONE, "currency": "AUD", "email": "desk@studio.example"}


@dataclass
class Book:
    """A business that keeps its book, spoken for by a test."""

    room: Room
    business_id: UUID
    owner: str

    async def ask(self, method: str, path: str, body: Any = None, *, token: str = "", status: int = 200) -> Any:
        """One request, and its answer if it has the status that the test expects."""
        async with self.room.http(token or self.owner) as http:
            answer = await http.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def add(self, kind: str, **body: Any) -> dict[str, Any]:
        made: dict[str, Any] = await self.ask("POST", kind, body, status=201)
        return made

    async def template(self, **changes: Any) -> dict[str, Any]:
        """V-01: ten sessions for $500, paid in full, of a service of its own unless told of another."""
        named = changes.get("service_ids") or [(await self.add("services", name="PT", minutes=60))["service_id"]]
        return await self.add("templates", **ten_sessions(**(changes | {"service_ids": named})))


def ten_sessions(**changes: Any) -> dict[str, Any]:
    usual = {
        "name": "10 sessions",
        "billing_mode": "pre_bill",
        "form": "paid_in_full",
        "session_count": 10,
        "price_minor": 50000,
    }
    return usual | changes


def fields_of(problem: dict[str, Any]) -> list[str]:
    """The fields that a refusal names."""
    return [error["field"] for error in problem["errors"]]


@pytest.fixture
async def stranger(rooms: Rooms) -> Book:
    """A business that has not described itself."""
    room = await rooms(service)
    business_id = new_id()
    return Book(room, business_id, room.issuer.staff(business_id))


@pytest.fixture
async def timed(stranger: Book) -> Book:
    """A business on a test clock."""
    await stranger.ask("PUT", "business", PROFILE | {"test_now": TUESDAY})
    return stranger


@pytest.fixture
async def book(stranger: Book) -> Book:
    await stranger.ask("PUT", "business", PROFILE)
    return stranger
