"""Booking's web door: shapes in, shapes out."""

from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, StrictBool
from sqlalchemy import select

from services.booking import actions
from services.booking.tables import Booking, State
from shared.clock import Instant
from shared.errors import Conflict
from shared.http import Body, Call, Page, Paging, Permitted, Waiting
from shared.texts import Line

router = APIRouter(tags=["booking"])

Desk = Annotated[Call, Permitted("booking.manage")]
DeskOrClient = Annotated[Call, Permitted("booking.manage", clients=True)]


class NoSession(Conflict):
    """The booking was refused: no session could be held for it."""


class NewBooking(Body):
    """A place wanted. Without `package_id`, packages picks the client's own package that fits (PB-13)."""

    client_id: UUID
    service_id: UUID
    practitioner_id: UUID
    starts_at: Instant
    package_id: UUID | None = None


class Cancellation(Body):
    """Why; and, from staff, whether a late cancellation still returns the session (R-18)."""

    reason: Line | None = None
    waive_late: StrictBool = False


class Refusal(Body):
    """Why staff turn a booking down."""

    reason: Line


class Attendance(Body):
    """Whether the client came."""

    attended: StrictBool


class BookingView(BaseModel):
    """A booking as it is now."""

    booking_id: UUID
    client_id: UUID
    package_id: UUID | None
    service_id: UUID
    practitioner_id: UUID
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    state: State
    late_cancel_hours: int
    reason: str | None

    @classmethod
    def of(cls, booking: Booking) -> Self:
        fields = {name: getattr(booking, name) for name in cls.model_fields if name != "ends_at"}
        return cls(**fields, ends_at=booking.during.upper)


@router.post("/bookings", status_code=201, responses={202: {"model": BookingView}})
async def book(
    new: NewBooking, call: DeskOrClient, waiting: Waiting, request: Request, response: Response
) -> BookingView:
    """Book a session: 201 when there is a place, 202 while packages has not answered, 409 with the reason if not."""
    caller = call.caller
    booking_id = await call.once(actions.book, None, caller=caller, **dict(new))
    booking = await call.wait(
        booking_id,
        lambda db: actions.find(db, booking_id, caller=caller),
        lambda booking: booking.state != "holding",
        waiting,
    )
    if booking.state == "refused":
        raise NoSession(f"Reason: {booking.reason}.", reason=booking.reason, booking_id=booking_id)
    response.headers["Location"] = f"{request.url.path}/{booking_id}"
    if booking.state == "holding":
        response.status_code = 202
        response.headers["Retry-After"] = "1"
    return BookingView.of(booking)


@router.get("/bookings")
async def list_bookings(
    call: DeskOrClient,
    paging: Paging,
    client_id: UUID | None = None,
    package_id: UUID | None = None,
    state: State | None = None,
) -> Page[BookingView]:
    """The bookings of the business, or of the client who asks."""
    wanted = {
        "client_id": call.caller.client_id or client_id,
        "package_id": package_id,
        "state": state,
    }
    rows = select(Booking).filter_by(**{name: value for name, value in wanted.items() if value is not None})
    async with call.transaction() as db:
        return await paging.page(db, rows, Booking.booking_id, BookingView.of)


@router.get("/bookings/{booking_id}")
async def show(booking_id: UUID, call: DeskOrClient) -> BookingView:
    """One booking."""
    async with call.transaction() as db:
        return BookingView.of(await actions.find(db, booking_id, caller=call.caller))


@router.post("/bookings/{booking_id}/cancel")
async def cancel(booking_id: UUID, call: DeskOrClient, cancellation: Cancellation = Cancellation()) -> BookingView:
    """Call a booking off; its session returns to the package, unless it is too late (PB-15)."""
    await call.once(
        actions.cancel, booking_id, caller=call.caller, reason=cancellation.reason, waive=cancellation.waive_late
    )
    return await show(booking_id, call)


@router.post("/bookings/{booking_id}/approve")
async def approve(booking_id: UUID, call: Desk) -> BookingView:
    """Make a requested booking a place."""
    await call.once(actions.approve, booking_id, caller=call.caller)
    return await show(booking_id, call)


@router.post("/bookings/{booking_id}/refuse")
async def refuse(booking_id: UUID, refusal: Refusal, call: Desk) -> BookingView:
    """Turn a requested booking down."""
    await call.once(actions.refuse, booking_id, caller=call.caller, reason=refusal.reason)
    return await show(booking_id, call)


@router.post("/bookings/{booking_id}/attendance")
async def record_attendance(booking_id: UUID, attendance: Attendance, call: Desk) -> BookingView:
    """Say whether the client came; say it again to correct it."""
    await call.once(actions.record_attendance, booking_id, caller=call.caller, attended=attendance.attended)
    return await show(booking_id, call)
