"""Recurring packages: each period brings its sessions and its bill; Reset loses what is left, Add keeps it."""

from datetime import date, time
from typing import Any

import pytest

from tests.harness.studio import FRIDAY, Studio, days

SIX_A_FORTNIGHT = {
    "name": "3 a week",
    "form": "recurring",
    "session_count": 6,
    "price_minor": 30000,
    "frequency": "fortnightly",
    "rollover": "reset",
    "term_weeks": 0,
}
FOUR_A_FORTNIGHT = SIX_A_FORTNIGHT | {"name": "2 a week", "session_count": 4, "rollover": "add", "term_weeks": 10}
FIRST_DUE = {"first_due_date": "2022-09-13"}


async def periods(studio: Studio, package_id: str) -> list[tuple[str, int]]:
    """The lots of a package: from when, and how many sessions."""
    await studio.quiet()
    lots = await studio.owner.make("GET", f"/packages/v1/packages/{package_id}/lots")
    return [(lot["valid_from"], lot["size"]) for lot in lots["items"]]


async def dues(studio: Studio, package_id: str) -> list[list[str]]:
    """The due dates of each invoice."""
    return [[part["due_date"] for part in invoice["instalments"]] for invoice in await studio.invoices(package_id)]


@pytest.mark.behaviour("CC-13", "CC-14", "CC-15", "CC-16", "CC-17", "CC-18")
async def test_v03_sold_on_13_9_and_billed_from_16_9(studio: Studio) -> None:
    await studio.clock(date(2022, 9, 13))
    templates = [await studio.template(**FOUR_A_FORTNIGHT | {"term_weeks": weeks}) for weeks in (10, 0)]
    fixed, endless = [await studio.sell(template_id, first_due_date="2022-09-16") for template_id in templates]
    expected = ["2022-09-16", "2022-09-30", "2022-10-14", "2022-10-28", "2022-11-11"]
    assert await dues(studio, fixed) == [expected], "one invoice, in instalments"
    assert await dues(studio, endless) == [expected[:1]]
    for day, balance in (((9, 13), 4), ((9, 16), 4), ((9, 27), 4), ((9, 29), 4), ((9, 30), 8), ((10, 14), 12)):
        await studio.clock(date(2022, *day))
        for package_id in (fixed, endless):
            assert (await studio.package(package_id))["available"] == balance, day
    for package_id in (fixed, endless):
        assert await periods(studio, package_id) == [("2022-09-13", 4), ("2022-09-30", 4), ("2022-10-14", 4)]
    assert await dues(studio, endless) == [[due] for due in expected[:3]]

    await studio.clock(date(2022, 12, 1))
    assert len(await periods(studio, fixed)) == 5, "a fixed term ends"
    assert (await studio.package(fixed))["expiry_date"] == "2022-11-24"


@pytest.mark.behaviour("OE-01", "OE-02", "OE-03", "OE-04", "OE-14", "OE-15", "OE-16", "OE-17")
async def test_v04_an_open_ended_package_is_billed_a_period_at_a_time(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**SIX_A_FORTNIGHT), **FIRST_DUE)
    package = await studio.package(package_id)
    assert (package["available"], package["expiry_date"]) == (6, None), "the first lot is there, and no end"
    (invoice,) = await studio.invoices(package_id)
    assert [(part["due_date"], part["amount_minor"]) for part in invoice["instalments"]] == [("2022-09-13", 30000)]

    await studio.clock(date(2022, 9, 26))
    assert await dues(studio, package_id) == [["2022-09-13"]]
    assert len(await periods(studio, package_id)) == 1
    await studio.clock(date(2022, 9, 27))
    assert await dues(studio, package_id) == [["2022-09-13"], ["2022-09-27"]]
    assert await periods(studio, package_id) == [("2022-09-09", 6), ("2022-09-27", 6)]
    await studio.clock(date(2023, 3, 14))
    invoices = await studio.invoices(package_id)
    assert [invoice["number"] for invoice in invoices] == list(range(1, 15))
    assert {invoice["total_minor"] for invoice in invoices} == {30000}


@pytest.mark.behaviour("OE-08", "OE-09", "OE-10", "OE-12", "OE-13", "OE-19")
@pytest.mark.parametrize(("rollover", "available", "forfeited"), [("reset", 6, 2), ("add", 8, 0)])
async def test_v04_what_is_left_of_a_period_is_lost_or_kept(
    studio: Studio, rollover: str, available: int, forfeited: int
) -> None:
    template_id = await studio.template(**SIX_A_FORTNIGHT | {"rollover": rollover})
    package_id = await studio.sell(template_id, **FIRST_DUE)
    for day in (date(2022, 9, 15), date(2022, 9, 23), date(2022, 9, 24), date(2022, 9, 26)):
        await studio.use(package_id, day)
    assert await studio.balance(package_id) == (2, 0, 4)
    await studio.clock(date(2022, 9, 27))
    assert await studio.balance(package_id) == (available, 0, 4)
    assert (await studio.package(package_id))["forfeited"] == forfeited
    history = await studio.owner.make("GET", f"/packages/v1/packages/{package_id}/history")
    kinds = [entry["kind"] for entry in history["items"]]
    assert kinds[0] == "allocated"
    assert kinds.count("allocated") == 2
    assert kinds.count("consumed") == 4
    assert kinds.count("forfeited") == (forfeited > 0)
    assert [invoice["total_minor"] for invoice in await studio.invoices(package_id)] == [30000, 30000]


