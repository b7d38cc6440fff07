"""Packages alone, with its database, and a business that can sell."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from services.packages.main import service
from shared.events.booking import HoldRequested
from shared.events.catalog import ClientChanged, StaffChanged, TemplatePublished
from shared.ids import new_id
from tests.conftest import Rooms
from tests.harness.room import Room
from tests.harness.terms import terms as usual_terms

NOW = datetime(2022, 9, 9, 0, 0, tzinfo=UTC)
TODAY = date(2022, 9, 9)


SERVICE = new_id()
terms = partial(usual_terms, service_ids=[SERVICE])


@dataclass
class Shop:
    """A business that can sell, spoken for by a test."""

    room: Room
    business_id: UUID
    client_id: UUID
    seller_id: UUID
    owner: str

    async def template(self, **changes: Any) -> UUID:
        template_id = new_id()
        published = TemplatePublished(template_id=template_id, version=1, active=True, terms=terms(**changes))
        await self.room.hear(self.business_id, published)
        return template_id

    async def sell(self, template_id: UUID | None = None, **order: Any) -> dict[str, Any]:
        async with self.room.http(self.owner) as http:
            body = {"client_id": self.client_id, "template_id": template_id or await self.template()} | order
            answer = await http.post("packages", json={name: _plain(value) for name, value in body.items()})
        assert answer.status_code == 201, answer.text
        sold: dict[str, Any] = answer.json()
        return sold

    async def show(self, package: dict[str, Any]) -> dict[str, Any]:
        async with self.room.http(self.owner) as http:
            shown: dict[str, Any] = (await http.get(f"packages/{package['package_id']}")).json()
        return shown

    def ask(self, package: dict[str, Any], **changes: Any) -> HoldRequested:
        """Booking asks for a session."""
        usual = {
            "booking_id": new_id(),
            "sequence": 1,
            "client_id": self.client_id,
            "package_id": package["package_id"],
            "service_id": SERVICE,
            "practitioner_id": self.seller_id,
            "starts_at": NOW + timedelta(days=1),
            "session_date": TODAY + timedelta(days=1),
            "decide_by": NOW,
            "by_staff": False,
        }
        return HoldRequested.model_validate(usual | changes)

    async def hear(self, *events: Any) -> None:
        await self.room.hear(self.business_id, *events)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID | date) else value


@pytest.fixture
async def shop(rooms: Rooms) -> Shop:
    room = await rooms(service)
    business_id = await room.business(test_now=NOW)
    client_id, seller_id = new_id(), new_id()
    await room.hear(
        business_id,
        ClientChanged(client_id=client_id, sequence=1, name="Ana", email=None, active=True),
        StaffChanged(staff_id=seller_id, sequence=1, name="Kim", practitioner=True, seller=True, active=True),
    )
    return Shop(room, business_id, client_id, seller_id, room.issuer.staff(business_id))
