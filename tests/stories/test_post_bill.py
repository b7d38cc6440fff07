"""Flow 2: closing a post-bill package bills each session used."""

from datetime import time
from typing import Any

import pytest

from tests.harness.studio import FRIDAY, Studio, days

TIERS = [{"at_least": 1, "rate_minor": 6000}, {"at_least": 5, "rate_minor": 5500}]


async def post_bill(studio: Studio, **order: Any) -> str:
    template_id = await studio.template(name="Pay as you go", billing_mode="post_bill", tiers=TIERS)
    return await studio.sell(template_id, **order)


@pytest.mark.behaviour("EZ-04", "EZ-18", "EZ-19", "EZ-20", "EZ-21", "EZ-22")
async def test_v08_closing_a_post_bill_package_bills_each_session_used(studio: Studio) -> None:
    package_id = await post_bill(studio)
    booked = [await studio.book(package_id, FRIDAY + days(1), hour=8 + n) for n in range(8)]
    later = [await studio.book(package_id, FRIDAY + days(5), hour=9 + n) for n in range(2)]
    assert (await studio.package(package_id))["held"] == 10, "a hold is never refused for lack of sessions"

    await studio.cancel(booked[6], by=studio.as_client(studio.ana))
    await studio.clock(FRIDAY + days(1), time(18))
    unverified = await studio.owner.make("POST", f"/packages/v1/packages/{package_id}/close", expect=409)
    assert len(unverified["booking_ids"]) == 7
    for number, booking_id in enumerate(booked[:6]):
        await studio.attend(booking_id, attended=number != 5)
    await studio.cancel(booked[7])

    open_package = await studio.package(package_id)
    assert (open_package["purchased"], open_package["remaining"], open_package["state"]) == ("POST", "POST", "active")
    assert await studio.invoices(package_id) == [], "no billing information before it is closed"

    await studio.close_package(package_id)
    assert (await studio.package(package_id))["state"] == "closed"
    (invoice,) = await studio.invoices(package_id)
    assert [line["amount_minor"] for line in invoice["lines"]] == [5500] * 6
    assert {line["booking_id"] for line in invoice["lines"]} == set(booked[:6])
    assert invoice["total_minor"] == 33000
    assert [(await studio.booking(booking_id))["state"] for booking_id in later] == ["confirmed"] * 2


@pytest.mark.behaviour("EZ-22")
async def test_closing_a_package_of_which_nothing_was_used_makes_no_invoice(studio: Studio) -> None:
    package_id = await post_bill(studio)
    await studio.close_package(package_id)
    assert await studio.invoices(package_id) == []
    await studio.owner.make("POST", f"/packages/v1/packages/{package_id}/close", expect=409)


async def test_use_that_becomes_known_after_the_close_is_billed_by_an_invoice_of_its_own(studio: Studio) -> None:
    package_id = await post_bill(studio)
    for day in (1, 2, 3, 4):
        await studio.use(package_id, FRIDAY + days(day))
    later = await studio.book(package_id, FRIDAY + days(8))
    await studio.close_package(package_id)
    await studio.clock(FRIDAY + days(8), time(12))
    await studio.attend(later)
    invoices = await studio.invoices(package_id)
    assert [invoice["total_minor"] for invoice in invoices] == [24000, 5500], (
        "the fifth session reaches the second tier"
    )