@pytest.mark.behaviour("OE-05", "OE-06", "OE-07", "OE-11")
async def test_an_open_ended_template_says_how_often_and_what_becomes_of_the_rest(studio: Studio) -> None:
    whole = {"service_ids": [studio.training], "billing_mode": "pre_bill"} | SIX_A_FORTNIGHT
    for field in ("frequency", "rollover"):
        lacking = {name: value for name, value in whole.items() if name != field}
        problem = await studio.owner.make("POST", "/catalog/v1/templates", lacking, expect=422)
        assert [error["field"] for error in problem["errors"]] == [field]
    odd = await studio.owner.make("POST", "/catalog/v1/templates", whole | {"term_weeks": 13}, expect=422)
    assert [error["field"] for error in odd["errors"]] == ["term_weeks"], "a term is whole periods"
    package = await studio.package(await studio.sell(await studio.template(**SIX_A_FORTNIGHT), **FIRST_DUE))
    assert package["expiry_date"] is None, "0 weeks have no end"


@pytest.mark.behaviour("OE-18")
async def test_v05_days_on_which_nothing_ran_are_made_up_in_order_and_once(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**SIX_A_FORTNIGHT), **FIRST_DUE)
    await studio.clock(date(2022, 9, 19))
    await studio.clock(date(2022, 10, 12))
    invoices = await studio.invoices(package_id)
    assert [(invoice["number"], invoice["issued_date"]) for invoice in invoices] == [
        (1, "2022-09-09"),
        (2, "2022-09-27"),
        (3, "2022-10-11"),
    ]
    assert await periods(studio, package_id) == [("2022-09-09", 6), ("2022-09-27", 6), ("2022-10-11", 6)]
    assert (await studio.package(package_id))["forfeited"] == 12
    await studio.clock(date(2022, 10, 12), time(23, 59))
    assert len(await studio.invoices(package_id)) == 3


async def test_v14_a_month_is_counted_from_the_first_date(studio: Studio) -> None:
    await studio.clock(date(2023, 1, 31))
    package_id = await studio.sell(await studio.template(**SIX_A_FORTNIGHT | {"frequency": "monthly"}))
    await studio.clock(date(2023, 7, 31))
    assert [due for (due,) in await dues(studio, package_id)] == [
        f"2023-{month_and_day}" for month_and_day in ("01-31", "02-28", "03-31", "04-30", "05-31", "06-30", "07-31")
    ]


@pytest.mark.parametrize("order", [(15, 29), (29, 15)])
async def test_v20_the_session_and_not_the_booking_finds_the_lot(studio: Studio, order: tuple[int, int]) -> None:
    """V-20, R-12."""
    package_id = await studio.sell(await studio.template(**SIX_A_FORTNIGHT), **FIRST_DUE)
    for day in order:
        await studio.book(package_id, date(2022, 9, day))
    assert await studio.balance(package_id) == (5, 1, 0)
    assert (await studio.package(package_id))["ahead"] == 1
    await studio.clock(date(2022, 9, 27))
    package = await studio.package(package_id)
    counts = {name: package[name] for name in ("available", "held", "forfeited", "ahead")}
    assert counts == {"available": 5, "held": 2, "forfeited": 5, "ahead": 0}


async def test_a_period_to_come_gives_its_sessions_and_not_one_more(studio: Studio) -> None:
    """R-13."""
    package_id = await studio.sell(await studio.template(**SIX_A_FORTNIGHT), **FIRST_DUE)
    third = date(2022, 10, 11)
    for hour in range(9, 15):
        await studio.book(package_id, third, hour)
    problem = await studio.owner.make("POST", "/booking/v1/bookings", studio.order(package_id, third, 15), expect=409)
    assert problem["reason"] == "no_sessions_left"
    assert await studio.balance(package_id) == (6, 0, 0)


async def test_v16_a_session_returned_after_its_period_is_forfeited_at_once(studio: Studio) -> None:
    """V-16, R-14."""
    package_id = await studio.sell(await studio.template(**SIX_A_FORTNIGHT), **FIRST_DUE)
    in_time, too_late = [await studio.book(package_id, date(2022, 9, 26), hour) for hour in (10, 11)]
    await studio.clock(date(2022, 9, 26))
    await studio.cancel(in_time)
    assert await studio.balance(package_id) == (5, 1, 0)
    await studio.clock(date(2022, 9, 27))
    assert await studio.balance(package_id) == (6, 1, 0), "five were lost; the one booked is not while it may be used"
    await studio.cancel(too_late)
    package: dict[str, Any] = await studio.package(package_id)
    assert (package["available"], package["held"], package["forfeited"]) == (6, 0, 6)


async def test_sold_long_before_its_first_due_date_is_refused_unless_staff_insist(studio: Studio) -> None:
    """R-11."""
    template_id = await studio.template(**SIX_A_FORTNIGHT)
    order = {"client_id": studio.ana, "template_id": template_id, "first_due_date": str(FRIDAY + days(15))}
    problem = await studio.owner.make("POST", "/packages/v1/packages", order, expect=422)
    assert problem["field"] == "first_due_date"
    await studio.owner.make("POST", "/packages/v1/packages", order | {"allow_gap": True}, expect=201)
