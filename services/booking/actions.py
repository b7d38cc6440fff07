"""Booking's verbs: load rows with a lock, ask the rule, apply and publish the fact."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import IntegrityError

from services.booking import rules
from services.booking.tables import BookableService, Booking, Client, Staff
from shared.auth import Caller
from shared.database import Db, violates
from shared.erasing import scrub
from shared.errors import Later, NotFound, NotYetKnown
from shared.events import ERASED
from shared.events.booking import (
    AttendanceRecorded,
    BookingCancelled,
    BookingConfirmed,
    BookingRefused,
)
from shared.events.packages import HoldsMoved, SessionHeld
from shared.outbox import publish
from shared.work import done, schedule

DECIDE_WITHIN = timedelta(seconds=60)
"""Machine time that packages has to answer; then the booking is refused, and may be tried again."""

FORGET_REASONS = text(
    "update bookings set reason = case state when 'refused' then :erased end where client_id = :client_id"
    " and reason is not null and not (state = 'refused' and exists (select from event_log"
    "  where type = 'booking.refused.v1' and subject = bookings.booking_id::text"
    "  and envelope like '%\"causationid\":%'))"
).bindparams(erased=ERASED)

Fact = BookingConfirmed | BookingRefused | BookingCancelled | AttendanceRecorded


async def book(
    db: Db,
    booking_id: UUID,
    *,
    caller: Caller,
    client_id: UUID,
    package_id: UUID | None,
    service_id: UUID,
    practitioner_id: UUID,
    starts_at: datetime,
) -> None:
    """Take the time in the diary and ask packages for a session. Raises NotYetKnown, or what the rules refuse."""
    client = await db.get(Client, client_id)
    practitioner = await db.get(Staff, practitioner_id)
    service = await db.get(BookableService, service_id)
    if client is None:
        raise NotYetKnown("client", client_id)
    if practitioner is None:
        raise NotYetKnown("practitioner", practitioner_id)
    if service is None:
        raise NotYetKnown("service", service_id)
    ends_at = starts_at + rules.bookable(client, practitioner, service)
    booking = Booking(
        booking_id=booking_id,
        business_id=caller.business_id,
        client_id=client_id,
        package_id=package_id,
        service_id=service_id,
        practitioner_id=practitioner_id,
        during=Range(starts_at, ends_at),
        session_date=db.business.clock.date_of(starts_at),
        state="holding",
        sequence=1,
        decide_by=db.machine_now + DECIDE_WITHIN,
    )
    fact = rules.request(booking, by_client=caller.client_id, now=db.now)
    db.add(booking)
    try:
        await db.flush()
    except IntegrityError as error:
        if violates(error, "one_client_at_a_time"):
            raise rules.PractitionerBusy("Choose another time or practitioner.") from None
        raise
    publish(db, fact)
    await schedule(db, "decide", booking_id, after=DECIDE_WITHIN)


async def find(db: Db, booking_id: UUID, *, caller: Caller) -> Booking:
    """A booking that the caller may see. Raises NotFound."""
    booking = await db.get(Booking, booking_id)
    if booking is None or not rules.may_see(booking, caller.client_id):
        raise NotFound
    return booking


async def _change(db: Db, booking_id: UUID, caller: Caller, rule: Callable[[Booking], Fact]) -> None:
    """Lock a booking, ask a rule, apply and publish its fact."""
    booking = await db.get(Booking, booking_id, with_for_update=True)
    if booking is None or not rules.may_see(booking, caller.client_id):
        raise NotFound
    _become(db, booking, rule(booking))


def _become(db: Db, booking: Booking, fact: Fact) -> None:
    booking.apply(fact)
    publish(db, fact)


async def cancel(db: Db, booking_id: UUID, *, caller: Caller, reason: str | None, waive: bool) -> None:
    """A client or staff call a booking off; packages gets the session back, or counts it as used if it is too late."""
    await _change(
        db,
        booking_id,
        caller,
        lambda booking: rules.cancel(
            booking, by=caller.actor, by_staff=not caller.is_client, now=db.now, reason=reason, waive=waive
        ),
    )


async def approve(db: Db, booking_id: UUID, *, caller: Caller) -> None:
    """Staff make a requested booking a place."""
    await _change(db, booking_id, caller, rules.confirm)


async def refuse(db: Db, booking_id: UUID, *, caller: Caller, reason: str) -> None:
    """Staff turn a requested booking down."""
    await _change(db, booking_id, caller, lambda booking: rules.refuse(booking, reason=reason))


async def record_attendance(db: Db, booking_id: UUID, *, caller: Caller, attended: bool) -> None:
    """Staff say whether the client came."""
    now = db.now
    await _change(db, booking_id, caller, lambda booking: rules.record_attendance(booking, attended=attended, now=now))


async def forget_reasons(db: Db, client_id: UUID) -> None:
    """What people wrote of an erased client's bookings is gone; what packages said why, names nobody and stays."""
    await scrub(db, client_id)
    await db.execute(FORGET_REASONS, {"client_id": client_id})


async def take_session(db: Db, fact: SessionHeld) -> None:
    """Packages holds a session: the booking is a place, or waits for staff. One that has ended meanwhile stays so."""
    booking = await db.get(Booking, fact.booking_id, with_for_update=True)
    if booking is None or booking.state != "holding":
        return
    booking.apply(fact)
    if not fact.needs_approval:
        _become(db, booking, rules.confirm(booking))
    await done(db, "decide", booking.booking_id)


async def give_up(db: Db, booking_id: UUID, *, reason: str) -> None:
    """No session was to be had, or nobody said in time: the booking is refused, if it still waits for one."""
    booking = await db.get(Booking, booking_id, with_for_update=True)
    if booking is None or booking.state != "holding":
        return
    _become(db, booking, rules.refuse(booking, reason=reason))
    await done(db, "decide", booking_id)


async def follow(db: Db, fact: HoldsMoved) -> None:
    """Sessions of these bookings are held by the successor of their package now, whatever became of them (R-29)."""
    rows = select(Booking).where(Booking.booking_id.in_(fact.booking_ids)).order_by(Booking.booking_id)
    bookings = (await db.scalars(rows.with_for_update().execution_options(populate_existing=True))).all()
    known = (fact.package_id, fact.successor_id)
    if any(booking.state == "holding" or booking.package_id not in known for booking in bookings):
        raise Later("where their sessions were held before has not been heard yet")
    for booking in bookings:
        if booking.package_id == fact.package_id:
            booking.apply(fact)
