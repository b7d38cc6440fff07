"""What booking does when it hears something."""

from services.booking import actions
from services.booking.tables import BookableService, Client, Staff
from shared.copies import keep
from shared.database import Db
from shared.events.catalog import ClientChanged, ServiceChanged, StaffChanged
from shared.events.packages import HoldRefused, HoldsMoved, SessionHeld
from shared.handlers import Handlers

handles = Handlers()


@handles(ClientChanged)
async def keep_client(db: Db, event: ClientChanged) -> None:
    await keep(db, Client, event)
    if event.erased:
        await actions.forget_reasons(db, event.client_id)


@handles(StaffChanged)
async def keep_staff(db: Db, event: StaffChanged) -> None:
    await keep(db, Staff, event)


@handles(ServiceChanged)
async def keep_service(db: Db, event: ServiceChanged) -> None:
    await keep(db, BookableService, event)


@handles(SessionHeld)
async def confirm_booking(db: Db, event: SessionHeld) -> None:
    await actions.take_session(db, event)


@handles(HoldRefused)
async def refuse_booking(db: Db, event: HoldRefused) -> None:
    await actions.give_up(db, event.booking_id, reason=event.reason)


@handles(HoldsMoved)
async def follow_package(db: Db, event: HoldsMoved) -> None:
    await actions.follow(db, event)
