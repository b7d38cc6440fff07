"""Lives through the days of the script, over HTTP and on the test clock, as the people of the business would."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar

from deploy.local.clock import advance, move
from deploy.local.demo.doors import Doors
from deploy.local.demo.people import Ids, People
from deploy.local.demo.shapes import CLOSES, OPENS, Booking, Row, Script, Template
from deploy.local.running.observer import Observer

R = TypeVar("R", bound=Row)
QUIET_SECONDS = 60

Tell = Callable[[date, str, Counter[str]], None]
"""Hears how far the demo is: the day, the part of it, and what has happened on it."""


class Life:
    """One run of the script, in a business of its own."""

    def __init__(self, script: Script, doors: Doors, observer: Observer, tell: Tell) -> None:
        self.script, self.doors, self.observer, self._tell = script, doors, observer, tell
        self.people = People(script, doors, self._did)
        self.ids: Ids = self.people.ids
        self._minutes = {service.name: service.minutes for service in script.services}
        self._day = script.days[0]
        self._now = script.business.at(self._day, OPENS)
        self.lived = self._day
        """The last day that is over."""
        self._part = ""
        self._unsaid: list[Booking] = []
        """Sessions that are over, and nobody has said yet who came."""
        self._done: Counter[str] = Counter()

    async def live(self) -> None:
        """Set up shop, then live every day: a morning, and an evening where it is needed."""
        self._now_is(self._day, "setting up shop")
        await self._open()
        for day in self.script.days:
            self._done = Counter()
            await self._morning(day)
            await self._evening(day)
            self.lived = day
            self._now_is(day, "over")
        await self._quiet()

    async def go_on(self, until: date, tell: Tell) -> None:
        """Let more days go by, on which nobody comes; what is billed and collected by itself goes on."""
        self._done, self._tell = Counter(), tell

        def told(day: date) -> None:
            self.lived = day
            self._now_is(day, "over")

        await advance(self.observer, self.doors.business_id, self._put, since=self._now, until=until, told=told)

    def _now_is(self, day: date, part: str) -> None:
        self._day, self._part = day, part
        self._tell(day, part, self._done)

    def _did(self, what: str) -> None:
        self._done[what] += 1
        self._tell(self._day, self._part, self._done)

    async def _quiet(self) -> None:
        await self.observer.until_quiet(self.doors.business_id, QUIET_SECONDS)

    async def _clock(self, day: date, at: time) -> None:
        now = self.script.business.at(day, at)
        await move(self.observer, self.doors.business_id, now, self._put, self._quiet)
        await self._quiet()

    async def _put(self, now: datetime) -> None:
        self._now = now
        await self.doors.make("PUT", "/catalog/v1/business/clock", {"now": now.isoformat()})

    # Setting up shop

    async def _open(self) -> None:
        profile = self.script.business.model_dump(exclude={"place"})
        now = self.script.business.at(self._day, OPENS)
        await self.doors.make("PUT", "/catalog/v1/business", profile | {"test_now": now.isoformat()})
        await self._quiet()
        await self.doors.open_account(self.script.business.name, now)
        await asyncio.gather(
            *(self._enter("staff", "staff_id", self.ids.staff, row) for row in self.script.staff),
            *(self._enter("services", "service_id", self.ids.services, row) for row in self.script.services),
            *(self._enter("clients", "client_id", self.ids.clients, row) for row in self.script.clients),
        )
        await asyncio.gather(
            *(self._enter("templates", "template_id", self.ids.templates, row) for row in self.script.templates)
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
        """The day starts, what falls due is billed and collected; staff say who came, people buy, call off and book.

        What changes at the bank counts for the debits of that day; a new mandate for those of the next.
        """
        self._now_is(day, "morning")
        of_mandates = [row for row in self.script.mandates if row.starts_on == day]
        await self._all(self.people.behave, [row for row in of_mandates if row.mandate is None])
        await self._clock(day, OPENS)
        called_off = [row for row in self.script.bookings if row.cancelled_on == day]
        at_once = [row for row in called_off if row.booked_on == day]
        unsaid, self._unsaid = self._unsaid, []
        await asyncio.gather(
            self._all(self.people.attend, unsaid),
            self._all(self.people.sign, [row for row in of_mandates if row.mandate]),
        )
        await self._all(self.people.sell, [row for row in self.script.sales if row.sold_on == day])
        await self._all(self.people.cancel, [row for row in called_off if row.booked_on < day])
        for together in rounds([row for row in self.script.bookings if row.booked_on == day], self._minutes):
            await self._all(self.people.book, together)
        if at_once:
            await self._quiet()
            await self._all(self.people.cancel, at_once)

    async def _evening(self, day: date) -> None:
        """Packages are closed, and people pay, once staff have said who came; else that can wait for the morning."""
        past = [row for row in self.script.bookings if row.starts_at.date() == day]
        self._unsaid = [row for row in past if row.outcome in ("attended", "no_show")]
        closing = [row for row in self.script.sales if day in row.close_on]
        paying = [row for row in self.script.payments if row.paid_on == day]
        if not (closing or paying or day == self.script.days[-1]):
            return
        self._now_is(day, "evening")
        await self._clock(day, CLOSES)
        unsaid, self._unsaid = self._unsaid, []
        await self._all(self.people.attend, unsaid)
        if closing:
            await self._quiet()
            await self._all(self.people.close, closing)
            await self._quiet()
            await self._all(self.people.renew, [row for row in closing if row.auto_renew])
        for row in paying:
            await self.people.pay(row)

    async def _all(self, act: Callable[[R], Awaitable[None]], rows: Iterable[R]) -> None:
        await asyncio.gather(*map(act, rows))


def rounds(bookings: Sequence[Booking], minutes: Mapping[str, int]) -> list[list[Booking]]:
    """Bookings that may be made at the same time: in a round no two want the same client, or a practitioner at once.

    So whoever is written first gets the time, or the last session of a package, in each run alike.
    """
    made: list[list[Booking]] = []
    for booking in bookings:
        contended = (n for n, together in enumerate(made) if any(_contend(booking, each, minutes) for each in together))
        turn = max(contended, default=-1) + 1
        if turn == len(made):
            made.append([])
        made[turn].append(booking)
    return made


def _contend(one: Booking, other: Booking, minutes: Mapping[str, int]) -> bool:
    first, second = sorted((one, other), key=lambda booking: booking.starts_at)
    overlap = second.starts_at < first.starts_at + timedelta(minutes=minutes[first.service])
    return one.client == other.client or (one.practitioner == other.practitioner and overlap)
