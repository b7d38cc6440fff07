"""Lots: opened at the sale and when a period falls due, ended when a day has been billed."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.dialects.postgresql import insert

from services.packages.actions import cause, post, post_all
from services.packages.rules import lots
from services.packages.tables import BilledDay, Hold, Lot, Package
from shared.database import Context, Db
from shared.errors import Later, Reject
from shared.events.billing import DayBilled, PeriodOpened
from shared.handlers import Heard
from shared.ids import new_id

TAKES = ("held", "consumed", "ahead")

LOCK_ENDING = text(
    "select package_id from packages where package_id in"
    " (select package_id from lots where not ended and valid_to <= :date) order by package_id for update"
)
ENDING = (
    "select l.package_id, l.period_index, l.size, l.adjusted, l.forfeited, (select count(*) from holds h"
    "  where h.package_id = l.package_id and h.session_date >= l.valid_from and h.session_date < l.valid_to"
    "  and h.state in ('held', 'consumed')) taken"
    " from lots l where not l.ended and l.valid_to <= :date"
)
ENDING_OF_ALL = text(ENDING)
ENDING_OF_ONE = text(ENDING + " and l.package_id = :package_id and l.period_index = :period_index")
END = text(
    "with ending as (select * from unnest(cast(:entry_ids as uuid[]), cast(:package_ids as uuid[]),"
    "  cast(:periods as integer[]), cast(:lost as integer[])) as t (entry_id, package_id, period_index, lost)),"
    " entry as (insert into ledger_entries (entry_id, business_id, package_id, kind, quantity, period_index, reason,"
    "  actor, cause_id, business_date)"
    "  select entry_id, :business_id, package_id, 'forfeited', lost, period_index, 'period ended', :actor, :cause_id,"
    "  :date from ending where lost > 0),"
    " lot as (update lots set forfeited = lots.forfeited + ending.lost, ended = true from ending"
    "  where lots.package_id = ending.package_id and lots.period_index = ending.period_index)"
    " update packages set forfeited = packages.forfeited + total.lost"
    "  from (select package_id, sum(lost) lost from ending where lost > 0 group by package_id) total"
    "  where packages.package_id = total.package_id"
)


async def supply(db: Db, package: Package, day: date) -> lots.Supply:
    """What the rule must know to say what is left of a package for a date; bounded by a period, or by what is ahead."""
    if not lots.is_recurring(package):
        return lots.Supply()
    if not lots.resets(package):
        ahead = select(Hold.session_date).where(Hold.package_id == package.package_id, Hold.state == "ahead")
        return lots.Supply(ahead=tuple(day for day in await db.scalars(ahead) if day is not None))
    period_index = lots.period_on(package, day)
    if period_index is None:
        return lots.Supply()
    inside = _inside(package, lots.window(package, period_index))
    taken = await db.scalar(select(func.count()).select_from(Hold).where(*inside, Hold.state.in_(TAKES)))
    return lots.Supply(await _lot(db, package, period_index), taken or 0)


def _inside(package: Package, window: lots.Window) -> list[ColumnElement[bool]]:
    """Holds of the package whose session lies in a period."""
    inside = [Hold.package_id == package.package_id, Hold.session_date >= window.first_date]
    return inside if window.next_date is None else [*inside, Hold.session_date < window.next_date]


async def _lot(db: Db, package: Package, period_index: int) -> Lot | None:
    """A lot as it is now: its counts change by statements, not by its row here."""
    return await db.get(Lot, (package.package_id, period_index), populate_existing=True)


def _arrival(lot: Lot, reason: str) -> dict[str, object]:
    """The sessions of the sale, or of a period, as an entry in the ledger."""
    about = {"package_id": lot.package_id, "period_index": lot.period_index, "booking_id": None}
    return about | {"kind": "allocated", "quantity": lot.size, "reason": reason}


async def _make_firm(db: Db, package: Package, window: lots.Window) -> None:
    """Sessions held ahead, and perhaps used by now, are of the lot that came (R-13)."""
    rows = select(Hold).where(*_inside(package, window), Hold.state == "ahead").order_by(Hold.booking_id)
    for hold in (await db.scalars(rows.with_for_update())).all():
        await take(db, package, hold)


async def take(db: Db, package: Package, hold: Hold) -> None:
    """A session of the package is held for a booking, and used if that is known already."""
    period_index = lots.entered_period(package, hold.day)
    await post(db, package.package_id, "held", 1, period_index=period_index, booking_id=hold.booking_id)
    if hold.outcome is not None:
        await post(db, package.package_id, "consumed", 1, period_index=period_index, booking_id=hold.booking_id)
    hold.state = "held" if hold.outcome is None else "consumed"


async def give_back(db: Db, package: Package, hold: Hold) -> None:
    """A held session returns to its lot; if the lot has ended, it is forfeited at once (R-14)."""
    period_index = lots.entered_period(package, hold.day)
    await post(db, package.package_id, "returned", 1, period_index=period_index, booking_id=hold.booking_id)
    if period_index is None:
        return
    lot = await _lot(db, package, period_index)
    if lot is not None and lot.ended:
        await post(db, package.package_id, "forfeited", 1, period_index=period_index, reason="period ended")


async def open_periods(db: Db, heard: Sequence[Heard[PeriodOpened]]) -> None:
    """Periods of recurring packages have fallen due: their sessions arrive, once and in order (OE-16, R-09).

    If the last day of one has been billed already, what is not used is lost at once.
    """
    billed = await last_billed(db)
    theirs = select(Package).where(Package.package_id.in_({each.event.package_id for each in heard}))
    locked = theirs.order_by(Package.package_id).with_for_update().execution_options(populate_existing=True)
    packages = {package.package_id: package for package in await db.scalars(locked)}
    opened: list[tuple[Package, Lot, Context]] = []
    for event, context in ((each.event, each.context) for each in heard):
        package = packages.get(event.package_id)
        if package is None:
            raise Reject(f"package {event.package_id} was never sold here")
        if not lots.opens(package, period_index=event.period_index, due_date=event.due_date):
            continue
        if event.period_index > package.periods_opened + 1:
            raise Later(f"period {package.periods_opened + 1} comes first")
        package.apply(event)
        opened.append((package, lots.lot_of(package, event.period_index), context))
    db.add_all(lot for _, lot, _ in opened)
    await post_all(db, [_arrival(lot, f"period {lot.period_index}") | cause(context) for _, lot, context in opened])
    ahead = select(Hold.package_id).where(Hold.package_id.in_(packages), Hold.state == "ahead")
    awaited = set(await db.scalars(ahead))
    for package, lot, context in opened:
        if package.package_id in awaited or _is_over(lot, billed):
            await db.enter(context)
            await _make_firm(db, package, lots.window(package, lot.period_index))
            await _end_if_over(db, lot, billed)


async def open_first_lot(db: Db, package: Package) -> None:
    """The sessions of the sale arrive; if the sale is dated back so far that their period is over, it has ended."""
    lot = lots.lot_of(package, 1)
    db.add(lot)
    await post_all(db, [_arrival(lot, "sale")])
    if _is_over(lot, db.today):
        await _end_if_over(db, lot, await last_billed(db))


def _is_over(lot: Lot, day: date) -> bool:
    return lot.valid_to is not None and lot.valid_to <= day


async def _end_if_over(db: Db, lot: Lot, billed: date) -> None:
    if _is_over(lot, billed):
        of_one = {"date": billed, "package_id": lot.package_id, "period_index": lot.period_index}
        await _end(db, (await db.execute(ENDING_OF_ONE, of_one)).all())


async def last_billed(db: Db) -> date:
    """The newest billed date of the business, kept from moving on until this transaction ends.

    A period's lot is opened under it, and it is taken before any package, as the end of a day does: then the lot
    either is there when its last day is billed, or ends as it comes.
    """
    none_yet = insert(BilledDay).values(business_id=db.context.business_id, business_date=date.min)
    await db.execute(none_yet.on_conflict_do_nothing())
    row = select(BilledDay.business_date).where(BilledDay.business_id == db.context.business_id)
    return (await db.execute(row.with_for_update())).scalar_one()


async def end_day(db: Db, event: DayBilled) -> None:
    """All that falls due on a date is billed: lots that were valid until then end, and lose what is left (OE-09)."""
    day = insert(BilledDay).values(business_id=db.context.business_id, business_date=event.business_date)
    newest = func.greatest(BilledDay.business_date, day.excluded.business_date)
    await db.execute(day.on_conflict_do_update(index_elements=["business_id"], set_={"business_date": newest}))
    until = {"date": event.business_date}
    await db.execute(LOCK_ENDING, until)
    await _end(db, (await db.execute(ENDING_OF_ALL, until)).all())


async def _end(db: Db, ending: Sequence[Any]) -> None:
    """End these lots in one statement: ledger, lots and balances."""
    if not ending:
        return
    rows = [(row.package_id, row.period_index, lots.lost(row, row.taken)) for row in ending]
    columns = {
        "entry_ids": [new_id() for _ in rows],
        "package_ids": [package_id for package_id, _, _ in rows],
        "periods": [period_index for _, period_index, _ in rows],
        "lost": [lost for _, _, lost in rows],
    }
    await db.execute(END, columns | cause(db.context))
