"""Closing and renewing on PostgreSQL; the test speaks for billing."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.events.billing import ClosureBilled
from shared.events.catalog import ClientChanged
from shared.events.packages import AutoPaySwitched, HoldsMoved, PackageClosed, PackageSold
from tests.harness.room import envelope
from tests.harness.terms import POST_BILL
from tests.packages.conftest import FORTNIGHTLY, NOW, TODAY, Shop, attended, balance, cancelled, counts

pytestmark = pytest.mark.servers


async def closed(shop: Shop, package: dict[str, Any]) -> ClosureBilled:
    """Close a package; what billing answers."""
    assert (await shop.post(package, "close")).status_code == 200
    return (await shop.closures())[-1]


async def successor(shop: Shop, package: dict[str, Any]) -> dict[str, Any]:
    found = (await shop.show(package))["successor_id"]
    assert found is not None
    return await shop.show({"package_id": found})


async def moved(shop: Shop) -> list[UUID]:
    facts = await shop.room.facts(shop.business_id, HoldsMoved)
    return [booking_id for fact in facts if isinstance(fact, HoldsMoved) for booking_id in fact.booking_ids]


async def test_auto_pay_is_switched_at_any_time_and_a_renewal_goes_on_alike(shop: Shop) -> None:
    """EZ-11, R-40."""
    package = await shop.sell(await shop.template(**POST_BILL), auto_renew=True, auto_pay=True)
    for auto_pay in (False, False, True, False):
        answer = await shop.post(package, "auto-pay", auto_pay=auto_pay)
        assert (answer.status_code, answer.json()["auto_pay"]) == (200, auto_pay)
    facts = await shop.room.facts(shop.business_id, AutoPaySwitched)
    assert [(fact.auto_pay, fact.version) for fact in facts if isinstance(fact, AutoPaySwitched)] == [
        (False, 1),
        (True, 2),
        (False, 3),
    ]
    await shop.hear(await closed(shop, package))
    assert (await successor(shop, package))["auto_pay"] is False


async def test_a_closed_post_bill_package_is_renewed_and_later_sessions_move(shop: Shop) -> None:
    package = await shop.sell(await shop.template(**POST_BILL), auto_renew=True, auto_pay=True, start_date="2022-09-01")
    used = shop.ask(package, TODAY - timedelta(days=1), by_staff=True)
    later = [shop.ask(package, TODAY + timedelta(days=days)) for days in (5, 3)]
    await shop.hear(used, *later, attended(used))
    billed = await closed(shop, package)
    assert (await shop.show(package))["successor_id"] is None, "billing has not answered"
    await shop.hear(billed)
    new = await successor(shop, package)
    same = ("client_id", "payer_id", "template_id", "template_version", "name", "auto_pay", "auto_renew", "sold_by")
    assert {name: new[name] for name in same} == {name: package[name] for name in same}
    assert (new["start_date"], new["first_due_date"], new["state"]) == ("2022-09-09", "2022-09-09", "active")
    assert new["predecessor_id"] == package["package_id"]
    assert (new["held"], new["consumed"]) == (2, 0)
    shown = await shop.show(package)
    assert (shown["held"], shown["consumed"]) == (0, 1)
    assert await moved(shop) == [later[1].booking_id, later[0].booking_id]
    _, sold = await shop.room.facts(shop.business_id, PackageSold)
    assert isinstance(sold, PackageSold)
    assert str(sold.predecessor_id) == package["package_id"]
    assert await shop.room.violations(shop.business_id) == {}


async def test_news_about_a_moved_session_goes_to_the_successor(shop: Shop) -> None:
    package = await shop.sell(await shop.template(**POST_BILL), auto_renew=True)
    used, off = (shop.ask(package, TODAY + timedelta(days=days)) for days in (5, 3))
    await shop.hear(used, off)
    await shop.hear(await closed(shop, package), attended(used), cancelled(off))
    new = await successor(shop, package)
    assert (new["held"], new["consumed"]) == (0, 1)
    assert len(await shop.closures()) == 1, "what the successor uses is not the old package's"
    again = await closed(shop, new)
    await shop.hear(again)
    assert (await successor(shop, new))["predecessor_id"] == new["package_id"]
    (_, fact) = await shop.room.facts(shop.business_id, PackageClosed)
    assert isinstance(fact, PackageClosed)
    assert [session.booking_id for session in fact.sessions] == [used.booking_id]
    assert await shop.room.violations(shop.business_id) == {}


async def test_a_package_is_renewed_once_however_often_and_wherever_it_is_heard(shop: Shop) -> None:
    package = await shop.sell(await shop.template(**POST_BILL), auto_renew=True)
    asks = [shop.ask(package, TODAY + timedelta(days=days)) for days in range(2, 8)]
    await shop.hear(*asks)
    billed = await closed(shop, package)
    news = [envelope(billed, shop.business_id, TODAY) for _ in range(6)]
    later = [envelope(cancelled(ask), shop.business_id, TODAY) for ask in asks[:3]]
    await asyncio.gather(*(shop.room.consumer.process([each]) for each in [*news, *later]))
    await shop.retry()
    assert await shop.set_aside() == []
    assert len(await shop.room.facts(shop.business_id, PackageSold)) == 2
    assert len(await shop.room.facts(shop.business_id, HoldsMoved)) == 1
    assert (await shop.show(package))["held"] == 0
    assert (await successor(shop, package))["held"] == 3
    assert await shop.room.violations(shop.business_id) == {}


async def test_a_pre_bill_package_moves_what_its_successor_has_sessions_for(shop: Shop) -> None:
    package = await shop.sell(await shop.template(session_count=2), auto_renew=True)
    await shop.post(package, "adjustments", sessions=1, reason="goodwill")
    last, first, second = (shop.ask(package, TODAY + timedelta(days=days)) for days in (9, 2, 5))
    await shop.hear(last, first, second)
    await shop.hear(await closed(shop, package))
    assert await moved(shop) == [first.booking_id, second.booking_id]
    assert balance(await shop.show(package)) == (2, 1, 0)
    assert balance(await successor(shop, package)) == (0, 2, 0)
    lots = await shop.get(await successor(shop, package), "lots")
    assert [(lot["period_index"], lot["size"]) for lot in lots] == [(1, 2)]
    assert await shop.room.violations(shop.business_id) == {}


async def test_a_recurring_package_moves_each_session_to_the_period_of_its_date(shop: Shop) -> None:
    package = await shop.sell(await shop.template(**(FORTNIGHTLY | {"session_count": 2})), auto_renew=True)
    days = (1, 2, 15, 16, 30)
    asks = [shop.ask(package, TODAY + timedelta(days=day)) for day in days]
    await shop.hear(*asks, attended(asks[4]))
    assert counts(await shop.show(package)) == (0, 2, 0, 0, 3)
    await shop.hear(await closed(shop, package))
    assert await moved(shop) == [ask.booking_id for ask in asks]
    assert counts(await shop.show(package)) == (2, 0, 0, 0, 0)
    assert counts(await successor(shop, package)) == (0, 2, 0, 0, 3)
    for index, day in ((2, 14), (3, 28)):
        await shop.period(await successor(shop, package), index, TODAY + timedelta(days=day))
    assert counts(await successor(shop, package)) == (1, 4, 1, 0, 0)
    assert await shop.room.violations(shop.business_id) == {}


async def test_a_session_before_the_close_stays_though_its_period_is_heard_of_later(shop: Shop) -> None:
    package = await shop.sell(await shop.template(**FORTNIGHTLY), auto_renew=True)
    due = TODAY + timedelta(days=14)
    before, after = (shop.ask(package, due, starts_at=NOW + timedelta(days=14, hours=hour)) for hour in (-1, 1))
    await shop.hear(before, after)
    await shop.clock(due)
    await shop.hear(attended(before))
    await shop.hear(await closed(shop, package), on=due)
    assert await moved(shop) == [after.booking_id]
    await shop.period(package, 2, due)
    assert counts(await shop.show(package)) == (11, 0, 1, 0, 0)
    assert counts(await successor(shop, package)) == (5, 1, 0, 0, 0)
    assert await shop.room.violations(shop.business_id) == {}


async def test_without_renewal_later_sessions_stay_and_nothing_is_sold(shop: Shop) -> None:
    package = await shop.sell()
    await shop.hear(shop.ask(package))
    billed = await closed(shop, package)
    await shop.hear(billed)
    shown = await shop.show(package)
    assert (shown["state"], shown["held"], shown["successor_id"]) == ("closed", 1, None)
    assert await moved(shop) == []
    assert len(await shop.room.facts(shop.business_id, PackageSold)) == 1


async def test_a_closure_of_late_use_renews_nothing(shop: Shop) -> None:
    package = await shop.sell(await shop.template(**POST_BILL), auto_renew=False)
    later = shop.ask(package, starts_at=NOW + timedelta(hours=1), session_date=TODAY)
    await shop.hear(later)
    await closed(shop, package)
    await shop.hear(attended(later))
    await shop.hear(*await shop.closures())
    assert len(await shop.closures()) == 2
    assert (await shop.show(package))["successor_id"] is None


async def test_the_answer_to_another_closure_renews_nothing(shop: Shop) -> None:
    package = await shop.sell(await shop.template(**POST_BILL), auto_renew=True)
    billed = await closed(shop, package)
    other = billed.model_copy(update={"closure_id": UUID(int=1)})
    await shop.hear(other)
    assert (await shop.show(package))["successor_id"] is None, "only its own close renews it"


async def test_auto_renew_is_switched_off_until_the_close(shop: Shop) -> None:
    package = await shop.sell(await shop.template(**POST_BILL), auto_renew=True)
    path = f"packages/{package['package_id']}/renewal"
    async with shop.room.http(shop.owner) as http:
        assert (await http.post(path, json={"auto_renew": False})).json()["auto_renew"] is False
        await shop.hear(await closed(shop, package))
        assert (await http.post(path, json={"auto_renew": True})).status_code == 409
    assert (await shop.show(package))["successor_id"] is None


async def test_nothing_is_renewed_for_an_inactive_client(shop: Shop) -> None:
    package = await shop.sell(await shop.template(**POST_BILL), auto_renew=True)
    await shop.hear(ClientChanged(client_id=shop.client_id, sequence=2, name="Ana", email=None, active=False))
    await shop.hear(await closed(shop, package))
    assert (await shop.show(package))["successor_id"] is None


async def test_a_session_after_the_end_of_the_successor_stays(shop: Shop) -> None:
    template_id = await shop.template(valid_days=5)
    package = await shop.sell(template_id, expiry_date=str(TODAY + timedelta(days=100)), auto_renew=True)
    soon, later = (shop.ask(package, TODAY + timedelta(days=n)) for n in (2, 60))
    await shop.hear(soon, later)
    await shop.hear(await closed(shop, package))
    assert await moved(shop) == [soon.booking_id]
