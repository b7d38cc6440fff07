"""Lots on PostgreSQL: what the sale and each period bring, hold ahead, and lose; the test speaks for billing."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pytest

from shared.events.billing import PeriodOpened
from shared.events.packages import SessionHeld
from tests.harness.room import envelope
from tests.packages.conftest import FORTNIGHTLY, Shop, attended, balance, cancelled, counts

pytestmark = pytest.mark.servers

FIRST_DUE, SECOND, THIRD = date(2022, 9, 13), date(2022, 9, 27), date(2022, 10, 11)


async def fortnightly(shop: Shop, **changes: Any) -> dict[str, Any]:
    """V-04: six a fortnight, sold on 9 September, first due on 13 September."""
    return await shop.sell(await shop.template(**(FORTNIGHTLY | changes)), first_due_date=FIRST_DUE)


async def sound(shop: Shop) -> None:
    assert await shop.room.violations(shop.business_id) == {}


async def test_v_03_lots_come_at_the_sale_and_on_due_dates_and_never_between(shop: Shop) -> None:
    await shop.clock(date(2022, 9, 13))
    package = await shop.sell(
        await shop.template(**(FORTNIGHTLY | {"session_count": 4})), first_due_date=date(2022, 9, 16)
    )
    assert balance(package) == (4, 0, 0)
    for day in (date(2022, 9, 16), date(2022, 9, 27)):
        await shop.billed(day)
        assert balance(await shop.show(package)) == (4, 0, 0)
    for index, due in ((2, date(2022, 9, 30)), (3, date(2022, 10, 14))):
        await shop.period(package, index, due)
        await shop.billed(due)
    lots = await shop.get(package, "lots")
    assert [(lot["valid_from"], lot["last_date"], lot["size"], lot["forfeited"]) for lot in lots] == [
        ("2022-09-13", "2022-09-29", 4, 4),
        ("2022-09-30", "2022-10-13", 4, 4),
        ("2022-10-14", "2022-10-27", 4, 0),
    ]
    await sound(shop)


@pytest.mark.parametrize(("rollover", "available", "forfeited"), [("reset", 6, 2), ("add", 8, 0)])
async def test_v_04_unused_sessions_are_lost_or_kept(shop: Shop, rollover: str, available: int, forfeited: int) -> None:
    package = await fortnightly(shop, rollover=rollover)
    assert package["expiry_date"] is None
    for day in range(4):
        session = shop.ask(package, date(2022, 9, 15) + timedelta(days=day))
        await shop.hear(session, attended(session))
    await shop.period(package, 2, SECOND)
    await shop.billed(SECOND)
    shown = await shop.show(package)
    assert counts(shown) == (available, 0, 4, forfeited, 0)
    entries = await shop.get(package, "history")
    lost = [(entry["sessions"], entry["period_index"]) for entry in entries if entry["kind"] == "forfeited"]
    assert lost == ([(-2, 1)] if forfeited else [])
    assert sum(entry["sessions"] for entry in entries) == available
    await sound(shop)


async def test_v_16_a_session_that_returns_on_the_last_day_is_lost_on_the_next(shop: Shop) -> None:
    package = await fortnightly(shop)
    session = shop.ask(package, SECOND - timedelta(days=1))
    await shop.hear(session)
    await shop.hear(cancelled(session), on=SECOND - timedelta(days=1))
    assert counts(await shop.show(package)) == (6, 0, 0, 0, 0)
    await shop.billed(SECOND)
    assert counts(await shop.show(package)) == (0, 0, 0, 6, 0)
    await sound(shop)


async def test_a_session_held_over_the_end_is_lost_when_it_returns_and_not_before(shop: Shop) -> None:
    """R-14: whether it was used may become known later."""
    package = await fortnightly(shop)
    off, used = (shop.ask(package, SECOND - timedelta(days=1)) for _ in range(2))
    await shop.hear(off, used)
    await shop.billed(SECOND)
    assert counts(await shop.show(package)) == (0, 2, 0, 4, 0)
    await shop.hear(cancelled(off), attended(used), on=SECOND)
    assert counts(await shop.show(package)) == (0, 0, 1, 5, 0)
    await sound(shop)


@pytest.mark.parametrize("turn", [1, -1])
async def test_v_20_bookings_in_both_orders_are_of_the_same_lots(shop: Shop, turn: int) -> None:
    package = await fortnightly(shop)
    for day in [date(2022, 9, 15), date(2022, 9, 29)][::turn]:
        await shop.hear(shop.ask(package, day))
    assert counts(await shop.show(package)) == (5, 1, 0, 0, 1)
    await shop.period(package, 2, SECOND)
    await shop.billed(SECOND)
    assert counts(await shop.show(package)) == (5, 2, 0, 5, 0)
    await sound(shop)


@pytest.mark.parametrize("rollover", ["reset", "add"])
async def test_sessions_of_a_period_to_come_are_ahead_until_it_opens(shop: Shop, rollover: str) -> None:
    """R-13: the seventh in the third period is refused under Reset; what is cancelled meanwhile leaves no trace."""
    package = await fortnightly(shop, rollover=rollover)
    asks = [shop.ask(package, THIRD + timedelta(days=day)) for day in range(7)]
    await shop.hear(*asks)
    assert counts(await shop.show(package)) == (6, 0, 0, 0, 6 if rollover == "reset" else 7)
    assert await shop.refusals() == (["no_sessions_left"] if rollover == "reset" else [])
    assert len(await shop.room.facts(shop.business_id, SessionHeld)) == (6 if rollover == "reset" else 7)
    await shop.hear(cancelled(asks[0]), attended(asks[1]), cancelled(asks[2], returns=False))
    assert [entry["kind"] for entry in await shop.get(package, "history")] == ["allocated"]
    await shop.period(package, 2, SECOND)
    await shop.period(package, 3, THIRD)
    shown = await shop.show(package)
    assert counts(shown) == ((13, 3, 2, 0, 0) if rollover == "reset" else (12, 4, 2, 0, 0))
    await sound(shop)


async def test_under_add_an_early_booking_cannot_take_what_a_later_one_has(shop: Shop) -> None:
    package = await fortnightly(shop, rollover="add", session_count=1)
    await shop.hear(shop.ask(package, SECOND), shop.ask(package, SECOND), shop.ask(package))
    assert counts(await shop.show(package)) == (1, 0, 0, 0, 2)
    less = await shop.post(package, "adjustments", sessions=-1, reason="mistake")
    assert less.json()["type"] == "urn:punchcard:problem:below-nothing"
    more = await shop.post(package, "adjustments", sessions=1, reason="goodwill")
    assert more.json()["available"] == 2
    await shop.hear(shop.ask(package))
    await shop.period(package, 2, SECOND)
    assert counts(await shop.show(package)) == (0, 3, 0, 0, 0)
    assert await shop.refusals() == ["no_sessions_left"]
    await sound(shop)


async def test_under_reset_an_adjustment_is_of_todays_lot_and_ends_with_it(shop: Shop) -> None:
    package = await fortnightly(shop)
    await shop.hear(shop.ask(package, SECOND))
    assert (await shop.post(package, "adjustments", sessions=-7, reason="mistake")).status_code == 409
    assert (await shop.post(package, "adjustments", sessions=3, reason="goodwill")).json()["available"] == 9
    await shop.period(package, 2, SECOND)
    await shop.billed(SECOND)
    lots = await shop.get(package, "lots")
    assert [(lot["size"], lot["adjusted"], lot["forfeited"]) for lot in lots] == [(6, 3, 9), (6, 0, 0)]
    assert counts(await shop.show(package)) == (5, 1, 0, 9, 0)
    ended = await shop.post(package, "adjustments", sessions=1, reason="goodwill")
    assert ended.json()["type"] == "urn:punchcard:problem:no-period", "its clock still stands in the first period"
    await sound(shop)


@pytest.mark.parametrize("seed", range(6))
async def test_news_of_billing_in_any_order_and_twice_ends_in_the_same_balance(shop: Shop, seed: int) -> None:
    package = await fortnightly(shop)
    await shop.hear(*(shop.ask(package, day) for day in (date(2022, 9, 15), SECOND, SECOND, THIRD)))
    news: list[tuple[Callable[..., Awaitable[None]], tuple[Any, ...]]] = [
        (shop.period, (package, 2, SECOND)),
        (shop.period, (package, 3, THIRD)),
        (shop.billed, (SECOND,)),
        (shop.billed, (THIRD,)),
    ] * 2
    random.Random(seed).shuffle(news)
    for tell, words in news:
        await tell(*words)
    await shop.retry()
    shown = await shop.show(package)
    assert counts(shown) == (5, 4, 0, 9, 0)
    assert shown["periods_opened"] == 3
    await sound(shop)


async def test_many_want_a_period_while_it_opens_and_as_many_as_it_brings_get_a_session(shop: Shop) -> None:
    package = await fortnightly(shop)
    asks = [shop.ask(package, SECOND + timedelta(days=day % 14)) for day in range(30)]
    await asyncio.gather(
        *(shop.hear(*asks[replica::4]) for replica in range(4)),
        shop.period(package, 2, SECOND),
        shop.billed(SECOND),
    )
    await shop.retry()
    assert counts(await shop.show(package)) == (0, 6, 0, 6, 0)
    assert await shop.refusals() == ["no_sessions_left"] * 24
    await sound(shop)


async def test_periods_that_come_in_one_list_are_entered_as_if_each_came_alone(shop: Shop) -> None:
    """Of two packages, with a session ahead, and after their days have been billed: each entry has its own cause."""
    one_by_one, in_a_list = [await fortnightly(shop) for _ in range(2)]
    for package in (one_by_one, in_a_list):
        await shop.hear(shop.ask(package, SECOND + timedelta(days=1)))
    await shop.billed(date(2022, 10, 25))
    for index, due in ((2, SECOND), (3, THIRD)):
        await shop.period(one_by_one, index, due)
    opened = [
        PeriodOpened(package_id=in_a_list["package_id"], period_index=index, due_date=due)
        for index, due in ((2, SECOND), (3, THIRD))
    ]
    await shop.room.consumer.process([envelope(fact, shop.business_id, fact.due_date) for fact in opened])
    entries = [await shop.get(package, "history") for package in (one_by_one, in_a_list)]
    seen = [[(e["kind"], e["sessions"], e["period_index"], e["business_date"]) for e in each] for each in entries]
    assert sorted(seen[0]) == sorted(seen[1])
    assert {("forfeited", -5, 2, str(SECOND)), ("forfeited", -6, 3, str(THIRD))} <= {*seen[1]}
    assert counts(await shop.show(one_by_one)) == counts(await shop.show(in_a_list))
    await sound(shop)


async def test_a_period_of_a_package_that_is_not_here_yet_waits(shop: Shop) -> None:
    package = await fortnightly(shop)
    await shop.period({"package_id": "0199b2f0-0000-7000-8000-000000000000"}, 2, SECOND)
    await shop.period(package, 3, THIRD)
    assert (await shop.show(package))["periods_opened"] == 1
    await shop.period(package, 2, SECOND)
    await shop.retry()
    assert (await shop.show(package))["periods_opened"] == 3


async def test_a_closed_package_gets_the_periods_due_by_its_close_and_none_after(shop: Shop) -> None:
    package = await fortnightly(shop)
    await shop.clock(SECOND)
    assert (await shop.post(package, "close")).json()["state"] == "closed"
    await shop.period(package, 2, SECOND)
    await shop.period(package, 3, THIRD)
    assert (await shop.show(package))["periods_opened"] == 2
    await sound(shop)


async def test_a_fixed_term_expires_with_its_last_period_and_staff_cannot_book_past_it(shop: Shop) -> None:
    package = await fortnightly(shop, term_weeks=4)
    assert package["expiry_date"] == "2022-10-10"
    await shop.hear(shop.ask(package, THIRD), shop.ask(package, THIRD, by_staff=True), shop.ask(package, SECOND))
    assert await shop.refusals() == ["expired", "no_sessions_left"]
    assert counts(await shop.show(package)) == (6, 0, 0, 0, 1)


async def test_expiry_forfeits_nothing(shop: Shop) -> None:
    """PB-19, PB-20: the sessions are there again when the date is moved."""
    package = await shop.sell(expiry_date="2022-09-10")
    await shop.billed(date(2022, 9, 30))
    assert counts(await shop.show(package)) == (10, 0, 0, 0, 0)


async def test_a_first_due_date_beyond_a_period_needs_the_word_of_staff(shop: Shop) -> None:
    """R-11; the preview says the same."""
    order = {"client_id": str(shop.client_id), "template_id": str(await shop.template(**FORTNIGHTLY))}
    late = order | {"first_due_date": "2022-09-24"}
    async with shop.room.http(shop.owner) as http:
        refused = await http.post("packages", json=late)
        shown = await http.get("packages/preview", params=late)
        allowed = await http.post("packages", json=late | {"allow_gap": True})
    assert (refused.status_code, refused.json()["field"]) == (422, "first_due_date")
    assert shown.status_code == 422
    assert allowed.status_code == 201
