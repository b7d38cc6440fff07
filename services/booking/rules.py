"""What booking allows. Nothing here waits: a rule takes rows and values, and returns a fact or raises."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.booking.tables import BookableService, Booking, Client, Staff
from shared.errors import Conflict, Forbidden, Invalid
from shared.events.booking import (
    AttendanceRecorded,
    BookingCancelled,
    BookingConfirmed,
    BookingRefused,
    HoldRequested,
)


class OnlyTheirOwn(Forbidden):
    """A client books for themselves."""


class OnlyStaffWaive(Invalid):
    """Only staff waive a late cancellation."""


class NotBookable(Invalid):
    """This client, practitioner or service cannot be booked."""


class InThePast(Conflict):
    """A client books a time that is still to come."""


class PractitionerBusy(Conflict):
    """The practitioner has another client at that time."""


class NotOpen(Conflict):
    """This booking is no longer open."""


class NotWaiting(Conflict):
    """This booking does not wait for approval."""


class AlreadyStarted(Conflict):
    """The session has started; only staff can cancel it now."""


class NotStarted(Conflict):
    """The session has not started, so nobody can have attended or missed it."""


def bookable(client: Client, practitioner: Staff, service: BookableService) -> timedelta:
    """How long a session takes, if these three can be booked together. Raises NotBookable naming the field."""
    if not client.active:
        raise NotBookable("client_id: the client is inactive.", field="client_id")
    if not (practitioner.active and practitioner.practitioner):
        raise NotBookable("practitioner_id: this member of staff takes no bookings.", field="practitioner_id")
    if not service.active:
        raise NotBookable("service_id: the service is no longer offered.", field="service_id")
    return timedelta(minutes=service.minutes)


def request(booking: Booking, *, by_client: UUID | None, now: datetime) -> HoldRequested:
    """A new booking asks packages for a session; clients book for themselves and ahead, staff may record what was."""
    if by_client not in (None, booking.client_id):
        raise OnlyTheirOwn
    if booking.starts_at <= now and by_client:
        raise InThePast(f"It is {now:%Y-%m-%d %H:%M} at the business; choose a later time.")
    return HoldRequested(
        booking_id=booking.booking_id,
        sequence=booking.sequence,
        client_id=booking.client_id,
        package_id=booking.package_id,
        service_id=booking.service_id,
        practitioner_id=booking.practitioner_id,
        starts_at=booking.starts_at,
        session_date=booking.session_date,
        decide_by=booking.decide_by,
        by_staff=by_client is None,
    )


def confirm(booking: Booking) -> BookingConfirmed:
    """A booking that holds a session is a place, at once or after staff approved it."""
    if booking.state != "requested" or booking.package_id is None:
        raise NotWaiting(f"It is {booking.state}.")
    return BookingConfirmed(
        booking_id=booking.booking_id,
        sequence=booking.sequence + 1,
        client_id=booking.client_id,
        package_id=booking.package_id,
        service_id=booking.service_id,
        practitioner_id=booking.practitioner_id,
        starts_at=booking.starts_at,
    )


def refuse(booking: Booking, *, reason: str) -> BookingRefused:
    """A booking that is not yet a place comes to nothing; packages releases what it may hold for it."""
    if booking.state not in ("holding", "requested"):
        raise NotWaiting(f"It is {booking.state}.")
    return BookingRefused(
        booking_id=booking.booking_id, sequence=booking.sequence + 1, client_id=booking.client_id, reason=reason
    )


def cancel(
    booking: Booking, *, by: str, by_staff: bool, now: datetime, reason: str | None, waive: bool
) -> BookingCancelled:
    """A cancelled booking returns its session, unless it is cancelled too late (PB-15, R-18).

    Too late is inside the late-cancel window that the package was sold with (0 hours: never), measured in elapsed
    time, whoever cancels; staff may waive it. What is not yet confirmed is never too late.
    """
    if booking.state not in ("holding", "requested", "confirmed"):
        raise NotOpen(f"It is {booking.state}.")
    if waive and not by_staff:
        raise OnlyStaffWaive("waive_late: ask the desk.", field="waive_late")
    notice = booking.starts_at.astimezone(UTC) - now.astimezone(UTC)
    if notice <= timedelta() and not by_staff:
        raise AlreadyStarted
    window = timedelta(hours=booking.late_cancel_hours)
    late = booking.state == "confirmed" and window > timedelta() and notice < window
    return BookingCancelled(
        booking_id=booking.booking_id,
        sequence=booking.sequence + 1,
        client_id=booking.client_id,
        by=by,
        reason=reason,
        returns_session=not late or waive,
        waived=late and waive,
        had_session=booking.package_id is not None and booking.state != "holding",
        session_date=booking.session_date,
    )


def record_attendance(booking: Booking, *, attended: bool, now: datetime) -> AttendanceRecorded:
    """Once a session has started, staff say whether the client came; they may correct it (R-21)."""
    if booking.state not in ("confirmed", "attended", "no_show"):
        raise NotOpen(f"It is {booking.state}.")
    if now < booking.starts_at:
        raise NotStarted(f"It starts at {booking.starts_at:%Y-%m-%d %H:%M} UTC.")
    return AttendanceRecorded(
        booking_id=booking.booking_id,
        sequence=booking.sequence + 1,
        outcome="attended" if attended else "no_show",
        session_date=booking.session_date,
    )


def may_see(booking: Booking, client_id: UUID | None) -> bool:
    """Staff see every booking of the business, a client only their own."""
    return client_id is None or booking.client_id == client_id
