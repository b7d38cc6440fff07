"""Copies that are lost or spoilt come back by one command."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from deploy.local.running.issuer import Issuer
from services.booking.main import service as booking_service
from services.catalog.main import service as catalog_service
from services.packages.main import service as packages_service
from shared.events import Event
from shared.events.catalog import (
    BusinessChanged,
    BusinessDayStarted,
    ClientChanged,
    ServiceChanged,
    StaffChanged,
    TemplatePublished,
)
from shared.ids import new_id
from tests.conftest import Rooms
from tests.harness.databases import Databases
from tests.harness.room import Room
from tests.operating.hand import hand

pytestmark = pytest.mark.servers

PROFILE = {"name": "Harbour Studio", "zone": "Australia/Sydney", "currency": "AUD", "email": "desk@studio.example"}
TERMS = {
    "name": "10 sessions",
    "billing_mode": "pre_bill",
    "form": "paid_in_full",
    "session_count": 10,
    "price_minor": 50000,
}
KINDS = (BusinessChanged, ClientChanged, StaffChanged, ServiceChanged, TemplatePublished)


async def _book(catalog: Room) -> UUID:
    """A business with an entry of each kind, some of them changed since."""
    business_id = new_id()
    async with catalog.http(catalog.issuer.staff(business_id)) as http:

        async def ask(method: str, path: str, **body: Any) -> dict[str, Any]:
            answer = await http.request(method, path, json=body)
            assert answer.is_success, answer.text
            made: dict[str, Any] = answer.json()
            return made

        await ask("PUT", "business", **PROFILE, test_now="2022-09-13T00:00:00Z")
        ana = await ask("POST", "clients", name='Ana "Ä" O\'Hara', email="ana@clients.example")
        await ask("PATCH", f"clients/{ana['client_id']}", email=None)
        await ask("POST", "staff", name="Kim", practitioner=True, seller=True)
        training = await ask("POST", "services", name="Personal training", minutes=60)
        template = await ask("POST", "templates", **TERMS, service_ids=[training["service_id"]])
        path = f"templates/{template['template_id']}"
        await ask("PUT", path, **(TERMS | {"price_minor": 45000}), service_ids=[training["service_id"]])
    return business_id


def _newest(facts: list[Event]) -> dict[tuple[str, ...], Event]:
    """The state that a list of facts leaves: the last about each subject; each version of a template."""
    return {(fact.type, fact.subject, str(getattr(fact, "version", ""))): fact for fact in facts}


async def test_lost_copies_come_back_and_newer_ones_stay(rooms: Rooms, databases: Databases, issuer: Issuer) -> None:
    catalog, packages, booking = [await rooms(each) for each in (catalog_service, packages_service, booking_service)]
    business_id, other = await _book(catalog), await _book(catalog)
    told = await catalog.facts(business_id, *KINDS)
    do = hand({"catalog": catalog_service}, {"catalog": databases.url("catalog")}, issuer)
    assert (
        await do("republish", "catalog", "--business", str(business_id), "--by", "kim") == "6 facts wait to be sent\n"
    )
    again = (await catalog.facts(business_id, *KINDS))[len(told) :]
    assert len(again) == 6
    assert _newest(again) == _newest(told), "in SQL as in Python"
    assert len(await catalog.facts(other, *KINDS)) == len(told), "another business is let be"
    assert len(await catalog.facts(business_id, BusinessDayStarted)) == 1

    copies = {packages: ("clients", "staff", "templates"), booking: ("clients", "staff", "services")}
    for room in copies:
        await room.hear(business_id, *(fact for fact in told if fact.type in room.running.service.subscriptions))
    before = {room: await _rows(room, business_id, *tables) for room, tables in copies.items()}
    for room, tables in copies.items():
        async with room.inside(business_id) as db:
            await db.execute(text(f"delete from {tables[0]}"))
            await db.execute(text("update staff set active = false"))
            await db.execute(text("update clients set sequence = 9"))
        await room.hear(business_id, *(fact for fact in again if fact.type in room.running.service.subscriptions))
        assert await _rows(room, business_id, *tables) == before[room]
    ahead = ClientChanged(client_id=new_id(), sequence=7, name="Bo", email=None, active=True)
    await booking.hear(business_id, ahead, ahead.model_copy(update={"sequence": 6, "name": "Old"}))
    (bo,) = await _rows(booking, business_id, "clients where sequence > 6")
    assert "Old" not in str(bo)


async def _rows(room: Room, business_id: UUID, *tables: str) -> list[Any]:
    async with room.inside(business_id) as db:
        return [sorted(map(str, await db.execute(text(f"select * from {table}")))) for table in tables]
