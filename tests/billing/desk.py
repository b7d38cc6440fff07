"""Billing alone, as a test speaks for packages, directdebit and the calendar."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import text

from shared.events import Event
from shared.events.billing import DayBilled, InvoiceIssued
from shared.events.catalog import BusinessChanged, BusinessDayStarted, Tier
from shared.events.directdebit import DebitClaimed, DebitDeclined, DebitEvent, DebitItem, DebitReturned
from shared.events.packages import AutoPaySwitched, PackageClosed, PackageSold, UsedSession
from shared.ids import new_id
from tests.harness.room import Room
from tests.harness.terms import FIRST_DUE, SALE, sold

NOW = datetime(2022, 9, 13, 0, 0, tzinfo=UTC)
FORTNIGHTLY: dict[str, Any] = {"form": "recurring", "frequency": "fortnightly", "price_minor": 30000, "term_weeks": 0}
PARTS: dict[str, Any] = {
    "form": "instalments",
    "price_minor": 110000,
    "instalment_count": 5,
    "frequency": "fortnightly",
}
"""V-02."""
SOFT = {"code": "6", "reason_class": "soft"}
TIERS = [Tier(at_least=1, rate_minor=6000), Tier(at_least=5, rate_minor=5500)]


@dataclass
class Studio:
    """A business, the tokens of its people, and what was sold."""

    billing: Room
    business_id: UUID
    client_id: UUID
    payer_id: UUID
    switches: Counter[UUID] = field(default_factory=Counter)
    """How often auto-pay of a package was switched."""

    def sale(self, **changes: Any) -> PackageSold:
        return sold(self.client_id, self.payer_id, **changes)

    async def hear(self, *events: Event, on: date = FIRST_DUE) -> None:
        await self.billing.hear(self.business_id, *events, on=on)

    async def owed(self, **changes: Any) -> InvoiceIssued:
        """Sell a package and return its invoice."""
        sale = self.sale(**changes)
        await self.hear(sale)
        issued: list[InvoiceIssued] = await self.told(InvoiceIssued)
        return next(each for each in issued if each.package_id == sale.package_id)

    async def told(self, kind: type[Event]) -> list[Any]:
        return await self.billing.facts(self.business_id, kind)

    async def read(self, path: str, **query: Any) -> Any:
        async with self.billing.http(self.billing.issuer.staff(self.business_id)) as http:
            answer = await http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def day(self, on: date) -> None:
        """A date starts, and is billed with all before it."""
        await self.hear(BusinessDayStarted(business_id=self.business_id, business_date=on), on=on)
        async with asyncio.timeout(20):
            while not any(day.business_date == on for day in await self.told(DayBilled)):  # noqa: ASYNC110 — a worker
                await asyncio.sleep(0.02)

    async def clock(self, on: date) -> None:
        """It is so late at the business."""
        now = datetime.combine(on, time(), UTC)
        profile = {"name": "Harbour Studio", "zone": "Australia/Sydney", "currency": "AUD", "email": "a@b.example"}
        fact = BusinessChanged(business_id=self.business_id, sequence=on.toordinal(), test_now=now, **profile)
        await self.hear(fact, on=on)

    async def switch(self, package_id: UUID, auto_pay: bool) -> Any:
        """Packages tells that auto-pay of a package was switched; what billing then shows of it."""
        self.switches[package_id] += 1
        await self.hear(AutoPaySwitched(package_id=package_id, auto_pay=auto_pay, version=self.switches[package_id]))
        return await self.read(f"packages/{package_id}/billing")

    async def pay(self, invoice_id: UUID, amount_minor: int, status: int = 201, **details: Any) -> Any:
        """Somebody pays at the desk."""
        body = {"amount_minor": amount_minor, "method": "cash"} | details
        async with self.billing.http(self.billing.issuer.staff(self.business_id)) as http:
            answer = await http.post(f"invoices/{invoice_id}/payments", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def whole(self) -> None:
        assert await self.billing.violations(self.business_id) == {}


def debit(
    kind: type[DebitEvent],
    debit_id: UUID,
    sequence: int,
    *instalments: UUID,
    collected: int = 0,
    in_flight: int = 0,
    attempt_no: int = 1,
    final: bool = False,
    currency: str = "AUD",
    next_attempt: date | None = None,
) -> DebitEvent:
    """What directdebit tells of a debit, the same for each of its items."""
    items = [
        DebitItem(
            instalment_id=each,
            attempt_no=attempt_no,
            collected_minor=collected,
            in_flight_minor=in_flight,
            final=final,
            next_attempt_date=next_attempt,
        )
        for each in instalments
    ]
    whys = {DebitDeclined: SOFT, DebitReturned: SOFT, DebitClaimed: {"code": "disputed"}}
    why = whys.get(kind, {})
    return kind.model_validate(
        {"debit_id": debit_id, "sequence": sequence, "currency": currency, "items": [dict(i) for i in items], **why}
    )


def closure(sale: PackageSold, outcomes: list[str], counted_before: int = 0) -> PackageClosed:
    sessions = [
        UsedSession.model_validate(
            {"booking_id": new_id(), "service_id": new_id(), "session_date": SALE, "outcome": outcome}
        )
        for outcome in outcomes
    ]
    return PackageClosed(
        package_id=sale.package_id,
        closure_id=new_id(),
        counted_before=counted_before,
        sessions=sessions,
        tiers=TIERS,
        currency="AUD",
    )


async def waiting(studio: Studio) -> list[str]:
    """Why events were set aside."""
    async with studio.billing.inside(studio.business_id) as db:
        rows = await db.scalars(
            text("select split_part(error, ':', 1) from inbox_failed where business_id = :id"),
            {"id": studio.business_id},
        )
        return list(rows)


async def try_again(studio: Studio) -> None:
    async with studio.billing.running.database.transaction() as db:
        await db.execute(
            text("update inbox_failed set next_attempt_at = now() where business_id = :id"), {"id": studio.business_id}
        )
    for _ in range(100):
        if not await studio.billing.consumer.retry_due() and not await waiting(studio):
            return
        await asyncio.sleep(0.02)
