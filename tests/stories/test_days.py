"""The day chain through all six services: each date once, whatever the clock does."""

from datetime import date, time
from typing import Any

import pytest

from tests.harness.studio import FRIDAY, Studio, days
from tests.stories.test_instalments import FIVE_PARTS
from tests.stories.test_recurring import SIX_A_FORTNIGHT

JUMP = 40


@pytest.mark.behaviour("OE-17")
async def test_v18_each_date_runs_once_around_midnight_and_the_change_of_the_clocks(studio: Studio) -> None:
    """V-18: in Sydney, 2 October 2022 has 23 hours."""
    weekly = SIX_A_FORTNIGHT | {"frequency": "weekly"}
    on_1_10, on_2_10 = [
        await studio.sell(await studio.template(**weekly), first_due_date=f"2022-09-{day}", allow_gap=True)
        for day in (17, 18)
    ]
    for day in (date(2022, 9, 30), date(2022, 10, 1), date(2022, 10, 2), date(2022, 10, 3)):
        for at in (time(0, 1), time(23, 59)):
            await studio.clock(day, at)
    issued = [[invoice["issued_date"] for invoice in await studio.invoices(p)] for p in (on_1_10, on_2_10)]
    assert issued == [["2022-09-09", "2022-09-24", "2022-10-01"], ["2022-09-09", "2022-09-25", "2022-10-02"]]


async def life(studio: Studio) -> list[str]:
    """A few packages of every kind, with bookings in two periods."""
    kinds = (
        SIX_A_FORTNIGHT,
        SIX_A_FORTNIGHT | {"rollover": "add"},
        SIX_A_FORTNIGHT | {"frequency": "monthly"},
        SIX_A_FORTNIGHT | {"frequency": "weekly", "term_weeks": 5},
        FIVE_PARTS,
    )
    made = [await studio.sell(await studio.template(**kind), first_due_date="2022-09-13") for kind in kinds]
    for hour, package_id in enumerate(made, start=9):
        await studio.book(package_id, date(2022, 9, 15), hour)
        await studio.book(package_id, date(2022, 9, 29), hour)
    return made


async def books(studio: Studio, made: list[str]) -> list[Any]:
    """Invoices, instalments, lots and balances, without ids and numbers."""
    seen: list[Any] = []
    for package_id in made:
        package = await studio.package(package_id)
        lots = await studio.owner.make("GET", f"/packages/v1/packages/{package_id}/lots")
        seen.append({name: package[name] for name in ("available", "held", "consumed", "forfeited", "ahead")})
        seen.append([(lot["valid_from"], lot["size"], lot["forfeited"]) for lot in lots["items"]])
        for invoice in await studio.invoices(package_id):
            parts = [(p["due_date"], p["amount_minor"], p["state"]) for p in invoice["instalments"]]
            seen.append((invoice["issued_date"], invoice["total_minor"], invoice["label"], parts))
    return seen


async def test_one_jump_ends_as_daily_steps_do(studio: Studio) -> None:
    """The jump law: invoices, instalments, lots and balances depend on the dates, not on when somebody looked."""
    walker = Studio(studio.system, studio.observer)
    await walker.open()
    jumped, walked = await life(studio), await life(walker)
    await studio.clock(FRIDAY + days(JUMP))
    for day in range(1, JUMP + 1):
        await walker.clock(FRIDAY + days(day))
    assert await books(studio, jumped) == await books(walker, walked)
    assert await walker.observer.violations(walker.business_id) == []
    await walker.close()
