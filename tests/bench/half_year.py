"""S12: a studio lives by days on the test clock; everybody trains once a week and pays weekly by direct debit."""

import time
from datetime import time as at
from datetime import timedelta

from tests.bench.figures import Figure, Found, Goal
from tests.bench.place import Place
from tests.harness.studio import FRIDAY, Studio

WHOLE_CLIENTS, WHOLE_DAYS = 500, 182
WEEKLY = {
    "name": "Once a week",
    "form": "recurring",
    "session_count": 1,
    "price_minor": 5000,
    "frequency": "weekly",
    "rollover": "add",
    "term_weeks": 0,
}
Person = tuple[str, str, str]
"""Client, practitioner, package."""


async def settle(studio: Studio, people: int) -> list[Person]:
    """Each begins on a day of the week of their own, and has a mandate on which the bank pays."""
    template_id = await studio.template(**WEEKLY)
    made = []
    for number in range(people):
        client_id = await studio.client(f"Client{number}")
        coach = {"name": f"Coach {number}", "practitioner": True, "seller": True}
        staff_id = (await studio.owner.make("POST", "/catalog/v1/staff", coach))["staff_id"]
        await studio.mandate("settle", client_id)
        begins = str(FRIDAY + timedelta(days=1 + number % 7))
        dates = {"start_date": begins, "first_due_date": begins}
        made.append((client_id, staff_id, await studio.sell(template_id, client_id, auto_pay=True, **dates)))
    await studio.quiet()
    return made


async def live(studio: Studio, people: list[Person], days: int) -> float:
    """Seconds of so many days. Who has their day books it in the morning, comes, and is seen to have come."""
    began = time.perf_counter()
    for count in range(1, days + 1):
        today = FRIDAY + timedelta(days=count)
        await studio.clock(today)
        booked = []
        for client_id, practitioner_id, package_id in people[(count - 1) % 7 :: 7]:
            booking_id = await studio.book(package_id, today, client_id=client_id, practitioner_id=practitioner_id)
            booked.append(booking_id)
        if booked:
            await studio.clock(today, at(11))
        for booking_id in booked:
            await studio.attend(booking_id)
    await studio.quiet()
    return time.perf_counter() - began


async def measure(place: Place) -> list[Found]:
    clients, days = place.sizes.clients, place.sizes.days
    async with place.studio() as studio:
        people = await settle(studio, clients)
        before = place.cpu_seconds()
        took = await live(studio, people, days)
        used = place.cpu_seconds() - before
    weeks = clients * days / 7
    scale = WHOLE_CLIENTS * WHOLE_DAYS / (clients * days)
    note = (
        f"Measured: {clients} clients, {days} days: {took:.1f} s. CPU of the services: {used:.1f} s, which is"
        f" {used / weeks:.2f} s for a client's week of a session, a bill, a debit and mails."
        f" Scaled by {scale:.0f}: what a day costs by itself is scaled too, which is too much"
    )
    work = f"{WHOLE_DAYS} days of a studio of {WHOLE_CLIENTS}, lived by days on the test clock"
    return [Figure("S12", work, "s", [took * scale], Goal(60, at_most=True, of_ratio=False), note=note)]
