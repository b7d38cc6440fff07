"""Flow 1: a booking takes a session from its package, and a cancelled one returns it."""

import asyncio

import pytest

from tests.harness.studio import FRIDAY, Studio, days
from tests.stories.test_selling import PAID_IN_FULL


@pytest.mark.behaviour("PB-15")
async def test_a_cancelled_booking_returns_its_session(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL))
    ana = studio.as_client(studio.ana)
    booking_id = await studio.book(package_id, FRIDAY + days(3), by=ana)
    assert await studio.balance(package_id) == (9, 1, 0)
    await studio.cancel(booking_id, by=ana)
    assert await studio.balance(package_id) == (10, 0, 0)
    again = await studio.book(package_id, FRIDAY + days(3), by=ana)
    assert (await studio.booking(again))["state"] == "confirmed", "the practitioner's time is free again too"


@pytest.mark.behaviour("PB-15")
async def test_a_cancel_sent_eight_times_at_once_returns_one_session(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL))
    booking_id = await studio.book(package_id, FRIDAY + days(3))
    path = f"/booking/v1/bookings/{booking_id}/cancel"
    answers = await asyncio.gather(*(studio.owner.request("POST", path, json={}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert await studio.balance(package_id) == (10, 0, 0)


@pytest.mark.behaviour("PB-11")
async def test_a_practitioner_books_from_the_clients_package(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL))
    booking_id = await studio.book(package_id, FRIDAY + days(1))
    booking = await studio.booking(booking_id)
    assert (booking["state"], booking["package_id"]) == ("confirmed", package_id)
    assert await studio.balance(package_id) == (9, 1, 0)
    assert await studio.mails("ana@clients.example") != []


@pytest.mark.behaviour("PB-18", "PB-19", "PB-20")
async def test_staff_book_an_expired_package_and_the_client_only_once_it_is_extended(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL), expiry_date="2022-09-30")
    await studio.clock(FRIDAY.replace(month=10, day=1))
    assert (await studio.package(package_id))["expired"]
    ana = studio.as_client(studio.ana)
    soon = FRIDAY.replace(month=10, day=3)
    problem = await ana.make("POST", "/booking/v1/bookings", studio.order(package_id, soon), expect=409)
    assert problem["reason"] == "expired"
    await studio.book(package_id, soon)
    extended = {"expiry_date": "2022-10-31"}
    await studio.owner.make("POST", f"/packages/v1/packages/{package_id}/expiry", extended)
    await studio.book(package_id, soon, hour=14, by=ana)
    assert await studio.balance(package_id) == (8, 2, 0)


async def test_a_hundred_want_the_last_session_and_one_gets_it(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL | {"session_count": 1}))
    orders = [studio.order(package_id, FRIDAY + days(1 + n // 10), hour=8 + n % 10) for n in range(100)]
    answers = await asyncio.gather(
        *(studio.owner.insist("/booking/v1/bookings", order, Prefer="wait=10") for order in orders)
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 99
    assert {a.json()["reason"] for a in answers if a.status_code == 409} == {"no_sessions_left"}
    assert await studio.balance(package_id) == (0, 1, 0)


async def test_a_booking_that_needs_approval_holds_its_session_until_staff_decide(studio: Studio) -> None:
    template_id = await studio.template(**PAID_IN_FULL, needs_approval=True)
    package_id = await studio.sell(template_id)
    ana = studio.as_client(studio.ana)
    wanted, unwanted = [await studio.book(package_id, FRIDAY + days(n), by=ana) for n in (1, 2)]
    assert (await studio.booking(wanted))["state"] == "requested"
    assert await studio.balance(package_id) == (8, 2, 0)
    await studio.owner.make("POST", f"/booking/v1/bookings/{wanted}/approve")
    await studio.owner.make("POST", f"/booking/v1/bookings/{unwanted}/refuse", {"reason": "closed that day"})
    assert await studio.balance(package_id) == (9, 1, 0)


async def test_a_client_books_without_naming_a_package(studio: Studio) -> None:
    package_id = await studio.sell(await studio.template(**PAID_IN_FULL))
    booking_id = await studio.book(None, FRIDAY + days(1), by=studio.as_client(studio.ana))
    assert (await studio.booking(booking_id))["package_id"] == package_id
