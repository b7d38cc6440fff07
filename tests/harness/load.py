"""People who keep a system busy, chosen by a seed: they book, cancel and buy, and remember all that was answered."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from tests.harness.studio import FRIDAY, Studio

HOURS = range(6, 22)


@dataclass
class Person:
    """A client with a practitioner, so that no two people want the same hour."""

    client_id: str
    practitioner_id: str
    package_id: str
    chance: random.Random
    hours: int = 0
    """How many have been asked for; the next one is free for sure."""
    open: list[str] = field(default_factory=list)
    """Bookings that could be cancelled."""


@dataclass
class Load:
    """What a few people do, one thing after another each.

    Impatient people note whatever is no answer as a failure; patient ones ask again, under the same key, until there
    is one.
    """

    studio: Studio
    seed: int
    patient: bool
    pause: float = 0.05
    """Seconds that somebody rests at most between two acts."""
    booked: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    bought: set[str] = field(default_factory=set)
    answers: int = 0
    failures: list[str] = field(default_factory=list)
    _people: list[Person] = field(default_factory=list)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def settle(self, people: int) -> None:
        """Each gets a practitioner, a mandate, and a package with more sessions than anybody can use."""
        terms = {"form": "paid_in_full", "session_count": 1, "price_minor": 5500}
        self.single = await self.studio.template(name="Single session", **terms)
        many = await self.studio.template(
            name="Many sessions", **(terms | {"session_count": 5000, "price_minor": 90000})
        )
        made = []
        for number in range(people):
            client_id = await self.studio.client(f"Person{number}")
            practitioner = {"name": f"Coach {number}", "practitioner": True, "seller": True}
            staff = await self.studio.owner.make("POST", "/catalog/v1/staff", practitioner)
            await self.studio.mandate("settle", client_id)
            made.append((client_id, staff["staff_id"]))
        for number, (client_id, staff_id) in enumerate(made):
            package_id = await self.studio.sell(many, client_id, auto_pay=True)
            self._people.append(Person(client_id, staff_id, package_id, random.Random(f"{self.seed}:{number}")))
        await self.studio.quiet()

    async def work(self, seconds: float, *, day_seconds: float | None = None) -> None:
        """Let everybody act for so long; with `day_seconds`, a day passes as often, at the business and its bank."""
        calendar = [self._days(day_seconds)] if day_seconds else []
        acting = asyncio.gather(*(self._act(person) for person in self._people), *calendar)
        await asyncio.wait([acting], timeout=seconds)
        self.stop()
        await acting

    def stop(self) -> None:
        """Let everybody finish what they are at."""
        self._stopped.set()

    async def _days(self, seconds: float) -> None:
        today = FRIDAY
        while not await self._paused(seconds):
            today += timedelta(days=1)
            await self.studio.begin_day(today)

    async def _act(self, person: Person) -> None:
        while not await self._paused(person.chance.uniform(0, self.pause)):
            what = person.chance.random()
            if what < 0.6 or not person.open:
                await self._book(person)
            elif what < 0.9:
                await self._cancel(person)
            else:
                await self._buy(person)

    async def _paused(self, seconds: float) -> bool:
        """Wait a moment; whether it is time to stop."""
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _book(self, person: Person) -> None:
        day, hour = divmod(person.hours, len(HOURS))
        person.hours += 1
        on = FRIDAY + timedelta(days=200 + day)
        order = self.studio.order(
            person.package_id, on, HOURS[hour], client_id=person.client_id, practitioner_id=person.practitioner_id
        )
        if made := await self._ask("/booking/v1/bookings", order):
            self.booked.add(made["booking_id"])
            person.open.append(made["booking_id"])

    async def _cancel(self, person: Person) -> None:
        booking_id = person.open.pop(person.chance.randrange(len(person.open)))
        if await self._ask(f"/booking/v1/bookings/{booking_id}/cancel", {"reason": "cannot come"}):
            self.cancelled.add(booking_id)

    async def _buy(self, person: Person) -> None:
        order = {"client_id": person.client_id, "template_id": self.single, "auto_pay": True}
        if made := await self._ask("/packages/v1/packages", order):
            self.bought.add(made["package_id"])

    async def _ask(self, path: str, body: Any) -> dict[str, Any]:
        """What was made; nothing when it was refused, or (for the impatient) when there was no answer."""
        if self.patient:
            answer = await self.studio.owner.insist(path, body)
        else:
            try:
                answer = await self.studio.owner.request("POST", path, json=body)
            except httpx.TransportError as error:
                self.failures.append(f"POST {path}: {error!r}")
                return {}
        self.answers += 1
        if answer.is_success:
            document: dict[str, Any] = answer.json()
            return document
        if answer.status_code != 409:
            self.failures.append(f"POST {path}: {answer.status_code} {answer.text[:200]}")
        return {}

    async def prove(self) -> None:
        """All that was answered is there, once, and nothing else is; so nobody may have gone without an answer."""
        bookings = await self.studio.rows("booking", "select booking_id id, state from bookings")
        alive = {str(row.id) for row in bookings if row.state != "refused"}
        assert alive <= self.booked <= {str(row.id) for row in bookings}
        ended = {str(row.id) for row in bookings if row.state in ("cancelled", "late_cancelled", "refused")}
        assert self.cancelled <= ended
        packages = {str(row.id) for row in await self.studio.rows("packages", "select package_id id from packages")}
        assert packages == self.bought | {person.package_id for person in self._people}
        assert self.failures == []
