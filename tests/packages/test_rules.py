"""Packages' rules, pure."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.packages import rules
from services.packages.tables import Hold, Package, Template
from shared.events.booking import HoldRequested
from shared.ids import new_id
from tests.harness.terms import POST_BILL
from tests.packages.conftest import SERVICE, terms

TODAY = date(2022, 9, 9)
NOW = datetime(2022, 9, 9, tzinfo=UTC)
CLIENT = new_id()


def package(**changes: Any) -> Package:
    usual: dict[str, Any] = {
        "package_id": new_id(),
        "client_id": CLIENT,
        "terms": terms(),
        "post_bill": False,
        "start_date": TODAY,
        "expiry_date": None,
        "state": "active",
        "allocated": 10,
        "adjusted": 0,
        "held": 0,
        "consumed": 0,
    }
    return Package(**(usual | changes))


def ask(**changes: Any) -> HoldRequested:
    usual = {
        "booking_id": new_id(),
        "sequence": 1,
        "client_id": CLIENT,
        "package_id": None,
        "service_id": SERVICE,
        "practitioner_id": new_id(),
        "starts_at": NOW,
        "session_date": TODAY,
        "decide_by": NOW,
        "by_staff": False,
    }
    return HoldRequested.model_validate(usual | changes)


def post_bill(**changes: Any) -> Package:
    return package(terms=terms(**POST_BILL), post_bill=True, allocated=0, **changes)


@pytest.mark.parametrize(
    ("row", "changes", "reason"),
    [
        (None, {}, "no_package"),
        (package(state="closed"), {}, "closed"),
        (package(), {"client_id": new_id()}, "no_package"),
        (package(), {"client_id": new_id(), "by_staff": True}, "not_their_package"),
        (package(), {"service_id": new_id()}, "service_not_included"),
        (package(terms=terms(practitioner_ids=[new_id()])), {}, "practitioner_not_included"),
        (package(start_date=TODAY + timedelta(days=1)), {}, "not_started"),
        (package(expiry_date=TODAY - timedelta(days=1)), {}, "expired"),
        (package(expiry_date=TODAY), {"session_date": TODAY + timedelta(days=1)}, "expired"),
        (package(held=4, consumed=6), {}, "no_sessions_left"),
    ],
)
def test_a_hold_is_refused_with_the_reason(row: Package | None, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(rules.Refused) as refusal:
        rules.hold(row, ask(**changes), today=TODAY)
    assert refusal.value.reason == reason


def test_staff_hold_a_session_of_an_expired_package() -> None:
    expired = package(expiry_date=TODAY - timedelta(days=1))
    assert rules.hold(expired, ask(by_staff=True), today=TODAY).package_id == expired.package_id


@given(st.integers(0, 1000))
def test_a_post_bill_package_is_never_short_of_sessions(held: int) -> None:
    assert rules.hold(post_bill(held=held), ask(), today=TODAY)


@given(st.integers(0, 20), st.integers(-20, 20), st.integers(0, 20), st.integers(0, 20), st.integers(-50, 50))
def test_an_adjustment_never_leaves_fewer_sessions_than_are_held_and_used(
    allocated: int, adjusted: int, held: int, consumed: int, sessions: int
) -> None:
    row = package(allocated=allocated, adjusted=adjusted, held=held, consumed=consumed)
    try:
        change = rules.adjust(row, sessions=sessions)
    except rules.BelowNothing:
        assert row.available + sessions < 0
    else:
        assert allocated + adjusted + change >= held + consumed


def test_without_a_package_the_one_that_ends_first_is_chosen_then_the_oldest() -> None:
    oldest, newer = package(), package()
    soon = package(expiry_date=TODAY + timedelta(days=9))
    empty = package(expiry_date=TODAY, consumed=10)
    assert rules.choose([newer, empty, soon, oldest], ask(), today=TODAY) is soon
    assert rules.choose([newer, oldest], ask(), today=TODAY) is oldest
    assert rules.choose([empty], ask(), today=TODAY) is None


def template(**changes: Any) -> Template:
    return Template(template_id=new_id(), version=1, active=changes.pop("active", True), terms=terms(**changes))


def test_a_sale_inherits_the_terms_and_may_change_price_and_count() -> None:
    assert rules.sold_terms(template(), price_minor=None, session_count=None) == terms()
    changed = rules.sold_terms(template(), price_minor=45000, session_count=12)
    assert (changed.price_minor, changed.session_count, changed.name) == (45000, 12, "10 sessions")


@pytest.mark.parametrize(
    ("of", "order", "field"),
    [
        ({"active": False}, {}, "template_id"),
        (POST_BILL, {"price_minor": 100}, "price_minor"),
        (POST_BILL, {"session_count": 5}, "session_count"),
    ],
)
def test_what_cannot_be_sold_is_named(of: dict[str, Any], order: dict[str, Any], field: str) -> None:
    with pytest.raises(rules.NotForSale) as refusal:
        rules.sold_terms(template(**of), **({"price_minor": None, "session_count": None} | order))
    assert refusal.value.members["field"] == field


def test_expiry_is_as_chosen_or_counts_from_the_start_or_is_none() -> None:
    assert rules.expiry(terms(), start_date=TODAY, chosen=None) is None
    assert rules.expiry(terms(valid_days=30), start_date=TODAY, chosen=None) == date(2022, 10, 8)
    assert rules.expiry(terms(valid_days=30), start_date=TODAY, chosen=TODAY) == TODAY
    with pytest.raises(rules.NotForSale):
        rules.expiry(terms(), start_date=TODAY, chosen=TODAY - timedelta(days=1))


def used(outcome: str | None, *, hours: int, state: str = "consumed") -> Hold:
    return Hold(
        booking_id=new_id(),
        sequence=1,
        state=state,
        service_id=SERVICE,
        starts_at=NOW + timedelta(hours=hours),
        session_date=TODAY,
        outcome=outcome,
    )


def test_closing_counts_attended_missed_and_late_and_leaves_what_is_still_to_come() -> None:
    holds = [
        used("attended", hours=-3),
        used("no_show", hours=-2),
        used("late_cancelled", hours=5),
        used(None, hours=-1, state="returned"),
        used(None, hours=1, state="held"),
    ]
    fact = rules.close(post_bill(), holds, closure_id=new_id(), now=NOW)
    assert [session.outcome for session in fact.sessions] == ["attended", "no_show", "late_cancelled"]
    assert [tier.rate_minor for tier in fact.tiers] == [6000, 5500]


def test_a_session_that_nobody_verified_blocks_the_close() -> None:
    unverified = used(None, hours=0, state="held")
    with pytest.raises(rules.Unverified) as refusal:
        rules.close(post_bill(), [unverified], closure_id=new_id(), now=NOW)
    assert refusal.value.members["booking_ids"] == [unverified.booking_id]


def test_a_package_is_closed_once() -> None:
    row = post_bill()
    row.apply(rules.close(row, [], closure_id=new_id(), now=NOW))
    with pytest.raises(rules.NotActive):
        rules.close(row, [], closure_id=new_id(), now=NOW)


def test_staff_book_from_a_package_that_still_runs_before_an_expired_one() -> None:
    expired, running = package(expiry_date=TODAY - timedelta(days=1)), package()
    assert rules.choose([expired, running], ask(by_staff=True), today=TODAY) is running
    assert rules.choose([expired], ask(by_staff=True), today=TODAY) is expired


def test_an_expiry_date_is_moved_or_deleted_while_the_package_runs() -> None:
    row = package(terms=terms(valid_days=30), expiry_date=TODAY + timedelta(days=29))
    row.apply(rules.move_expiry(row, expiry_date=None))
    assert row.expiry_date is None
    with pytest.raises(rules.NotForSale):
        rules.move_expiry(row, expiry_date=TODAY - timedelta(days=1))
    with pytest.raises(rules.NotActive):
        rules.move_expiry(package(state="closed"), expiry_date=None)
