"""A business in a running system, as its people use it: over HTTP, on dates of its own."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text

from deploy.audit.auditing import audit
from deploy.audit.books import BEGINNING
from deploy.local.clock import move
from deploy.local.running.fleet import Fleet, behind_gateway
from deploy.local.running.observer import Observer
from deploy.local.running.system import APART, System, bank_account, system
from shared.database import Context
from shared.ids import new_id
from tests.harness.caller import Caller
from tests.harness.leaks import of_system

ZONE = ZoneInfo("Australia/Sydney")
FRIDAY = date(2022, 9, 9)
PROFILE = {"name": "Harbour Studio", "zone": ZONE.key, "currency": "AUD", "email": "desk@studio.example"}
CLOCK = "/catalog/v1/business/clock"
IDS = {"clients": "client_id", "staff": "staff_id", "services": "service_id", "templates": "template_id"}


@dataclass
class Studio:
    """Harbour Studio: one practitioner who also sells, one service, and as many clients as a story needs."""

    system: System
    observer: Observer
    business_id: UUID = field(default_factory=new_id)
    _callers: list[Caller] = field(default_factory=list)
    _facts_since: datetime = BEGINNING

    async def open(self, on: date = FRIDAY) -> None:
        """Set up shop in the morning of a day."""
        self.owner = self.caller(self.system.issuer.staff(self.business_id))
        now = datetime.combine(on, time(8), ZONE)
        await self.owner.make("PUT", "/catalog/v1/business", PROFILE | {"test_now": now.isoformat()})
        await self.quiet()
        self.account = await bank_account(self.system, self.business_id, "Harbour Studio", now)
        await self.owner.make("PUT", "/directdebit/v1/provider", self.account)
        self.kim = await self._new("staff", name="Kim", practitioner=True, seller=True)
        self.training = await self._new("services", name="Personal training", minutes=60)
        self.ana = await self.client("Ana")
        await self.quiet()

    def caller(self, token: str) -> Caller:
        made = Caller(self.system, token)
        self._callers.append(made)
        return made

    def as_client(self, client_id: str) -> Caller:
        return self.caller(self.system.issuer.client(self.business_id, UUID(client_id)))

    async def close(self) -> None:
        for caller in self._callers:
            await caller.close()

    async def quiet(self) -> None:
        await self.observer.until_quiet(self.business_id)

    # Its rows, past every door

    async def rows(self, service: str, sql: str) -> list[Any]:
        return await self.observer.rows(service, sql, self.business_id)

    async def write(self, service: str, script: str, /, **given: Any) -> None:
        """Do what a script says straight in a service's tables, in one transaction: what it makes has no facts."""
        self._facts_since = datetime.now(UTC)
        async with self.observer.databases[service].transaction() as db:
            await db.enter(Context(self.business_id, "service:test"))
            for statement in script.split(";"):
                await db.execute(text(statement), given | {"business_id": self.business_id})

    async def violations(self) -> list[str]:
        """What the audit finds; from facts that nobody has told nothing is concluded."""
        books = await self.observer.books(self.business_id)
        books.kept_since = self._facts_since
        return [finding.line() for finding in audit(books)]

    # The reference book

    async def _new(self, kind: str, **fields: Any) -> str:
        made = await self.owner.make("POST", f"/catalog/v1/{kind}", fields)
        own_id: str = made[IDS[kind]]
        return own_id

    async def client(self, name: str) -> str:
        return await self._new("clients", name=name, email=f"{name.lower()}@clients.example")

    async def template(self, **terms: Any) -> str:
        usual = {"name": "10 PT sessions", "service_ids": [self.training], "billing_mode": "pre_bill"}
        return await self._new("templates", **(usual | terms))

    async def clock(self, on: date, at: time = time(8)) -> None:
        """It is now this date and time, and all that this brings is done."""

        async def put(now: datetime) -> None:
            await self.owner.make("PUT", CLOCK, {"now": now.isoformat()})

        await move(self.observer, self.business_id, datetime.combine(on, at, ZONE), put, self.quiet)
        await self.quiet()

    async def begin_day(self, on: date) -> None:
        """It is the morning of a date, as soon as somebody hears it."""

        async def put(now: datetime) -> None:
            (await self.owner.insist(CLOCK, {"now": now.isoformat()}, method="PUT")).raise_for_status()

        await move(self.observer, self.business_id, datetime.combine(on, time(8), ZONE), put)

    async def live(self, until: date) -> None:
        """Let days go by, one after the other."""
        profile = await self.owner.make("GET", "/catalog/v1/business")
        today = datetime.fromisoformat(profile["test_now"]).astimezone(ZONE).date()
        for count in range((until - today).days):
            await self.clock(today + days(count + 1))

    # Packages

    async def sell(self, template_id: str, client_id: str | None = None, **order: Any) -> str:
        await self.quiet()
        body = {"client_id": client_id or self.ana, "template_id": template_id} | order
        package_id: str = (await self.owner.make("POST", "/packages/v1/packages", body))["package_id"]
        return package_id

    async def package(self, package_id: str) -> dict[str, Any]:
        await self.quiet()
        return await self.owner.make("GET", f"/packages/v1/packages/{package_id}")

    async def balance(self, package_id: str) -> tuple[int, int, int]:
        """Available, held, consumed."""
        package = await self.package(package_id)
        return package["available"], package["held"], package["consumed"]

    async def close_package(self, package_id: str) -> None:
        await self.quiet()
        await self.owner.make("POST", f"/packages/v1/packages/{package_id}/close")

    # Bookings

    def order(self, package_id: str | None, on: date, hour: int = 10, **changes: Any) -> dict[str, Any]:
        starts_at = datetime.combine(on, time(hour), ZONE).isoformat()
        usual = {
            "client_id": self.ana,
            "service_id": self.training,
            "practitioner_id": self.kim,
            "starts_at": starts_at,
            "package_id": package_id,
        }
        return usual | changes

    async def book(
        self, package_id: str | None, on: date, hour: int = 10, by: Caller | None = None, **changes: Any
    ) -> str:
        order = self.order(package_id, on, hour, **changes)
        booking_id: str = (await (by or self.owner).make("POST", "/booking/v1/bookings", order))["booking_id"]
        return booking_id

    async def booking(self, booking_id: str) -> dict[str, Any]:
        return await self.owner.make("GET", f"/booking/v1/bookings/{booking_id}")

    async def cancel(self, booking_id: str, by: Caller | None = None) -> None:
        await (by or self.owner).make("POST", f"/booking/v1/bookings/{booking_id}/cancel", {"reason": "cannot come"})

    async def attend(self, booking_id: str, *, attended: bool = True) -> None:
        await self.owner.make("POST", f"/booking/v1/bookings/{booking_id}/attendance", {"attended": attended})

    async def use(self, package_id: str, on: date, hour: int = 10) -> str:
        """Book a session, live to its end and attend it."""
        booking_id = await self.book(package_id, on, hour)
        await self.clock(on, time(hour) if hour == 23 else time(hour + 1))
        await self.attend(booking_id)
        return booking_id

    # Money

    async def invoices(self, package_id: str) -> list[dict[str, Any]]:
        """The package's invoices in full, oldest first."""
        await self.quiet()
        page = await self.owner.make("GET", f"/billing/v1/invoices?package_id={package_id}")
        return [await self.owner.make("GET", f"/billing/v1/invoices/{i['invoice_id']}") for i in page["items"]]

    async def pay(self, invoice_id: str, amount_minor: int, method: str = "cash") -> dict[str, Any]:
        """Somebody pays at the desk; the invoice as it is then."""
        body = {"amount_minor": amount_minor, "method": method}
        return await self.owner.make("POST", f"/billing/v1/invoices/{invoice_id}/payments", body)

    async def process_billing(self) -> str:
        """Somebody presses Process Billing, and confirms the list; the run's id."""
        await self.quiet()
        run_id: str = (await self.owner.make("POST", "/directdebit/v1/runs"))["run_id"]
        await self.owner.make("POST", f"/directdebit/v1/runs/{run_id}/confirm")
        return run_id

    async def mandate(self, payments: str, client_id: str | None = None, cause: str | None = None) -> str:
        """The client signs at the bank's own page; the bank settles, declines, or waits for a word on each payment."""
        account = {
            "account_holder_name": "Ana",
            "account_number": "123456789",
            "branch_code": "062-000",
            "currency": "AUD",
        }
        headers = {"Authorization": f"Bearer {self.account['access_token']}"}
        answer = await self.observer.bank.post("/practice/mandates", json={"mandates": account}, headers=headers)
        provider_mandate: str = answer.raise_for_status().json()["mandates"]["id"]
        await self.behave(provider_mandate, payments, cause)
        body = {
            "payer_id": client_id or self.ana,
            "provider_mandate": provider_mandate,
            "account_ending": answer.json()["mandates"]["account_number_ending"],
        }
        await self.owner.make("POST", "/directdebit/v1/mandates", body)
        return provider_mandate

    async def behave(self, provider_mandate: str, payments: str, cause: str | None = None) -> None:
        """From now on the bank treats the payments of a mandate so."""
        behaviour = {"payments": payments} | ({"cause": cause} if cause else {})
        path = f"/practice/mandates/{provider_mandate}/behaviour"
        (await self.observer.bank.post(path, json=behaviour)).raise_for_status()

    async def payments(self, provider_mandate: str) -> list[dict[str, Any]]:
        """The bank's own log of what it was asked to take on a mandate, oldest first."""
        log = (await self.observer.bank.get("/practice/log")).json()["payments"]
        return [payment for payment in reversed(log) if payment["links"]["mandate"] == provider_mandate]

    async def at_the_bank(self, payment_id: str, verb: str, **details: Any) -> None:
        """Tell the bank what becomes of a payment."""
        path = f"/practice/payments/{payment_id}/{verb}"
        (await self.observer.bank.post(path, json=details)).raise_for_status()

    async def mails(self, recipient: str) -> list[str]:
        """The subjects of the mails to somebody of this business, in the order they came."""
        await self.quiet()
        page = await self.owner.make("GET", "/notify/v1/messages?limit=200")
        ours = [message["message_id"] for message in page["items"]]
        return [
            mail.subject
            for mail in self.system.mail.messages
            if recipient in mail.recipients and any(message_id in mail.message_id for message_id in ours)
        ]


@asynccontextmanager
async def opened(system: System) -> AsyncIterator[Studio]:
    """A new business on Friday 9 September 2022; when its story has ended, nothing moves, every invariant
    holds, and no account number is to be found anywhere.
    """
    observer = Observer(system)
    studio = Studio(system, observer)
    try:
        await studio.open()
        yield studio
        await studio.quiet()
        assert await studio.violations() == []
        assert await of_system(system, observer.databases, studio.business_id) == []
    finally:
        await studio.close()
        await observer.close()


@contextmanager
def scaled(folder: Path, postgres_url: str, amqp_url: str, scale: Mapping[str, int]) -> Iterator[Fleet]:
    """A process for each service, some of them several times, behind the gateway; on servers shared with others."""
    prefix = f"scaled_{new_id().hex[-8:]}"
    with (
        system(folder, postgres_url, amqp_url, groups=APART, start=False, prefix=prefix) as made,
        behind_gateway(made, scale) as launched,
    ):
        yield launched


def days(count: int) -> timedelta:
    return timedelta(days=count)
