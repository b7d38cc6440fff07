"""Booking's rules, pure."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql import Range

from services.booking import rules
from services.booking.tables import BookableService, Booking, Client, Staff
from shared.events.booking import AttendanceRecorded, BookingCancelled
from shared.ids import new_id

START = datetime(2022, 9, 10, 0, 0, tzinfo=UTC)
STATES = ("holding", "requested", "confirmed", "attended", "no_show", "late_cancelled", "cancelled", "refused")


def booking(**changes: Any) -> Booking:
    usual: dict[str, Any] = {
        "booking_id": new_id(),
        "business_id": new_id(),
        "client_id": new_id(),
        "package_id": new_id(),
        "service_id": new_id(),
        "practitioner_id": new_id(),
        "during": Range(START, START + timedelta(hours=1)),
        "session_date": date(2022, 9, 10),
        "state": "confirmed",
        "sequence": 2,
        "decide_by": START,
        "late_cancel_hours": 0,
    }
    return Booking(**(usual | changes))


def cancelled(of: Booking, *, hours_before: float, by_staff: bool = False, waive: bool = False) -> BookingCancelled:
    now = START - timedelta(hours=hours_before)
    return rules.cancel(of, by="client:x", by_staff=by_staff, now=now, reason=None, waive=waive)


def test_a_cancelled_booking_returns_its_session() -> None:
    assert cancelled(booking(), hours_before=0.01).returns_session


@pytest.mark.parametrize(
    ("hours_before", "returns"), [(25, True), (24, True), (23.99, False), (1, False)], ids=lambda value: str(value)
)
def test_inside_the_late_cancel_window_the_session_is_used(hours_before: float, returns: bool) -> None:
    """R-18."""
    assert cancelled(booking(late_cancel_hours=24), hours_before=hours_before).returns_session is returns


def test_staff_may_waive_a_late_cancellation_and_a_client_may_not() -> None:
    late = booking(late_cancel_hours=24)
    waived = cancelled(late, hours_before=1, by_staff=True, waive=True)
    assert waived.returns_session and waived.waived
    assert not cancelled(late, hours_before=48, by_staff=True, waive=True).waived
    with pytest.raises(rules.OnlyStaffWaive):
        cancelled(late, hours_before=1, waive=True)


def test_who_cancels_makes_no_difference_unless_it_is_waived() -> None:
    assert not cancelled(booking(late_cancel_hours=24), hours_before=1, by_staff=True).returns_session


@pytest.mark.parametrize("state", ["holding", "requested"])
def test_what_is_not_yet_confirmed_is_never_too_late(state: str) -> None:
    assert cancelled(booking(state=state, late_cancel_hours=24), hours_before=1).returns_session


def test_the_window_is_elapsed_time_across_a_clock_change() -> None:
    sydney = ZoneInfo("Australia/Sydney")
    starts = datetime(2022, 10, 2, 10, 0, tzinfo=sydney)
    late = booking(late_cancel_hours=24, during=Range(starts, starts + timedelta(hours=1)))
    day_before = datetime(2022, 10, 1, 9, 30, tzinfo=sydney)
    fact = rules.cancel(late, by="client:x", by_staff=False, now=day_before, reason=None, waive=False)
    assert not fact.returns_session, "the clocks went forward: it is 23.5 hours, not 24.5"


def test_a_session_that_has_started_is_cancelled_by_staff_only() -> None:
    with pytest.raises(rules.AlreadyStarted):
        cancelled(booking(), hours_before=-0.5)
    assert cancelled(booking(), hours_before=-0.5, by_staff=True).returns_session


@given(st.sampled_from(STATES), st.integers(0, 72), st.floats(-48, 96, allow_nan=False), st.booleans(), st.booleans())
def test_a_cancellation_either_ends_the_booking_or_is_refused(
    state: str, window: int, hours_before: float, by_staff: bool, waive: bool
) -> None:
    row = booking(state=state, late_cancel_hours=window)
    try:
        fact = cancelled(row, hours_before=hours_before, by_staff=by_staff, waive=waive)
    except (rules.NotOpen, rules.AlreadyStarted, rules.OnlyStaffWaive):
        return
    row.apply(fact)
    assert row.state == ("cancelled" if fact.returns_session else "late_cancelled")
    assert row.sequence == fact.sequence == 3
    with pytest.raises(rules.NotOpen):
        cancelled(row, hours_before=hours_before, by_staff=True)


def test_clients_book_for_themselves_and_ahead_and_staff_may_record_what_was() -> None:
    row = booking(state="holding")
    with pytest.raises(rules.OnlyTheirOwn):
        rules.request(row, by_client=new_id(), now=START - timedelta(days=1))
    with pytest.raises(rules.InThePast):
        rules.request(row, by_client=row.client_id, now=START)
    assert rules.request(row, by_client=None, now=START).by_staff


def test_attendance_is_recorded_once_the_session_has_started_and_may_be_corrected() -> None:
    """R-21."""
    row = booking()
    with pytest.raises(rules.NotStarted):
        rules.record_attendance(row, attended=True, now=START - timedelta(minutes=1))
    for attended, state in ((True, "attended"), (False, "no_show"), (True, "attended")):
        fact = rules.record_attendance(row, attended=attended, now=START)
        assert isinstance(fact, AttendanceRecorded)
        row.apply(fact)
        assert row.state == state
    assert row.sequence == 5


@pytest.mark.parametrize("state", [state for state in STATES if state != "requested"])
def test_only_a_requested_booking_is_approved(state: str) -> None:
    with pytest.raises(rules.NotWaiting):
        rules.confirm(booking(state=state))


@pytest.mark.parametrize(
    ("who", "field"),
    [("client", "client_id"), ("staff", "practitioner_id"), ("desk", "practitioner_id"), ("service", "service_id")],
)
def test_who_or_what_cannot_be_booked_is_named(who: str, field: str) -> None:
    client = Client(client_id=new_id(), sequence=1, active=who != "client")
    staff = Staff(staff_id=new_id(), sequence=1, practitioner=who != "desk", active=who != "staff")
    service = BookableService(service_id=new_id(), sequence=1, minutes=45, active=who != "service")
    with pytest.raises(rules.NotBookable) as refusal:
        rules.bookable(client, staff, service)
    assert refusal.value.members["field"] == field
