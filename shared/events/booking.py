"""What booking tells: who wants to come, who comes, who came. Each carries the booking's `sequence`; newest wins."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from shared.events import ERASED, Event


class HoldRequested(Event, type="booking.hold_requested.v1", subject="booking_id"):
    """A booking asks packages for a session, until `decide_by`."""

    booking_id: UUID
    sequence: int
    client_id: UUID
    package_id: UUID | None
    service_id: UUID
    practitioner_id: UUID
    starts_at: datetime
    session_date: date
    decide_by: datetime
    by_staff: bool


class BookingConfirmed(Event, type="booking.confirmed.v1", subject="booking_id"):
    """A client has a place."""

    booking_id: UUID
    sequence: int
    client_id: UUID
    package_id: UUID
    service_id: UUID
    practitioner_id: UUID
    starts_at: datetime


class BookingRefused(Event, type="booking.refused.v1", subject="booking_id", personal={"reason": ERASED}):
    """A booking came to nothing: packages or staff refused it, or nobody answered in time."""

    booking_id: UUID
    sequence: int
    client_id: UUID
    reason: str


class BookingCancelled(Event, type="booking.cancelled.v1", subject="booking_id", personal={"reason": None}):
    """A booking is off. `returns_session` is false when it was cancelled inside the late-cancel window (R-18).

    `waived` is true where staff gave the session back all the same; `had_session` is false when packages had not yet
    held one.
    """

    booking_id: UUID
    sequence: int
    client_id: UUID
    by: str
    reason: str | None
    returns_session: bool
    waived: bool = False
    had_session: bool = True
    session_date: date


class AttendanceRecorded(Event, type="booking.attendance_recorded.v1", subject="booking_id"):
    """What became of a booked session is known, or was corrected."""

    booking_id: UUID
    sequence: int
    outcome: Literal["attended", "no_show"]
    session_date: date
