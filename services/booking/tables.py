"""The rows booking owns: bookings, and copies of whom and what can be booked."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import BusinessRow, Row, metadata
from shared.events import Event
from shared.events.booking import (
    AttendanceRecorded,
    BookingCancelled,
    BookingConfirmed,
    BookingRefused,
)
from shared.events.packages import HoldsMoved, SessionHeld

State = Literal["holding", "requested", "confirmed", "attended", "no_show", "late_cancelled", "cancelled", "refused"]
TAKES_TIME = "state in ('holding', 'requested', 'confirmed', 'attended', 'no_show')"


class Base(Row):
    __abstract__ = True
    metadata = metadata()


class Booking(BusinessRow, Base):
    """A client's place at a time with a practitioner.

    `holding` asks packages for a session; `requested` has one and waits for staff; `confirmed` is a place.
    """

    __tablename__ = "bookings"
    __table_args__ = (
        CheckConstraint("not isempty(during)", name="takes_some_time"),
        CheckConstraint("package_id is not null or state in ('holding', 'refused', 'cancelled')", name="has_a_session"),
        ExcludeConstraint(
            ("business_id", "="),
            ("practitioner_id", "="),
            ("during", "&&"),
            name="one_client_at_a_time",
            where=TAKES_TIME,
            using="gist",
        ),
        Index("ix_bookings_of_a_client", "business_id", "client_id", "booking_id"),
        Index("ix_bookings_of_a_package", "package_id", "booking_id"),
    )

    booking_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    package_id: Mapped[UUID | None]
    service_id: Mapped[UUID]
    practitioner_id: Mapped[UUID]
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    session_date: Mapped[date]
    state: Mapped[str]
    sequence: Mapped[int]
    """Counts what happened to the booking; every event about it carries the number, and the newest wins."""
    decide_by: Mapped[datetime]
    late_cancel_hours: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None]

    @property
    def starts_at(self) -> datetime:
        if self.during.lower is None:
            raise ValueError("a booking has a start")
        return self.during.lower

    def apply(self, fact: Event) -> None:
        """The only way a booking changes."""
        match fact:
            case SessionHeld():
                self.package_id, self.late_cancel_hours = fact.package_id, fact.late_cancel_hours
                self.state = "requested"
                return
            case HoldsMoved():
                self.package_id = fact.successor_id
                return
            case BookingConfirmed():
                self.state = "confirmed"
            case BookingRefused():
                self.state, self.reason = "refused", fact.reason
            case BookingCancelled():
                self.state, self.reason = ("cancelled" if fact.returns_session else "late_cancelled"), fact.reason
            case AttendanceRecorded():
                self.state = fact.outcome
            case _:
                raise TypeError(f"a booking does not change by {fact.type}")
        self.sequence = fact.sequence


class Client(BusinessRow, Base):
    """A copy of catalog's client."""

    __tablename__ = "clients"

    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    active: Mapped[bool]


class Staff(BusinessRow, Base):
    """A copy of catalog's member of staff."""

    __tablename__ = "staff"

    staff_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    practitioner: Mapped[bool]
    active: Mapped[bool]


class BookableService(BusinessRow, Base):
    """A copy of catalog's service."""

    __tablename__ = "services"

    service_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    minutes: Mapped[int]
    active: Mapped[bool]
