"""Packages' doors on PostgreSQL; the test speaks for catalog and booking."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.events import Event
from shared.events.catalog import StaffChanged, TemplatePublished
from shared.events.packages import HoldRefused, PackageClosed, PackageSold, SessionHeld
from shared.ids import new_id
from tests.harness.room import envelope
from tests.harness.terms import POST_BILL
from tests.packages.conftest import NOW, TODAY, Shop, attended, balance, cancelled, terms

pytestmark = pytest.mark.servers


async def test_a_sale_inherits_the_template_and_tells_it(shop: Shop) -> None:
    package = await shop.sell()
    assert (package["purchased"], package["remaining"], package["price_minor"]) == (10, 10, 50000)
    assert package["start_date"] == package["first_due_date"] == "2022-09-09"
    (fact,) = await shop.room.facts(shop.business_id, PackageSold)
    assert isinstance(fact, PackageSold)
    assert str(fact.package_id) == package["package_id"]


async def test_a_sale_may_change_the_terms_for_this_client(shop: Shop) -> None:
    changed: dict[str, Any] = {"price_minor": 45000, "session_count": 12, "expiry_date": "2022-12-31"}
    package = await shop.sell(**changed)
    assert (package["price_minor"], package["purchased"], package["expiry_date"]) == (45000, 12, "2022-12-31")


async def test_a_preview_shows_the_sale_and_leaves_nothing(shop: Shop) -> None:
    """R-52."""
    order = {"client_id": str(shop.client_id), "template_id": str(await shop.template()), "session_count": "3"}
    async with shop.room.http(shop.owner) as http:
        shown = await http.get("packages/preview", params=order)
        listed = await http.get("packages")
    assert shown.json()["purchased"] == 3
    assert listed.json()["items"] == []
    assert await shop.room.facts(shop.business_id) == []


async def test_a_package_goes_on_as_it_was_sold_when_its_template_changes(shop: Shop) -> None:
    """R-49."""
    template_id = await shop.template()
    before = await shop.sell(template_id)
    newer = terms(session_count=20, price_minor=99000)
    await shop.hear(TemplatePublished(template_id=template_id, version=2, active=True, terms=newer))
    after = await shop.sell(template_id)
    assert [(each["purchased"], each["price_minor"]) for each in (await shop.show(before), after)] == [
        (before["purchased"], before["price_minor"]),
        (20, 99000),
    ]
    await shop.hear(TemplatePublished(template_id=template_id, version=1, active=True, terms=terms()))
    assert (await shop.sell(template_id))["purchased"] == 20, "an older version that comes late"


@pytest.mark.parametrize(("change", "field"), [("seller", "sold_by"), ("expiry", "expiry_date")])
async def test_a_sale_that_cannot_be_names_the_field(shop: Shop, change: str, field: str) -> None:
    nobody = new_id()
    news = StaffChanged(staff_id=nobody, sequence=1, name="Lee", practitioner=True, seller=False, active=True)
    await shop.hear(news)
    order = {"seller": {"sold_by": str(nobody)}, "expiry": {"expiry_date": "2022-09-01"}}[change]
    async with shop.room.http(shop.owner) as http:
        body = {"client_id": str(shop.client_id), "template_id": str(await shop.template())}
        answer = await http.post("packages", json=body | order)
    assert answer.status_code == 422
    assert answer.json()["field"] == field


async def test_a_held_session_leaves_the_balance_and_a_cancelled_one_returns(shop: Shop) -> None:
    package = await shop.sell()
    ask = shop.ask(package)
    await shop.hear(ask)
    assert balance(await shop.show(package)) == (9, 1, 0)
    await shop.hear(cancelled(ask))
    assert balance(await shop.show(package)) == (10, 0, 0)
    async with shop.room.http(shop.owner) as http:
        entries = (await http.get(f"packages/{package['package_id']}/history")).json()["items"]
    assert [(entry["kind"], entry["sessions"]) for entry in entries] == [
        ("allocated", 10),
        ("held", -1),
        ("returned", 1),
    ]


async def test_every_order_and_repetition_of_news_ends_in_the_same_balance(shop: Shop) -> None:
    package = await shop.sell()
    for number, order in enumerate(itertools.permutations(range(3)), start=1):
        ask = shop.ask(package)
        news: list[Event] = [ask, cancelled(ask), cancelled(ask)]
        for index in order:
            await shop.hear(news[index])
        shown = await shop.show(package)
        assert balance(shown) == (10, 0, 0), f"order {number}: {order}"
    assert await shop.room.violations(shop.business_id) == {}


async def test_an_event_delivered_again_changes_nothing(shop: Shop) -> None:
    package = await shop.sell()
    once = envelope(shop.ask(package), shop.business_id, TODAY)
    await asyncio.gather(*(shop.room.consumer.process([once, once]) for _ in range(4)))
    assert balance(await shop.show(package)) == (9, 1, 0)
    assert len(await shop.room.facts(shop.business_id, SessionHeld)) == 1


async def test_a_hundred_clients_want_the_last_session_and_one_gets_it(shop: Shop) -> None:
    package = await shop.sell(session_count=1)
    asks = [shop.ask(package) for _ in range(100)]
    await asyncio.gather(*(shop.hear(*asks[replica::8]) for replica in range(8)))
    assert balance(await shop.show(package)) == (0, 1, 0)
    assert len(await shop.room.facts(shop.business_id, SessionHeld)) == 1
    refusals = await shop.room.facts(shop.business_id, HoldRefused)
    assert [fact.reason for fact in refusals if isinstance(fact, HoldRefused)] == ["no_sessions_left"] * 99


async def test_attendance_uses_the_session_and_a_correction_does_not_use_it_twice(shop: Shop) -> None:
    package = await shop.sell()
    ask = shop.ask(package)
    await shop.hear(ask, attended(ask), attended(ask, sequence=4, outcome="no_show"))
    assert balance(await shop.show(package)) == (9, 0, 1)


async def test_a_late_cancellation_uses_the_session(shop: Shop) -> None:
    package = await shop.sell()
    ask = shop.ask(package)
    await shop.hear(ask, cancelled(ask, returns=False))
    assert balance(await shop.show(package)) == (9, 0, 1)


async def test_sessions_are_added_and_never_taken_below_what_is_held(shop: Shop) -> None:
    package = await shop.sell(session_count=1)
    await shop.hear(shop.ask(package))
    async with shop.room.http(shop.owner) as http:
        path = f"packages/{package['package_id']}/adjustments"
        more = await http.post(path, json={"sessions": 2, "reason": "goodwill"})
        less = await http.post(path, json={"sessions": -3, "reason": "mistake"})
    assert balance(more.json()) == (2, 1, 0)
    assert less.status_code == 409
    assert less.json()["type"] == "urn:punchcard:problem:below-nothing"


async def test_an_expired_package_is_booked_by_staff_only_until_it_is_extended(shop: Shop) -> None:
    package = await shop.sell(expiry_date="2022-09-09")
    by_client, by_staff = shop.ask(package), shop.ask(package, by_staff=True)
    await shop.hear(by_client, by_staff)
    refused = await shop.room.facts(shop.business_id, HoldRefused)
    assert [(f.booking_id, f.reason) for f in refused if isinstance(f, HoldRefused)] == [
        (by_client.booking_id, "expired")
    ]
    async with shop.room.http(shop.owner) as http:
        await http.post(f"packages/{package['package_id']}/expiry", json={"expiry_date": "2022-10-31"})
    await shop.hear(shop.ask(package))
    assert balance(await shop.show(package)) == (8, 2, 0)


async def test_without_a_package_the_one_that_ends_first_is_taken(shop: Shop) -> None:
    await shop.sell()
    sooner = await shop.sell(expiry_date="2022-10-31")
    await shop.hear(shop.ask(sooner, package_id=None))
    assert balance(await shop.show(sooner)) == (9, 1, 0)


async def test_closing_a_post_bill_package_counts_each_session_used(shop: Shop) -> None:
    package = await shop.sell(await shop.template(**POST_BILL), start_date="2022-09-01")
    assert (package["purchased"], package["remaining"]) == ("POST", "POST")
    used, missed, late, later = (
        shop.ask(package, starts_at=NOW - timedelta(days=n), session_date=TODAY - timedelta(days=n), by_staff=True)
        for n in (3, 2, 1, -5)
    )
    await shop.hear(used, missed, late, later)
    async with shop.room.http(shop.owner) as http:
        path = f"packages/{package['package_id']}/close"
        blocked = await http.post(path)
        assert blocked.status_code == 409
        assert len(blocked.json()["booking_ids"]) == 3
        await shop.hear(attended(used), attended(missed, outcome="no_show"), cancelled(late, returns=False))
        closed = await http.post(path)
        assert closed.json()["state"] == "closed"
        assert (await http.post(path)).status_code == 409
    (fact,) = await shop.room.facts(shop.business_id, PackageClosed)
    assert isinstance(fact, PackageClosed)
    assert [session.outcome for session in fact.sessions] == ["attended", "no_show", "late_cancelled"]
    await shop.hear(attended(later))
    _, again = await shop.room.facts(shop.business_id, PackageClosed)
    assert isinstance(again, PackageClosed)
    assert (again.counted_before, [s.booking_id for s in again.sessions]) == (3, [later.booking_id])
    assert await shop.room.violations(shop.business_id) == {}


async def test_the_database_itself_refuses_an_overdraft_and_a_changed_ledger(shop: Shop) -> None:
    package = await shop.sell(session_count=1)
    for statement in (
        "update packages set held = 2 where package_id = :id",
        "update ledger_entries set quantity = 5 where package_id = :id",
        "delete from ledger_entries where package_id = :id",
    ):
        with pytest.raises(DBAPIError):
            async with shop.room.inside(shop.business_id) as db:
                await db.execute(text(statement), {"id": UUID(package["package_id"])})


async def test_row_level_security_hides_a_package_from_another_business(shop: Shop) -> None:
    package = await shop.sell()
    stranger = shop.room.issuer.staff(await shop.room.business())
    async with shop.room.http(stranger) as http:
        assert (await http.get(f"packages/{package['package_id']}")).status_code == 404
        assert (await http.get("packages")).json()["items"] == []
        for verb, body in (
            ("close", None),
            ("adjustments", {"sessions": 1, "reason": "x"}),
            ("expiry", {"expiry_date": None}),
        ):
            assert (await http.post(f"packages/{package['package_id']}/{verb}", json=body)).status_code == 404
    async with shop.room.running.database.transaction() as db:
        assert (await db.execute(text("select count(*) from packages"))).scalar() == 0


async def test_two_bookings_at_once_without_a_package_take_two_packages(shop: Shop) -> None:
    """Neither is refused while another package of the client has a session."""
    template_id = await shop.template(session_count=1)
    packages = [await shop.sell(template_id) for _ in range(4)]
    await asyncio.gather(*(shop.hear(shop.ask(packages[0], package_id=None)) for _ in range(4)))
    assert [balance(await shop.show(package)) for package in packages] == [(0, 1, 0)] * 4


async def test_an_expiry_date_is_deleted(shop: Shop) -> None:
    package = await shop.sell(await shop.template(valid_days=30))
    assert package["expiry_date"] == "2022-10-08"
    async with shop.room.http(shop.owner) as http:
        path = f"packages/{package['package_id']}/expiry"
        assert (await http.post(path, json={"expiry_date": None})).json()["expiry_date"] is None
