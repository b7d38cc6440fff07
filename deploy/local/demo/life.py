"""Lives through the days of the books, over HTTP and on the test clock, as the people of the business would."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any, TypeVar
from uuid import UUID

from deploy.local.demo.doors import Doors, Refused
from deploy.local.demo.shapes import CLOSES, OPENS, Booking, Books, Mandate, Place, Row, Sale, Template
from deploy.local.observer import Observer

R = TypeVar("R", bound=Row)
QUIET_SECONDS = 60

Tell = Callable[[date, str, Counter[str]], None]
"""Hears how far the demo is: the day, the part of it, and what has happened on it."""


@dataclass
class Ids:
    """What the services call the things that the books have names for."""

    staff: dict[str, str] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    bookings: dict[Place, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """A row that a service said no to."""

    place: Place
    act: str
    reason: str
    expected: bool


class Life:
    """One run of the books, in a business of its own."""

    def __init__(self, books: Books, doors: Doors, observer: Observer, tell: Tell) -> None:
        self.books, self.doors, self.observer, self._tell = books, doors, observer, tell
        self.ids = Ids()
        self.refusals: list[Refusal] = []
        self.mandates: list[str] = []
        """The names of our mandates at the bank."""
        self._day = books.days[0]
        self._part = ""
        self._done: Counter[str] = Counter()

    async def live(self) -> None:
        """Set up shop, then live each day: a morning, an evening."""
        self._now_is(self._day, "setting up shop")
        await self._open()
        for day in self.books.days:
            self._done = Counter()
            await self._morning(day)
            await self._evening(day)
            self._now_is(day, "over")

    def _now_is(self, day: date, part: str) -> None:
        self._day, self._part = day, part
        self._tell(day, part, self._done)

    def _did(self, what: str) -> None:
        self._done[what] += 1
        self._tell(self._day, self._part, self._done)

    async def _quiet(self) -> None:
        await self.observer.until_quiet(self.doors.business_id, QUIET_SECONDS)

    async def _clock(self, day: date, at: time) -> None:
        await self.doors.make("PUT", "/catalog/v1/business/clock", {"now": self.books.business.at(day, at).isoformat()})
        await self._quiet()

    # Setting up shop

    async def _open(self) -> None:
        profile = self.books.business.model_dump(exclude={"place"})
        await self.doors.make("PUT", "/catalog/v1/business", profile)
        await self._clock(self._day, OPENS)
        await self.doors.open_account(self.books.business.name)
        await asyncio.gather(
            *(self._enter("staff", "staff_id", self.ids.staff, row) for row in self.books.staff),
            *(self._enter("services", "service_id", self.ids.services, row) for row in self.books.services),
            *(self._enter("clients", "client_id", self.ids.clients, row) for row in self.books.clients),
        )
        await asyncio.gather(
            *(self._enter("templates", "template_id", self.ids.templates, row) for row in self.books.templates)
        )
        await self._quiet()

    async def _enter(self, kind: str, own_id: str, ids: dict[str, str], row: Any) -> None:
        body = self._offer(row) if isinstance(row, Template) else row.model_dump(exclude={"place"}, exclude_none=True)
        made = await self.doors.make("POST", f"/catalog/v1/{kind}", body, act=str(row.place))
        ids[row.name] = made[own_id]

    def _offer(self, template: Template) -> dict[str, Any]:
        replaced = {"place", "services", "practitioners", "price", "tiers"}
        return {
            **template.model_dump(exclude=replaced, exclude_none=True),
            "service_ids": [self.ids.services[name] for name in template.services],
            "practitioner_ids": [self.ids.staff[name] for name in template.practitioners],
            "price_minor": template.price,
            "tiers": [{"at_least": tier.at_least, "rate_minor": tier.rate} for tier in template.tiers],
        }

    # A day

    async def _morning(self, day: date) -> None:
        """People sign, buy, call off and book."""
        mandates = [row for row in self.books.mandates if row.signed_on == day]
        sales = [row for row in self.books.sales if row.sold_on == day]
        booked = [row for row in self.books.bookings if row.booked_on == day]
        called_off = [row for row in self.books.bookings if row.cancelled_on == day]
        if not (mandates or sales or booked or called_off):
            return
        self._now_is(day, "morning")
        await self._clock(day, OPENS)
        await self._all(self._sign, mandates)
        await self._all(self._sell, sales)
        await self._all(self._cancel, [row for row in called_off if row.booked_on < day])
        for together in rounds(booked):
            await self._all(self._book, together)
        await self._quiet()
        await self._all(self._cancel, [row for row in called_off if row.booked_on == day])

    async def _evening(self, day: date) -> None:
        """Staff say who came, and close what is to be closed."""
        past = [row for row in self.books.bookings if row.starts_at.date() == day]
        known = [row for row in past if row.outcome in ("attended", "no_show")]
        closing = [row for row in self.books.sales if row.close_on == day]
        if known or closing:
            self._now_is(day, "evening")
            await self._clock(day, CLOSES)
            await self._all(self._attend, known)
        if closing:
            await self._quiet()
            await self._all(self._close, closing)
        await self._quiet()

    async def _all(self, act: Callable[[R], Awaitable[None]], rows: Iterable[R]) -> None:
        await asyncio.gather(*map(act, rows))

    # What people do

    async def _sign(self, row: Mandate) -> None:
        behaviour = {"payments": row.payments} | ({"cause": row.cause} if row.cause else {})
        signed = await self.doors.mandate(row.client, self.books.business.currency, behaviour)
        self.mandates.append(signed["id"])
        body = {
            "payer_id": self.ids.clients[row.client],
            "provider_mandate": signed["id"],
            "account_ending": signed["account_number_ending"],
        }
        await self.doors.make("POST", "/directdebit/v1/mandates", body, act=f"{row.place}, sign")
        self._did("signed")

    async def _sell(self, row: Sale) -> None:
        order = {
            "client_id": self.ids.clients[row.client],
            "template_id": self.ids.templates[row.template],
            "auto_pay": row.auto_pay,
            "sold_by": self.ids.staff[row.sold_by] if row.sold_by else None,
            "price_minor": row.price,
            "session_count": row.session_count,
            "expiry_date": row.expiry_date and row.expiry_date.isoformat(),
        }
        made = await self._ask(row, "sell", "/packages/v1/packages", order)
        if made is not None:
            self.ids.packages[row.package] = made["package_id"]
            self._did("sold")

    async def _book(self, row: Booking) -> None:
        if row.package and row.package not in self.ids.packages:
            return
        client = self.ids.clients[row.client]
        order = {
            "client_id": client,
            "service_id": self.ids.services[row.service],
            "practitioner_id": self.ids.staff[row.practitioner],
            "starts_at": self.books.business.at(row.starts_at.date(), row.starts_at.time()).isoformat(),
            "package_id": self.ids.packages[row.package] if row.package else None,
        }
        by = UUID(client) if row.booked_by == "client" else None
        made = await self._ask(row, "book", "/booking/v1/bookings", order, client=by)
        if made is not None:
            self.ids.bookings[row.place] = made["booking_id"]
            self._did("booked")
            if row.outcome == "refused":
                self.refusals.append(Refusal(row.place, "book", "it was taken, though the file says refused", False))

    async def _cancel(self, row: Booking) -> None:
        by = UUID(self.ids.clients[row.client]) if row.booked_by == "client" else None
        await self._change(row, "cancel", {"reason": "cannot come"}, "cancelled", client=by)

    async def _attend(self, row: Booking) -> None:
        attended = row.outcome == "attended"
        await self._change(row, "attendance", {"attended": attended}, "attended" if attended else "missed")

    async def _change(
        self, row: Booking, verb: str, body: dict[str, Any], done: str, client: UUID | None = None
    ) -> None:
        booking_id = self.ids.bookings.get(row.place)
        path = f"/booking/v1/bookings/{booking_id}/{verb}"
        if booking_id and await self._ask(row, verb, path, body, client=client):
            self._did(done)

    async def _close(self, row: Sale) -> None:
        package_id = self.ids.packages.get(row.package)
        if package_id and await self._ask(row, "close", f"/packages/v1/packages/{package_id}/close"):
            self._did("closed")

    async def _ask(
        self, row: Sale | Booking, act: str, path: str, body: Any = None, *, client: UUID | None = None
    ) -> dict[str, Any] | None:
        """Send what a row asks for; None where a service says no, which the summary tells."""
        try:
            return await self.doors.make("POST", path, body, act=f"{row.place}, {act}", client=client)
        except Refused as refused:
            expected = isinstance(row, Booking) and row.outcome == "refused"
            self.refusals.append(Refusal(row.place, act, refused.reason, expected))
            self._did("refused")
            return None


def rounds(bookings: Sequence[Booking]) -> list[list[Booking]]:
    """Bookings that may be made at the same time: in a round no client and no practitioner comes twice.

    So whoever is written first gets the time, or the last session of a package, in each run alike.
    """
    made: list[list[Booking]] = []
    last: dict[str, int] = {}
    for booking in bookings:
        names = (f"client {booking.client}", f"practitioner {booking.practitioner}")
        turn = max(last.get(name, -1) for name in names) + 1
        last |= dict.fromkeys(names, turn)
        if turn == len(made):
            made.append([])
        made[turn].append(booking)
    return made
