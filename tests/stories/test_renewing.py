"""Flow 2, its end: once a close is billed, auto-renew makes one successor, and later bookings move to it."""

from datetime import time

import pytest

from tests.harness.studio import FRIDAY, Studio, days
from tests.stories.test_post_bill import post_bill
from tests.stories.test_recurring import SIX_A_FORTNIGHT


@pytest.mark.behaviour("EZ-15", "EZ-20", "EZ-21", "EZ-22")
async def test_v08_a_closed_package_is_billed_then_renewed_and_later_bookings_move(studio: Studio) -> None:
    package_id = await post_bill(studio, auto_renew=True)
    used = [await studio.book(package_id, FRIDAY + days(1), hour=8 + n) for n in range(7)]
    later = [await studio.book(package_id, FRIDAY + days(5), hour=9 + n) for n in range(2)]
    await studio.cancel(used.pop(), by=studio.as_client(studio.ana))
    await studio.clock(FRIDAY + days(1), time(18))
    for number, booking_id in enumerate(used):
        await studio.attend(booking_id, attended=number != 4)
    await studio.close_package(package_id)

    (invoice,) = await studio.invoices(package_id)
    assert (invoice["total_minor"], len(invoice["lines"])) == (33000, 6)
    closed = await studio.package(package_id)
    successor = await studio.package(closed["successor_id"])
    assert (successor["predecessor_id"], successor["state"]) == (package_id, "active")
    assert successor["name"] == closed["name"]
    assert (successor["purchased"], successor["remaining"], successor["held"]) == ("POST", "POST", 2)
    assert [(await studio.booking(b))["package_id"] for b in later] == [successor["package_id"]] * 2
    assert await studio.invoices(successor["package_id"]) == []

    await studio.clock(FRIDAY + days(5), time(18))
    for booking_id in later:
        await studio.attend(booking_id)
    await studio.close_package(successor["package_id"])
    assert [invoice["total_minor"] for invoice in await studio.invoices(successor["package_id"])] == [12000]
    assert len(await studio.invoices(package_id)) == 1, "a closed invoice is never added to"


@pytest.mark.behaviour("EZ-15")
async def test_a_package_of_which_nothing_was_used_is_renewed_too(studio: Studio) -> None:
    """R-30: it counts as billed with nothing."""
    package_id = await post_bill(studio, auto_renew=True)
    await studio.close_package(package_id)
    assert await studio.invoices(package_id) == []
    assert (await studio.package(package_id))["successor_id"] is not None


async def test_without_auto_renew_later_bookings_stay(studio: Studio) -> None:
    package_id = await post_bill(studio)
    later = await studio.book(package_id, FRIDAY + days(5))
    await studio.close_package(package_id)
    assert (await studio.package(package_id))["successor_id"] is None
    assert (await studio.booking(later))["package_id"] == package_id


async def test_a_recurring_package_that_is_closed_is_billed_no_further_and_renewed_anew(studio: Studio) -> None:
    """R-32: the successor has the terms as sold, and periods of its own."""
    template_id = await studio.template(**SIX_A_FORTNIGHT)
    package_id = await studio.sell(template_id, first_due_date="2022-09-13", auto_renew=True)
    later = await studio.book(package_id, FRIDAY + days(12))
    await studio.clock(FRIDAY + days(10))
    await studio.close_package(package_id)
    successor_id = (await studio.package(package_id))["successor_id"]
    assert await studio.balance(successor_id) == (5, 1, 0)
    assert (await studio.booking(later))["package_id"] == successor_id
    await studio.clock(FRIDAY + days(40))
    assert len(await studio.invoices(package_id)) == 1
    assert [invoice["issued_date"] for invoice in await studio.invoices(successor_id)] == [
        "2022-09-19",
        "2022-10-03",
        "2022-10-17",
    ]
