"""Half a year of a large studio, lived by days, in one jump, and in pieces while processes die: the books are the same.

X-01 (the jump law) and X-18 (never missed, never doubled), on as many clients as PUNCHCARD_CLIENTS says.
"""

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local.running.fleet import Fleet
from tests.faults.conftest import free_what_the_dead_held
from tests.harness.studio import FRIDAY, Studio, days, opened, scaled
from tests.stories.test_instalments import FIVE_PARTS
from tests.stories.test_recurring import SIX_A_FORTNIGHT
from tests.stories.test_selling import PAID_IN_FULL

CLIENTS = int(os.environ.get("PUNCHCARD_CLIENTS", "500"))
SEED = int(os.environ.get("PUNCHCARD_STORM_SEED", "1"))
WEEKS = 26
AT_ONCE = 8
PATIENCE_SECONDS = 600

pytestmark = [
    pytest.mark.servers,
    pytest.mark.broker,
    pytest.mark.at_length,
    pytest.mark.xdist_group("half-year"),
    pytest.mark.timeout(3600),
]

KINDS: list[dict[str, Any]] = [
    SIX_A_FORTNIGHT,
    SIX_A_FORTNIGHT | {"rollover": "add"},
    SIX_A_FORTNIGHT | {"frequency": "monthly"},
    SIX_A_FORTNIGHT | {"frequency": "weekly", "term_weeks": 5},
    FIVE_PARTS,
    PAID_IN_FULL | {"valid_days": 90},
]
BOOKS = {
    "billing": (
        "select b.package_id, i.period_index, i.issued_date, i.total_minor, t.position, t.due_date, t.amount_minor,"
        " t.paid_minor, t.state"
        " from billed_packages b left join invoices i using (package_id) left join instalments t using (invoice_id)"
    ),
    "packages": (
        "select p.package_id, p.state, p.allocated, p.adjusted, p.held, p.consumed, p.forfeited, l.period_index,"
        " l.valid_from, l.valid_to, l.size, l.forfeited, l.ended"
        " from packages p left join lots l using (package_id)"
    ),
}


@pytest.fixture
def launched(postgres_url: str, amqp_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with scaled(tmp_path, postgres_url, amqp_url, {"billing": 3, "packages": 2}) as launched:
        yield launched


@pytest.fixture
async def studios(launched: Fleet) -> AsyncIterator[list[Studio]]:
    """Three businesses alike: the first lives by days, the second jumps, the third has bad luck."""
    async with opened(launched.made) as walker, opened(launched.made) as jumper, opened(launched.made) as unlucky:
        yield [walker, jumper, unlucky]


async def settle(studio: Studio) -> list[str]:
    """Every client buys one package, of the kind and with the first due date that their number says."""
    templates = [await studio.template(**(kind | {"name": f"Kind {n}"})) for n, kind in enumerate(KINDS)]
    await studio.quiet()
    gate = asyncio.Semaphore(AT_ONCE)

    async def join(number: int) -> tuple[str, str]:
        async with gate:
            return templates[number % len(KINDS)], await studio.client(f"Client{number}")

    async def buy(number: int, template_id: str, client_id: str) -> str:
        async with gate:
            order = {"client_id": client_id, "template_id": template_id}
            if KINDS[number % len(KINDS)]["form"] != "paid_in_full":
                order["first_due_date"] = str(FRIDAY + days(number % 7))
            made: str = (await studio.owner.make("POST", "/packages/v1/packages", order))["package_id"]
            return made

    joined = await asyncio.gather(*(join(number) for number in range(CLIENTS)))
    await studio.observer.until_quiet(studio.business_id, PATIENCE_SECONDS)
    packages = await asyncio.gather(*(buy(number, *each) for number, each in enumerate(joined)))
    await studio.observer.until_quiet(studio.business_id, PATIENCE_SECONDS)
    return packages


async def books(studio: Studio, packages: list[str]) -> dict[str, list[Any]]:
    """What both books say of each client's package, without ids and numbers."""
    number = {package_id: each for each, package_id in enumerate(packages)}
    found: dict[str, list[Any]] = {}
    for service, sql in BOOKS.items():
        rows = await studio.rows(service, sql)
        found[service] = sorted((number[str(row[0])], *map(str, row[1:])) for row in rows)
    return found


async def go_to(studio: Studio, day: date) -> None:
    await studio.begin_day(day)
    await studio.observer.until_quiet(studio.business_id, PATIENCE_SECONDS)


async def be_unlucky(studio: Studio, launched: Fleet, chance: random.Random) -> dict[str, int]:
    """Half a year in pieces of any length; in each, processes of billing and packages die while it is worked off."""
    died: defaultdict[str, int] = defaultdict(int)
    day = 0
    while day < WEEKS * 7:
        day = min(WEEKS * 7, day + chance.randint(1, 40))
        await studio.begin_day(FRIDAY + days(day))
        for _ in range(chance.randint(1, 4)):
            await asyncio.sleep(chance.uniform(0.05, 1.5))
            victim = chance.choice(
                [each for each in launched.conditions() if each.name.startswith(("billing", "packages"))]
            )
            if victim.pid and psutil.pid_exists(victim.pid):
                psutil.Process(victim.pid).kill()
                died[victim.name] += 1
        while any(each.state != "ready" for each in launched.conditions()):  # noqa: ASYNC110 — processes, not tasks
            await asyncio.sleep(0.1)
        await free_what_the_dead_held(studio, "billing", "packages")
        await studio.observer.until_quiet(studio.business_id, PATIENCE_SECONDS)
    return died


async def test_by_days_in_one_jump_and_while_processes_die(studios: list[Studio], launched: Fleet) -> None:
    packages = [await settle(studio) for studio in studios]
    walker, jumper, unlucky = studios
    began = time.monotonic()

    def took(what: str) -> None:
        nonlocal began
        print(f"  {CLIENTS} clients, {WEEKS} weeks, {what}: {time.monotonic() - began:.1f} s", flush=True)  # noqa: T201
        began = time.monotonic()

    for day in range(1, WEEKS * 7 + 1):
        await go_to(walker, FRIDAY + days(day))
    took("by days")
    await go_to(jumper, FRIDAY + days(WEEKS * 7))
    took("in one jump")
    died = await be_unlucky(unlucky, launched, random.Random(SEED))
    took(f"while {sum(died.values())} processes died")

    expected, jumped, survived = [await books(*each) for each in zip(studios, packages, strict=True)]
    assert jumped == expected
    assert survived == expected
    assert len(expected["billing"]) > CLIENTS * 3, "periods and parts have fallen due"
