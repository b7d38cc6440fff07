"""Closing packages, counting what was used, and renewing them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, update

from services.packages.actions import lock
from services.packages.actions.periods import give_back, supply, take
from services.packages.actions.selling import make
from services.packages.rules import closing, lots, selling
from services.packages.tables import Client, Hold, Package
from shared.database import Db
from shared.errors import Reject
from shared.events.billing import ClosureBilled
from shared.events.packages import HoldsMoved, PackageClosed
from shared.ids import new_id
from shared.outbox import publish


async def close(db: Db, package_id: UUID) -> None:
    """End a package by counting what was used; what is billed, and whether it is renewed, follows from the fact."""
    package = await lock(db, package_id)
    rows = select(Hold).where(Hold.package_id == package_id).order_by(Hold.starts_at, Hold.booking_id)
    holds = (await db.scalars(rows.with_for_update())).all()
    fact = closing.close(package, holds, closure_id=new_id(), now=db.now, today=db.today)
    await _count(db, fact.closure)
    package.apply(fact)


async def _count(db: Db, closure: PackageClosed) -> None:
    """Mark the sessions as counted by this closure, and tell billing."""
    counted = [session.booking_id for session in closure.sessions]
    await db.execute(update(Hold).where(Hold.booking_id.in_(counted)).values(closure_id=closure.closure_id))
    publish(db, closure)


async def count_late(db: Db, package: Package, hold: Hold) -> None:
    """Use of a post-bill package that becomes known after its close makes a closure of its own (R-31)."""
    if package.state != "closed" or not package.post_bill or hold.closure_id is not None:
        return
    counted = select(func.count()).where(Hold.package_id == package.package_id, Hold.closure_id.is_not(None))
    before = await db.scalar(counted) or 0
    await _count(db, closing.close_again(package, hold, closure_id=new_id(), counted_before=before))


async def renew(db: Db, event: ClosureBilled) -> None:
    """A close is billed: a package that renews gets its one successor, and sessions booked for later move there."""
    package = await db.get(Package, event.package_id, with_for_update=True, populate_existing=True)
    if package is None:
        raise Reject(f"package {event.package_id} was never sold here")
    again = select(Package.package_id).where(Package.predecessor_id == package.package_id)
    people = (await db.scalars(select(Client).where(Client.client_id.in_((package.client_id, package.payer_id))))).all()
    if not selling.is_to_renew(package, event.closure_id, people) or await db.scalar(again):
        return
    successor = await make(db, selling.renew(package, new_id(), on=db.today), auto_renew=True)
    await db.refresh(successor)
    later = select(Hold).where(
        Hold.package_id == package.package_id,
        Hold.state.in_(("held", "ahead")),
        Hold.starts_at > package.closed_at,
    )
    in_order = later.order_by(Hold.session_date, Hold.starts_at, Hold.booking_id).with_for_update()
    moved = await _move(db, package, successor, (await db.scalars(in_order)).all())
    if moved:
        publish(db, HoldsMoved(package_id=package.package_id, successor_id=successor.package_id, booking_ids=moved))


async def _move(db: Db, old: Package, new: Package, holds: Sequence[Hold]) -> list[UUID]:
    """Move sessions to another package, in the order of their dates, while it has some left for each (R-29)."""
    moved = []
    for hold in holds:
        left = lots.left(new, hold.day, await supply(db, new, hold.day))
        if left.is_short or (new.expiry_date is not None and hold.day > new.expiry_date):
            continue
        if hold.state == "held":
            await give_back(db, old, hold)
        hold.package_id = new.package_id
        if left.is_ahead:
            hold.state = "ahead"
        else:
            await take(db, new, hold)
            await db.flush()
            await db.refresh(new)
        moved.append(hold.booking_id)
    return moved
