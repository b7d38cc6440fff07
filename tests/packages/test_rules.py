"""Packages' rules, pure."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.packages.rules import NotActive, NotForSale, closing, holding, lots, selling
from services.packages.rules.lots import Supply
from services.packages.tables import Hold, Package, Template
from shared.ids import new_id
from tests.harness.terms import POST_BILL
from tests.packages.conftest import SERVICE, TODAY, ask, package, post_bill, terms

NOW = datetime(2022, 9, 9, tzinfo=UTC)


def held(row: Package | None, today: date = TODAY, **changes: Any) -> Package:
    """The package, if it gives the session that is asked for."""
    allowed = holding.allows(row, ask(**changes), today=today)
    assert holding.hold(allowed, lots.left(allowed, TODAY, Supply()), ask(**changes)).package_id == allowed.package_id
    return allowed


def chosen(*rows: Package, **changes: Any) -> Package | None:
    found = holding.choose([(row, lots.left(row, TODAY, Supply())) for row in rows], ask(**changes), today=TODAY)
    return found[0] if found else None


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
    with pytest.raises(holding.Refused) as refusal:
        held(row, **changes)
    assert refusal.value.reason == reason


def test_staff_hold_a_session_of_an_expired_package() -> None:
    expired = package(expiry_date=TODAY - timedelta(days=1))
    assert held(expired, by_staff=True) is expired


@given(st.integers(0, 1000))
def test_a_post_bill_package_is_never_short_of_sessions(number: int) -> None:
    assert lots.left(post_bill(held=number), TODAY, Supply()).sessions is None


@given(st.integers(0, 20), st.integers(-20, 20), st.integers(0, 20), st.integers(0, 20), st.integers(-50, 50))
def test_an_adjustment_never_leaves_fewer_sessions_than_are_held_and_used(
    allocated: int, adjusted: int, held: int, consumed: int, sessions: int
) -> None:
    row = package(allocated=allocated, adjusted=adjusted, held=held, consumed=consumed)
    try:
        change = lots.adjust(row, Supply(), sessions=sessions, today=TODAY)
    except lots.BelowNothing:
        assert row.available + sessions < 0
    else:
        assert allocated + adjusted + change.sessions >= held + consumed


def test_without_a_package_the_one_that_ends_first_is_chosen_then_the_oldest() -> None:
    oldest, newer = package(), package()
    soon = package(expiry_date=TODAY + timedelta(days=9))
    empty = package(expiry_date=TODAY, consumed=10)
    assert chosen(newer, empty, soon, oldest) is soon
    assert chosen(newer, oldest) is oldest
    assert chosen(empty) is None


def template(**changes: Any) -> Template:
    return Template(template_id=new_id(), version=1, active=changes.pop("active", True), terms=terms(**changes))


def test_a_sale_inherits_the_terms_and_may_change_price_and_count() -> None:
    assert selling.sold_terms(template(), price_minor=None, session_count=None) == terms()
    changed = selling.sold_terms(template(), price_minor=45000, session_count=12)
    assert (changed.price_minor, changed.session_count, changed.name) == (45000, 12, "10 sessions")


@pytest.mark.parametrize(
    ("of", "order", "field"),
    [
        ({"active": False}, {}, "template_id"),
        (POST_BILL, {"price_minor": 100}, "price_minor"),
        (POST_BILL, {"session_count": 5}, "session_count"),
        ({"form": "instalments", "instalment_count": 5, "frequency": "weekly"}, {"price_minor": 4}, "price_minor"),
    ],
)
def test_what_cannot_be_sold_is_named(of: dict[str, Any], order: dict[str, Any], field: str) -> None:
    with pytest.raises(NotForSale) as refusal:
        selling.sold_terms(template(**of), **({"price_minor": None, "session_count": None} | order))
    assert refusal.value.members["field"] == field


def expiry(chosen: date | None = None, **changes: Any) -> date | None:
    return selling.expiry(terms(**changes), start_date=TODAY, first_due_date=date(2022, 9, 13), chosen=chosen)


def test_expiry_is_as_chosen_or_counts_from_the_start_or_is_none() -> None:
    assert expiry() is None
    assert expiry(valid_days=30) == date(2022, 10, 8)
    assert expiry(TODAY, valid_days=30) == TODAY
    with pytest.raises(NotForSale):
        expiry(TODAY - timedelta(days=1))


def test_a_fixed_term_ends_with_its_last_period_and_an_open_one_never() -> None:
    fortnights: dict[str, Any] = {"form": "recurring", "frequency": "fortnightly", "rollover": "reset"}
    assert expiry(**fortnights, term_weeks=4) == date(2022, 10, 10)
    assert expiry(**fortnights, term_weeks=0) is None
    assert expiry(date(2022, 10, 11), **fortnights, term_weeks=4) == date(2022, 10, 11)
    for refused, weeks in ((date(2022, 10, 9), 4), (date(2022, 12, 31), 0)):
        with pytest.raises(NotForSale):
            expiry(refused, **fortnights, term_weeks=weeks)


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"first_due_date": date(2022, 9, 23)}, None),
        ({"first_due_date": date(2022, 9, 24)}, "first_due_date"),
        ({"first_due_date": date(2022, 9, 24), "allow_gap": True}, None),
        ({"start_date": date(2022, 9, 22)}, None),
        ({"start_date": date(2022, 9, 23)}, "start_date"),
    ],
)
def test_a_recurring_package_falls_due_within_a_period_of_its_sale(order: dict[str, Any], field: str | None) -> None:
    usual: dict[str, Any] = {"start_date": None, "first_due_date": None, "sold_date": TODAY, "allow_gap": False}
    sold = terms(form="recurring", frequency="fortnightly", rollover="reset", term_weeks=0)
    try:
        selling.dates(sold, **(usual | order))
    except NotForSale as refusal:
        assert refusal.members["field"] == field
    else:
        assert field is None


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
    """R-27."""
    holds = [
        used("attended", hours=-3),
        used("no_show", hours=-2),
        used("late_cancelled", hours=5),
        used(None, hours=-1, state="returned"),
        used(None, hours=1, state="held"),
        used(None, hours=1, state="ahead"),
    ]
    fact = closing.close(post_bill(), holds, closure_id=new_id(), now=NOW, today=TODAY).closure
    assert [session.outcome for session in fact.sessions] == ["attended", "no_show", "late_cancelled"]
    assert [tier.rate_minor for tier in fact.tiers] == [6000, 5500]


@pytest.mark.parametrize("state", ["held", "ahead"])
def test_a_session_that_nobody_verified_blocks_the_close(state: Any) -> None:
    unverified = used(None, hours=0, state=state)
    with pytest.raises(closing.Unverified) as refusal:
        closing.close(post_bill(), [unverified], closure_id=new_id(), now=NOW, today=TODAY)
    assert refusal.value.members["booking_ids"] == [unverified.booking_id]


def test_a_package_is_closed_once() -> None:
    row = post_bill()
    row.apply(closing.close(row, [], closure_id=new_id(), now=NOW, today=TODAY))
    with pytest.raises(NotActive):
        closing.close(row, [], closure_id=new_id(), now=NOW, today=TODAY)


def test_staff_book_from_a_package_that_still_runs_before_an_expired_one() -> None:
    expired, running = package(expiry_date=TODAY - timedelta(days=1)), package()
    assert chosen(expired, running, by_staff=True) is running
    assert chosen(expired, by_staff=True) is expired


def test_an_expiry_date_is_moved_or_deleted_while_the_package_runs() -> None:
    row = package(terms=terms(valid_days=30), expiry_date=TODAY + timedelta(days=29))
    row.apply(selling.move_expiry(row, expiry_date=None))
    assert row.expiry_date is None
    with pytest.raises(NotForSale):
        selling.move_expiry(row, expiry_date=TODAY - timedelta(days=1))
    with pytest.raises(NotActive):
        selling.move_expiry(package(state="closed"), expiry_date=None)
