"""Packages alone, with its database, and a business that can sell."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from services.packages.main import service
from services.packages.tables import Package
from shared.events import Event
from shared.events.billing import ClosureBilled, DayBilled, PeriodOpened
from shared.events.booking import AttendanceRecorded, BookingCancelled, HoldRequested
from shared.events.catalog import BusinessChanged, ClientChanged, StaffChanged, TemplatePublished
from shared.events.packages import HoldRefused, PackageClosed
from shared.ids import new_id
from tests.conftest import Rooms
from tests.harness.room import ZONE, Room
from tests.harness.terms import POST_BILL
from tests.harness.terms import terms as usual_terms

NOW = datetime(2022, 9, 9, 0, 0, tzinfo=UTC)
TODAY = date(2022, 9, 9)


SERVICE = new_id()
CLIENT = new_id()
terms = partial(usual_terms, service_ids=[SERVICE])
FORTNIGHTLY: dict[str, Any] = {
    "form": "recurring",
    "frequency": "fortnightly",
    "session_count": 6,
    "price_minor": 30000,
    "rollover": "reset",
    "term_weeks": 0,
}
"""V-04."""


def package(**changes: Any) -> Package:
    """A package as a row; ten sessions that nobody has used."""
    usual: dict[str, Any] = {
        "package_id": new_id(),
        "business_id": new_id(),
        "client_id": CLIENT,
        "terms": terms(),
        "post_bill": False,
        "start_date": TODAY,
        "first_due_date": TODAY,
        "expiry_date": None,
        "state": "active",
        "auto_renew": False,
        "periods_opened": 1,
        "allocated": 10,
        "adjusted": 0,
        "held": 0,
        "consumed": 0,
        "forfeited": 0,
    }
    return Package(**(usual | changes))


def post_bill(**changes: Any) -> Package:
    return package(terms=terms(**POST_BILL), post_bill=True, allocated=0, periods_opened=0, **changes)


def ask(**changes: Any) -> HoldRequested:
    """A booking asks for a session today."""
    usual = {
        "booking_id": new_id(),
        "sequence": 1,
        "client_id": CLIENT,
        "package_id": None,
        "service_id": SERVICE,
        "practitioner_id": new_id(),
        "starts_at": NOW,
        "session_date": TODAY,
        "decide_by": NOW,
        "by_staff": False,
    }
    return HoldRequested.model_validate(usual | changes)


def cancelled(ask: HoldRequested, *, sequence: int = 3, returns: bool = True) -> BookingCancelled:
    return BookingCancelled(
        booking_id=ask.booking_id,
        sequence=sequence,
        client_id=ask.client_id,
        by="client:x",
        reason=None,
        returns_session=returns,
        had_session=True,
        session_date=ask.session_date,
    )


def attended(ask: HoldRequested, *, sequence: int = 3, outcome: Any = "attended") -> AttendanceRecorded:
    return AttendanceRecorded(
        booking_id=ask.booking_id, sequence=sequence, outcome=outcome, session_date=ask.session_date
    )


def balance(package: dict[str, Any]) -> tuple[int, int, int]:
    return package["available"], package["held"], package["consumed"]


def counts(package: dict[str, Any]) -> tuple[int, int, int, int, int]:
    """Available, held, consumed, forfeited, ahead."""
    return *balance(package), package["forfeited"], package["ahead"]


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

    def ask(self, package: dict[str, Any], on: date | None = None, **changes: Any) -> HoldRequested:
        """Booking asks for a session, tomorrow unless told another date."""
        day = on or TODAY + timedelta(days=1)
        usual = {
            "client_id": self.client_id,
            "package_id": package["package_id"],
            "practitioner_id": self.seller_id,
            "starts_at": datetime.combine(day, time(), UTC),
            "session_date": day,
        }
        return ask(**(usual | changes))

    async def get(self, package: dict[str, Any], what: str) -> list[dict[str, Any]]:
        async with self.room.http(self.owner) as http:
            items: list[dict[str, Any]] = (await http.get(f"packages/{package['package_id']}/{what}")).json()["items"]
        return items

    async def post(self, package: dict[str, Any], verb: str, **body: Any) -> httpx.Response:
        async with self.room.http(self.owner) as http:
            return await http.post(f"packages/{package['package_id']}/{verb}", json=body or None)

    async def clock(self, on: date, sequence: int = 2) -> None:
        """It is now this date at the business."""
        await self.hear(
            BusinessChanged(
                business_id=self.business_id,
                sequence=sequence,
                name="Harbour Studio",
                zone=ZONE,
                currency="AUD",
                email="desk@studio.example",
                test_now=datetime.combine(on, time(), UTC),
            )
        )

    async def period(self, package: dict[str, Any], index: int, on: date) -> None:
        """Billing says that a period has fallen due."""
        await self.hear(PeriodOpened(package_id=package["package_id"], period_index=index, due_date=on), on=on)

    async def billed(self, on: date) -> None:
        """Billing says that a day is billed."""
        day = DayBilled(
            business_id=self.business_id, since_date=on, business_date=on, current=True, collections_requested=0
        )
        await self.hear(day, on=on)

    async def closures(self) -> list[ClosureBilled]:
        """What billing will say to each closure so far."""
        closed = await self.room.facts(self.business_id, PackageClosed)
        return [
            ClosureBilled(package_id=fact.package_id, closure_id=fact.closure_id, invoice_id=None)
            for fact in closed
            if isinstance(fact, PackageClosed)
        ]

    async def refusals(self) -> list[str]:
        refused = await self.room.facts(self.business_id, HoldRefused)
        return [fact.reason for fact in refused if isinstance(fact, HoldRefused)]

    async def hear(self, *events: Event, on: date = TODAY) -> None:
        await self.room.hear(self.business_id, *events, on=on)

    async def set_aside(self) -> list[str]:
        """The news of this business that could not be handled yet, and why."""
        async with self.room.running.database.transaction() as db:
            rows = text("select error from inbox_failed where business_id = :id")
            return list((await db.execute(rows, {"id": self.business_id})).scalars())

    async def retry(self) -> None:
        """What was set aside for later is tried now."""
        async with self.room.running.database.transaction() as db:
            await db.execute(text("update inbox_failed set next_attempt_at = now()"))
        while await self.room.consumer.retry_due():
            pass


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
