"""Harbour Studio as its people ask for things at the doors of the services; it remembers what it was answered."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import httpx

from deploy.local.running.issuer import Issuer
from shared.ids import new_id
from tests.harness.studio import FRIDAY, PROFILE, ZONE
from tests.simulation.world import World

WEEKLY = {"frequency": "weekly"}
FORMS: dict[str, dict[str, Any]] = {
    "at once": {"form": "paid_in_full", "session_count": 2, "price_minor": 50000},
    "in parts": {"form": "instalments", "session_count": 3, "price_minor": 70001, "instalment_count": 3} | WEEKLY,
    "each week": {"form": "recurring", "session_count": 1, "price_minor": 5000, "rollover": "reset", "term_weeks": 0}
    | WEEKLY,
    "after use": {
        "billing_mode": "post_bill",
        "late_cancel_hours": 24,
        "tiers": [{"at_least": 1, "rate_minor": 6000}, {"at_least": 2, "rate_minor": 5500}],
    },
}
CLIENTS = ("Ana", "Bo")


@dataclass
class Shop:
    """A business of two clients, and every answer that its people were given."""

    world: World
    issuer: Issuer
    business_id: UUID = field(default_factory=new_id)
    today: date = FRIDAY
    clients: dict[str, str] = field(default_factory=dict)
    mandates: dict[str, str] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)

    packages: list[str] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    auto_pay: dict[str, bool] = field(default_factory=dict)
    adjusted: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    bookings: list[str] = field(default_factory=list)
    called_off: set[str] = field(default_factory=set)
    attended: dict[str, bool] = field(default_factory=dict)
    paid: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    runs: list[str] = field(default_factory=list)

    async def open(self) -> None:
        """Set up shop, and let everybody hear of it."""
        self._token = self.issuer.staff(self.business_id)
        await self.world.begin(self.business_id)
        now = datetime.combine(self.today, time(8), ZONE)
        account = self.world.bank.open_account(self.business_id, now)
        await self._must("PUT", "catalog/business", PROFILE | {"test_now": now.isoformat()})
        self.staff_id = (await self._must("POST", "catalog/staff", _person("Kim", practitioner=True, seller=True)))[
            "staff_id"
        ]
        service = await self._must("POST", "catalog/services", {"name": "Personal training", "minutes": 60})
        self.service_id = service["service_id"]
        for name in CLIENTS:
            email = f"{name.lower()}@clients.example"
            self.clients[name] = (await self._must("POST", "catalog/clients", _person(name, email=email)))["client_id"]
        for name, terms in FORMS.items():
            usual = {"name": name, "service_ids": [self.service_id], "billing_mode": "pre_bill"}
            template = await self._must("POST", "catalog/templates", usual | terms)
            self.templates[name] = template["template_id"]
        await self.world.rest()
        await self._must("PUT", "directdebit/provider", account)
        for name, client_id in self.clients.items():
            signed = self.world.bank.sign()
            self.mandates[name] = signed["provider_mandate"]
            await self._must("POST", "directdebit/mandates", {"payer_id": client_id} | signed)
        await self.world.rest()

    # What people ask for

    async def sell(self, form: str, client: str, *, payer: str, auto_pay: bool, lost: bool) -> None:
        order = {
            "client_id": self.clients[client],
            "payer_id": self.clients[payer],
            "template_id": self.templates[form],
            "auto_pay": auto_pay,
        }
        if sold := await self.ask("packages/packages", order, lost=lost):
            self.packages.append(sold["package_id"])
            self.owners[sold["package_id"]] = self.clients[client]
            self.auto_pay[sold["package_id"]] = auto_pay

    async def book(self, package_id: str, *, named: bool, in_days: int, hour: int, lost: bool) -> None:
        """A booking is there once it was answered, whatever comes of it."""
        order = {
            "client_id": self.owners[package_id],
            "package_id": package_id if named else None,
            "service_id": self.service_id,
            "practitioner_id": self.staff_id,
            "starts_at": datetime.combine(self.today + timedelta(days=in_days), time(hour), ZONE).isoformat(),
        }
        if booked := await self.ask("booking/bookings", order, lost=lost):
            self.bookings.append(booked["booking_id"])

    async def call_off(self, booking_id: str, *, waive: bool, lost: bool) -> None:
        body = {"reason": "cannot come", "waive_late": waive}
        if await self.ask(f"booking/bookings/{booking_id}/cancel", body, lost=lost):
            self.called_off.add(booking_id)

    async def attend(self, booking_id: str, *, attended: bool, lost: bool) -> None:
        if await self.ask(f"booking/bookings/{booking_id}/attendance", {"attended": attended}, lost=lost):
            self.attended[booking_id] = attended

    async def close(self, package_id: str, *, lost: bool) -> None:
        if await self.ask(f"packages/packages/{package_id}/close", lost=lost):
            self.closed.add(package_id)

    async def switch_auto_pay(self, package_id: str, auto_pay: bool, *, lost: bool) -> None:
        if await self.ask(f"packages/packages/{package_id}/auto-pay", {"auto_pay": auto_pay}, lost=lost):
            self.auto_pay[package_id] = auto_pay

    async def adjust(self, package_id: str, sessions: int, *, lost: bool) -> None:
        body = {"sessions": sessions, "reason": "on the house"}
        if await self.ask(f"packages/packages/{package_id}/adjustments", body, lost=lost):
            self.adjusted[package_id].append(sessions)

    async def pay(self, nth: int, *, half: bool, lost: bool) -> None:
        """Somebody pays an invoice at the desk, or half of what is open of it."""
        invoices = sorted(await self.all("billing/invoices"), key=lambda invoice: invoice["number"])
        if not invoices:
            return
        invoice = invoices[nth % len(invoices)]
        amount = invoice["open_minor"] // (2 if half else 1)
        body = {"amount_minor": amount, "method": "cash"}
        if await self.ask(f"billing/invoices/{invoice['invoice_id']}/payments", body, lost=lost):
            self.paid[invoice["invoice_id"]][amount] += 1

    async def process_billing(self, *, confirms: bool, lost: bool) -> None:
        """Somebody presses Process Billing, and confirms the list or drops it."""
        if run := await self.ask("directdebit/runs", lost=lost):
            self.runs.append(run["run_id"])
            await self.ask(f"directdebit/runs/{run['run_id']}/{'confirm' if confirms else 'cancel'}", lost=lost)

    async def next_day(self, days: int, *, lost: bool) -> None:
        """Days go by, at the bank first and then at the business."""
        self.today += timedelta(days=days)
        now = datetime.combine(self.today, time(8), ZONE)
        self.world.bank.move_clock(now)
        await self._must("PUT", "catalog/business/clock", {"now": now.isoformat()}, lost=lost)

    # How it is asked

    async def ask(self, path: str, body: Any = None, *, lost: bool = False) -> dict[str, Any]:
        """What was answered; nothing where it was refused. Lost, the first answer does not come, and we ask again."""
        answer = await self._send("POST", path, body, lost=lost)
        document: dict[str, Any] = answer.json()
        return document if answer.is_success else {}

    async def all(self, path: str) -> list[dict[str, Any]]:
        """Everything of a list that fits on a page."""
        return list((await self._must("GET", f"{path}{'&' if '?' in path else '?'}limit=200"))["items"])

    async def see(self, path: str) -> dict[str, Any]:
        return await self._must("GET", path)

    async def _must(self, method: str, path: str, body: Any = None, *, lost: bool = False) -> dict[str, Any]:
        answer = await self._send(method, path, body, lost=lost)
        assert answer.is_success, f"{method} {path} answered {answer.status_code}: {answer.text}"
        document: dict[str, Any] = answer.json()
        return document

    async def _send(self, method: str, path: str, body: Any, *, lost: bool) -> httpx.Response:
        service, _, rest = path.partition("/")
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Idempotency-Key": str(new_id()),
            "Prefer": "respond-async",
        }
        http = self.world.http[service]
        if lost:
            with self.world.failpoints.unanswered():
                await http.request(method, f"/v1/{rest}", json=body, headers=headers)
        answer = await http.request(method, f"/v1/{rest}", json=body, headers=headers)
        assert answer.status_code < 500, f"{method} {path} answered {answer.status_code}: {answer.text}"
        return answer


def _person(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name} | more
