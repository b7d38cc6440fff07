"""What people do at the business, each thing as the script has it: over HTTP, and a no is kept, not raised."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from deploy.local.demo.doors import BRANCH, TRIES, Doors, Refused
from deploy.local.demo.shapes import Booking, Mandate, Payment, Place, Sale, Script

OWED = ("due", "overdue")
"""What billing calls a part of an invoice that somebody should pay now."""


@dataclass
class Ids:
    """What the services call the things that the script has names for."""

    staff: dict[str, str] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    packages: dict[str, list[str]] = field(default_factory=dict)
    """The package that was sold, and those that it was renewed as; the last is the one of today."""
    bookings: dict[Place, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """A row that a service said no to."""

    place: Place
    act: str
    reason: str
    expected: bool


class People:
    """Clients and staff of one business; `did` hears of each thing done."""

    def __init__(self, script: Script, doors: Doors, did: Callable[[str], None]) -> None:
        self.script, self.doors, self._did = script, doors, did
        self.ids = Ids()
        self.refusals: list[Refusal] = []
        self.payers: dict[str, str] = {}
        """Whose each of our mandates is that the bank was ever given, by its name there."""
        self._mandates: dict[str, str] = {}
        """The newest of each client."""

    async def sign(self, row: Mandate) -> None:
        """The client gives a new mandate, and the bank is told what to do with its debits."""
        if row.mandate == "registered":
            provider_mandate = await self._registered(row)
        else:
            provider_mandate = await self._signed(row)
        if provider_mandate:
            self.payers[provider_mandate] = self.ids.clients[row.client]
            self._mandates[row.client] = provider_mandate
            await self.behave(row)

    async def behave(self, row: Mandate) -> None:
        """From now on the bank treats the client's debits so."""
        if provider_mandate := self._mandates.get(row.client):
            behaviour = {"payments": row.scenario} | ({"cause": row.cause} if row.cause else {})
            await self.doors.behave(provider_mandate, behaviour)

    async def _signed(self, row: Mandate) -> str:
        """At the bank's own page; we learn the name of the mandate."""
        signed = await self.doors.sign(row.client, self.script.business.currency)
        provider_mandate: str = signed["id"]
        body = {
            "payer_id": self.ids.clients[row.client],
            "provider_mandate": provider_mandate,
            "account_ending": signed["account_number_ending"],
        }
        await self.doors.make("POST", "/directdebit/v1/mandates", body, act=f"{row.place}, sign")
        self._did("signed")
        return provider_mandate

    async def _registered(self, row: Mandate) -> str | None:
        """From inside, with the account that the client has told us; None where the bank does not take it."""
        body = {
            "payer_id": self.ids.clients[row.client],
            "account_holder": row.client,
            "branch_code": BRANCH,
            "account_number": row.account_number and row.account_number.get_secret_value(),
        }
        for _ in range(TRIES):  # asked again under the same key, it goes on waiting for the bank
            made = await self.doors.make(
                "POST", "/directdebit/v1/mandates/register", body, act=f"{row.place}, register"
            )
            if made["state"] == "active":
                self._did("registered")
                return str(made["provider_mandate"])
            if made["state"] != "pending":
                break
        self.refusals.append(Refusal(row.place, "register", f"the mandate is {made['state']} at the bank", False))
        return None

    async def sell(self, row: Sale) -> None:
        order = {
            "client_id": self.ids.clients[row.client],
            "template_id": self.ids.templates[row.template],
            "auto_pay": row.auto_pay,
            "sold_by": self.ids.staff[row.sold_by] if row.sold_by else None,
            "price_minor": row.price,
            "session_count": row.session_count,
            "expiry_date": row.expiry_date and row.expiry_date.isoformat(),
            "first_due_date": row.first_due_date and row.first_due_date.isoformat(),
            "auto_renew": row.auto_renew,
        }
        made = await self._ask(row, "sell", "/packages/v1/packages", order)
        if made is not None:
            self.ids.packages[row.package] = [made["package_id"]]
            self._did("sold")

    async def book(self, row: Booking) -> None:
        if row.package and row.package not in self.ids.packages:
            return
        client = self.ids.clients[row.client]
        order = {
            "client_id": client,
            "service_id": self.ids.services[row.service],
            "practitioner_id": self.ids.staff[row.practitioner],
            "starts_at": self.script.business.at(row.starts_at.date(), row.starts_at.time()).isoformat(),
            "package_id": self.ids.packages[row.package][-1] if row.package else None,
        }
        by = UUID(client) if row.booked_by == "client" else None
        made = await self._ask(row, "book", "/booking/v1/bookings", order, client=by)
        if made is not None:
            self.ids.bookings[row.place] = made["booking_id"]
            self._did("booked")
            if row.outcome == "refused":
                self.refusals.append(Refusal(row.place, "book", "it was taken, though the file says refused", False))

    async def cancel(self, row: Booking) -> None:
        by = UUID(self.ids.clients[row.client]) if row.booked_by == "client" else None
        await self._change(row, "cancel", {"reason": "cannot come"}, "cancelled", client=by)

    async def attend(self, row: Booking) -> None:
        attended = row.outcome == "attended"
        await self._change(row, "attendance", {"attended": attended}, "attended" if attended else "missed")

    async def _change(
        self, row: Booking, verb: str, body: dict[str, Any], done: str, client: UUID | None = None
    ) -> None:
        booking_id = self.ids.bookings.get(row.place)
        path = f"/booking/v1/bookings/{booking_id}/{verb}"
        if booking_id and await self._ask(row, verb, path, body, client=client):
            self._did(done)

    async def close(self, row: Sale) -> None:
        """Close the package, or what it was last renewed as."""
        for package_id in self.ids.packages.get(row.package, [])[-1:]:
            act = f"close {len(self.ids.packages[row.package])}"
            if await self._ask(row, act, f"/packages/v1/packages/{package_id}/close"):
                self._did("closed")

    async def renew(self, row: Sale) -> None:
        """Learn the name of the package that followed the closed one."""
        for package_id in self.ids.packages.get(row.package, [])[-1:]:
            successor_id = (await self.doors.make("GET", f"/packages/v1/packages/{package_id}"))["successor_id"]
            if successor_id:
                self.ids.packages[row.package].append(successor_id)
                self._did("renewed")
            else:
                self.refusals.append(Refusal(row.place, "renew", "no package followed the closed one", False))

    async def pay(self, row: Payment) -> None:
        """Hand over an amount, or all that is due, for the oldest invoices first."""
        left, nothing = row.amount, True
        for invoice in await self._open_invoices(row):
            owed = [part["open_minor"] for part in invoice["instalments"] if part["label"] in OWED]
            amount_minor = sum(owed) if left is None else min(left, invoice["open_minor"])
            if amount_minor:
                nothing = False
                left = None if left is None else left - amount_minor
                body = {"amount_minor": amount_minor, "method": row.method}
                path = f"/billing/v1/invoices/{invoice['invoice_id']}/payments"
                if await self._ask(row, f"pay {invoice['number']}", path, body):
                    self._did("paid")
        if left or nothing:
            reason = "there is nothing to pay" if nothing else "a part of it is more than is owed"
            self.refusals.append(Refusal(row.place, "pay", reason, False))

    async def _open_invoices(self, row: Payment) -> list[dict[str, Any]]:
        """Whole invoices on which something is open, oldest first."""
        client_id = self.ids.clients[row.client]
        listed = await self.doors.everything("/billing/v1/invoices", client_id=client_id)
        packages = self.ids.packages.get(row.package, []) if row.package else None
        wanted = [
            invoice["invoice_id"]
            for invoice in sorted(listed, key=lambda invoice: int(invoice["number"]))
            if invoice["open_minor"] and (packages is None or invoice["package_id"] in packages)
        ]
        return [await self.doors.make("GET", f"/billing/v1/invoices/{invoice_id}") for invoice_id in wanted]

    async def _ask(
        self, row: Sale | Booking | Payment, act: str, path: str, body: Any = None, *, client: UUID | None = None
    ) -> dict[str, Any] | None:
        """Send what a row asks for; None where a service says no, which the summary tells."""
        try:
            return await self.doors.make("POST", path, body, act=f"{row.place}, {act}", client=client)
        except Refused as refused:
            expected = isinstance(row, Booking) and row.outcome == "refused"
            self.refusals.append(Refusal(row.place, act, refused.reason, expected))
            self._did("refused")
            return None
