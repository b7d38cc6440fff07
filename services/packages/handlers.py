"""What packages does when it hears something."""

from collections.abc import Sequence

from sqlalchemy.dialects.postgresql import insert

from services.packages.actions import closing, holding, periods
from services.packages.tables import Client, Staff, Template
from shared.copies import keep
from shared.database import Db
from shared.erasing import scrub
from shared.events.billing import ClosureBilled, DayBilled, PeriodOpened
from shared.events.booking import AttendanceRecorded, BookingCancelled, BookingRefused, HoldRequested
from shared.events.catalog import ClientChanged, StaffChanged, TemplatePublished
from shared.handlers import Handlers, Heard

handles = Handlers()


@handles(ClientChanged)
async def keep_client(db: Db, event: ClientChanged) -> None:
    await keep(db, Client, event)
    if event.erased:
        await scrub(db, event.client_id)


@handles(StaffChanged)
async def keep_staff(db: Db, event: StaffChanged) -> None:
    await keep(db, Staff, event)


@handles(TemplatePublished)
async def keep_template(db: Db, event: TemplatePublished) -> None:
    """A version never changes, so the first to arrive is the one."""
    row = {**dict(event), "business_id": db.context.business_id}
    await db.execute(insert(Template).values(row).on_conflict_do_nothing())


@handles(HoldRequested)
async def hold_session(db: Db, event: HoldRequested) -> None:
    await holding.hold_session(db, event)


@handles(BookingRefused)
async def release_session(db: Db, event: BookingRefused) -> None:
    await holding.release(db, event.booking_id, event.sequence)


@handles(BookingCancelled)
async def return_session(db: Db, event: BookingCancelled) -> None:
    """A cancelled booking returns its session, unless it was cancelled too late (PB-15, R-18)."""
    if event.returns_session:
        await holding.release(db, event.booking_id, event.sequence)
    else:
        await holding.consume(db, event.booking_id, event.sequence, "late_cancelled")


@handles(AttendanceRecorded)
async def consume_session(db: Db, event: AttendanceRecorded) -> None:
    await holding.consume(db, event.booking_id, event.sequence, event.outcome)


@handles.lists(PeriodOpened)
async def open_periods(db: Db, heard: Sequence[Heard[PeriodOpened]]) -> None:
    await periods.open_periods(db, heard)


@handles(DayBilled)
async def end_lots(db: Db, event: DayBilled) -> None:
    await periods.end_day(db, event)


@handles(ClosureBilled)
async def renew_package(db: Db, event: ClosureBilled) -> None:
    await closing.renew(db, event)
