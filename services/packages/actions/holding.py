"""Holding and giving back sessions. The hot path: a lock, a rule, one statement to the ledger."""

from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from services.packages.actions import lock, post
from services.packages.actions.closing import count_late
from services.packages.actions.periods import give_back, supply
from services.packages.rules import holding, lots
from services.packages.tables import Hold, Outcome, Package
from shared.database import Db
from shared.events.booking import HoldRequested
from shared.events.packages import HoldRefused
from shared.outbox import publish


async def hold_session(db: Db, ask: HoldRequested) -> None:
    """Set a session aside for a booking, or say why not. If a cancellation came first, its row is there: do nothing."""
    row = {
        "booking_id": ask.booking_id,
        "business_id": db.context.business_id,
        "sequence": ask.sequence,
        "state": "asked",
        "service_id": ask.service_id,
        "starts_at": ask.starts_at,
        "session_date": ask.session_date,
    }
    first = insert(Hold).values(row).on_conflict_do_nothing().returning(Hold.booking_id)
    if (await db.execute(first)).first() is None:
        return
    mine = update(Hold).where(Hold.booking_id == ask.booking_id)
    try:
        package, left = await _asked_for(db, ask)
        fact = holding.hold(package, left, ask)
    except holding.Refused as refused:
        await db.execute(mine.values(state="refused"))
        publish(db, HoldRefused(booking_id=ask.booking_id, reason=refused.reason))
        return
    await db.execute(mine.values(state="ahead" if left.is_ahead else "held", package_id=package.package_id))
    if not left.is_ahead:
        period_index = lots.entered_period(package, ask.session_date)
        await post(db, package.package_id, "held", 1, period_index=period_index, booking_id=ask.booking_id)
    publish(db, fact)


async def _asked_for(db: Db, ask: HoldRequested) -> holding.Candidate:
    """The package that the booking names, or else the client's own that fits best; locked. Raises Refused."""
    if ask.package_id is not None:
        named = await db.get(Package, ask.package_id, with_for_update=True, populate_existing=True)
        package = holding.allows(named, ask, today=db.today)
        return package, lots.left(package, ask.session_date, await supply(db, package, ask.session_date))
    theirs = select(Package).where(Package.client_id == ask.client_id, Package.state == "active")
    locked = theirs.order_by(Package.package_id).with_for_update().execution_options(populate_existing=True)
    candidates = []
    for package in (await db.scalars(locked)).all():
        try:
            holding.allows(package, ask, today=db.today)
        except holding.Refused:
            continue
        left = lots.left(package, ask.session_date, await supply(db, package, ask.session_date))
        candidates.append((package, left))
    if chosen := holding.choose(candidates, ask, today=db.today):
        return chosen
    raise holding.Refused("no_package")


async def release(db: Db, booking_id: UUID, sequence: int) -> None:
    """A booking came to nothing: its session returns to the package."""
    if news := await _newest(db, booking_id, sequence):
        hold, package = news
        if hold.state == "held":
            await give_back(db, package, hold)
        if hold.state in ("held", "ahead"):
            hold.state, hold.outcome = "returned", None


async def consume(db: Db, booking_id: UUID, sequence: int, outcome: Outcome) -> None:
    """A booked session was used: attended, missed, or cancelled too late. A correction changes only the outcome.

    One held ahead keeps the outcome until its lot arrives.
    """
    news = await _newest(db, booking_id, sequence)
    if news is None or news[0].state not in ("ahead", "held", "consumed"):
        return
    hold, package = news
    if hold.state == "held":
        period_index = lots.entered_period(package, hold.day)
        await post(db, package.package_id, "consumed", 1, period_index=period_index, booking_id=booking_id)
        hold.state = "consumed"
    hold.outcome = outcome
    await count_late(db, package, hold)


async def _newest(db: Db, booking_id: UUID, sequence: int) -> tuple[Hold, Package] | None:
    """The booking's hold and its package, both locked, if this news about the booking is the newest.

    News that overtook the request leaves a row, which the request will find. The package is locked first, as by
    every other act on it, and the hold read again under the lock: it may have moved to another package meanwhile.
    """
    tombstone = {"booking_id": booking_id, "business_id": db.context.business_id, "sequence": sequence}
    overtook = insert(Hold).values(**tombstone, state="returned").on_conflict_do_nothing().returning(Hold.booking_id)
    if (await db.execute(overtook)).first() is not None:
        return None
    package_id = await db.scalar(select(Hold.package_id).where(Hold.booking_id == booking_id))
    while package_id is not None:
        package = await lock(db, package_id)
        hold = await db.get(Hold, booking_id, with_for_update=True, populate_existing=True)
        if hold is None or hold.sequence >= sequence:
            return None
        if hold.package_id == package_id:
            hold.sequence = sequence
            return hold, package
        package_id = hold.package_id
    return None
