"""A studio's season, drawn from a seed: a script for the demo to live through, and what people do beside them."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from deploy.local.demo.doors import Doors, Refused
from deploy.local.demo.life import Life
from deploy.local.demo.script import read_script
from deploy.local.running.observer import Observer
from deploy.local.running.system import System
from shared.ids import new_id

FIRST = date(2022, 9, 9)
CLIENTS = ("Ana", "Bo", "Chidi", "Dana", "Elif")
MANDATES = {
    "Ana": "collects",
    "Bo": "insufficient_funds_then_success",
    "Chidi": "late_return",
    "Dana": "chargeback",
}
BUSINESS = {"name": "Studio", "zone": "Australia/Sydney", "currency": "AUD", "email": "desk@studio.test"}
TEMPLATES: list[dict[str, Any]] = [
    {"name": "Ten", "form": "paid_in_full", "session_count": 10, "price": "500.00"},
    {"name": "Parts", "form": "instalments", "session_count": 12, "price": "700.01", "instalment_count": 3},
    {"name": "Weekly", "form": "recurring", "session_count": 2, "price": "50.00", "rollover": "reset", "term_weeks": 0},
    {"name": "Term", "form": "recurring", "session_count": 1, "price": "30.00", "rollover": "add", "term_weeks": 3},
]
AFTER_USE = {
    "name": "After use",
    "billing_mode": "post_bill",
    "services": ["Training"],
    "late_cancel_hours": 24,
    "tiers": [{"at_least": 1, "rate": "60.05"}, {"at_least": 3, "rate": "55.00"}],
}
SALES = (
    ("A1", "Ana", "After use", "yes"),
    ("A2", "Ana", "Weekly", "yes"),
    ("B1", "Bo", "Parts", "yes"),
    ("B2", "Bo", "Weekly", "yes"),
    ("C1", "Chidi", "Ten", "yes"),
    ("D1", "Dana", "Parts", "yes"),
    ("D2", "Dana", "Term", "no"),
    ("E1", "Elif", "Weekly", "no"),
    ("E2", "Elif", "After use", "no"),
)


def written(folder: Path, seed: int, weeks: int) -> Path:
    """The script of so many weeks."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    usual = {"billing_mode": "pre_bill", "services": ["Training"]}
    recurs = {"frequency": "weekly"}
    templates = [usual | (recurs if form["form"] != "paid_in_full" else {}) | form for form in TEMPLATES]
    files = {
        "business.json": json.dumps(BUSINESS),
        "staff.csv": "name,practitioner,seller\nKim,yes,yes\nSam,yes,no\n",
        "services.csv": "name,minutes\nTraining,60\n",
        "templates.json": json.dumps([*templates, AFTER_USE]),
        "clients.csv": "name,email\n" + "".join(f"{name},{name.lower()}@clients.example\n" for name in CLIENTS),
        "mandates.csv": "client,starts_on,mandate,account_number,scenario,cause\n"
        + "".join(f"{client},{FIRST},signed,,{scenario},\n" for client, scenario in MANDATES.items()),
        "sales.csv": _sales(rng, weeks),
        "payments.csv": _payments(rng, weeks),
        "bookings.csv": _bookings(rng, weeks),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def _sales(rng: random.Random, weeks: int) -> str:
    lines = ["package,client,template,sold_on,sold_by,auto_pay,auto_renew,close_on"]
    for package, client, template, auto_pay in SALES:
        sold_on = FIRST + timedelta(days=rng.randrange(3))
        closes = ""
        if package == "A1":
            closes = " ".join(str(sold_on + timedelta(days=7 * week)) for week in range(1, max(weeks, 2), 2))
        elif package == "D2":
            closes = str(sold_on + timedelta(days=4))
        elif package in ("E1", "E2"):
            closes = str(sold_on + timedelta(days=max(7 * weeks - 9, 4)))
        renews = "yes" if package == "A1" else "no"
        lines.append(f"{package},{client},{template},{sold_on},Kim,{auto_pay},{renews},{closes}")
    return "\n".join(lines) + "\n"


def _payments(rng: random.Random, weeks: int) -> str:
    lines = ["client,package,paid_on,amount,method"]
    for week in range(1, weeks + 1):
        paid_on = FIRST + timedelta(days=7 * week - rng.randrange(4))
        amount = rng.choice(["", "10.00", "25.50"])
        lines.append(f"{rng.choice(['Elif', 'Dana', 'Chidi'])},,{paid_on},{amount},{rng.choice(['cash', 'card'])}")
    return "\n".join(lines) + "\n"


def _bookings(rng: random.Random, weeks: int) -> str:
    lines = ["client,package,service,practitioner,booked_on,booked_by,starts_at,outcome,cancelled_on"]
    for week in range(weeks):
        for nth, (package, client, _, _) in enumerate(SALES):
            day = FIRST + timedelta(days=7 * week + rng.randrange(3, 7))
            booked_on = day - timedelta(days=rng.choice([0, 0, 2]))
            hour, practitioner = 8 + nth, rng.choice(["Kim", "Sam"])
            outcome = rng.choice(["attended", "attended", "no_show", "cancelled"])
            cancelled_on = rng.choice([booked_on, day]) if outcome == "cancelled" else ""
            of = rng.choice([package, package, ""])
            by = rng.choice(["client", "desk"])
            lines.append(
                f"{client},{of},Training,{practitioner},{booked_on},{by},{day} {hour:02}:00,{outcome},{cancelled_on}"
            )
    return "\n".join(lines) + "\n"


class Season(Life):
    """The script, and beside it what no file of the demo can say: corrections, adjustments, changes, approvals."""

    rng: random.Random
    asked: list[str]

    async def _open(self) -> None:
        await super()._open()
        offer = {"name": "By request", "billing_mode": "pre_bill", "form": "paid_in_full", "session_count": 9}
        terms = {"service_ids": list(self.ids.services.values()), "price_minor": 9900, "needs_approval": True}
        made = await self.doors.make("POST", "/catalog/v1/templates", offer | terms, act="offer")
        await self._quiet()
        order = {"client_id": self.ids.clients["Elif"], "template_id": made["template_id"], "auto_pay": False}
        sale = await self.doors.make("POST", "/packages/v1/packages", order, act="by request")
        self.by_request: str = sale["package_id"]
        await self._quiet()

    async def _morning(self, day: date) -> None:
        await super()._morning(day)
        await self._quiet()
        count = (day - FIRST).days
        act = (self._adjust, self._switch, self._rename, self._correct, self._request)[count % 5]
        with suppress(Refused):  # the season goes on; what was refused is no fact
            await act(day, count)

    def _any_package(self) -> str:
        return self.rng.choice([ids[-1] for ids in self.ids.packages.values()])

    async def _adjust(self, day: date, count: int) -> None:
        body = {"sessions": self.rng.choice([1, 2, -1]), "reason": "goodwill"}
        await self.doors.make(
            "POST", f"/packages/v1/packages/{self._any_package()}/adjustments", body, act=f"adjust {day}"
        )

    async def _switch(self, day: date, count: int) -> None:
        path = f"/packages/v1/packages/{self._any_package()}/auto-pay"
        await self.doors.make("POST", path, {"auto_pay": self.rng.random() < 0.5}, act=f"switch {day}")

    async def _rename(self, day: date, count: int) -> None:
        name = self.rng.choice(CLIENTS)
        change = {"name": f"{name} {count}"}
        await self.doors.make("PATCH", f"/catalog/v1/clients/{self.ids.clients[name]}", change, act=f"rename {day}")

    async def _correct(self, day: date, count: int) -> None:
        over = [row for row in self.script.bookings if row.starts_at.date() < day and row.outcome == "attended"]
        known = [self.ids.bookings[row.place] for row in over if row.place in self.ids.bookings]
        if known:
            path = f"/booking/v1/bookings/{self.rng.choice(known)}/attendance"
            await self.doors.make("POST", path, {"attended": False}, act=f"correct {day}")

    async def _request(self, day: date, count: int) -> None:
        order = {
            "client_id": self.ids.clients["Elif"],
            "service_id": self.ids.services["Training"],
            "practitioner_id": self.ids.staff["Sam"],
            "starts_at": self.script.business.at(day, self._now.time().replace(hour=20)).isoformat(),
            "package_id": self.by_request,
        }
        made = await self.doors.make("POST", "/booking/v1/bookings", order, act=f"request {day}")
        await self._quiet()
        verb, body = self.rng.choice([("approve", None), ("refuse", {"reason": "no room"})])
        await self.doors.make("POST", f"/booking/v1/bookings/{made['booking_id']}/{verb}", body, act=f"{verb} {day}")


@dataclass(frozen=True)
class Lived:
    """A season that is over, in a system that still runs."""

    system: System
    observer: Observer
    business_id: UUID


@asynccontextmanager
async def lived(system: System, folder: Path, *, seed: int, weeks: int) -> AsyncIterator[Lived]:
    """Live through a season in a business of its own, until all is quiet."""
    script, business_id = read_script(written(folder, seed, weeks)), new_id()
    observer = Observer(system)
    try:
        async with Doors(system, business_id) as doors:
            season = Season(script, doors, observer, lambda *_: None)
            season.rng = random.Random(seed)
            await season.live()
            await observer.until_quiet(business_id)
            yield Lived(system, observer, business_id)
    finally:
        await observer.close()
