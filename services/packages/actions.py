"""Packages' verbs. Holding and giving back sessions are the hot path: a lock, a rule, one statement to the ledger."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from services.packages import rules
from services.packages.tables import Client, Hold, Kind, Outcome, Package, Staff, Template
from shared.database import Db
from shared.errors import NotFound, NotYetKnown
from shared.events.booking import HoldRequested
from shared.events.packages import HoldRefused, PackageClosed, PackageSold
from shared.ids import new_id
from shared.outbox import publish

POST = text(
    "with entry as (insert into ledger_entries"
    " (entry_id, business_id, package_id, kind, quantity, booking_id, reason, actor, cause_id, business_date)"
    " values (:entry_id, :business_id, :package_id, :kind, :quantity, :booking_id, :reason, :actor, :cause_id, :date)"
    " on conflict (booking_id, kind) do nothing returning quantity)"
    " update packages set"
    "  allocated = allocated + case when :kind = 'allocated' then entry.quantity else 0 end,"
    "  adjusted = adjusted + case when :kind = 'adjusted' then entry.quantity else 0 end,"
    "  held = held + entry.quantity * case :kind when 'held' then 1 when 'returned' then -1 when 'consumed' then -1"
    "   else 0 end,"
    "  consumed = consumed + case when :kind = 'consumed' then entry.quantity else 0 end"
    " from entry where packages.package_id = :package_id"
)


async def post(
    db: Db, package_id: UUID, kind: Kind, quantity: int, *, booking_id: UUID | None = None, reason: str | None = None
) -> None:
    """Enter a change in a package's ledger and move its balance with it, in one statement. The only writer of both."""
    context = db.context
    await db.flush()
    await db.execute(
        POST,
        {
            "entry_id": new_id(),
            "business_id": context.business_id,
            "package_id": package_id,
            "kind": kind,
            "quantity": quantity,
            "booking_id": booking_id,
            "reason": reason,
            "actor": context.actor,
            "cause_id": context.causation_id or context.correlation_id,
            "date": db.today,
        },
    )


async def _known(db: Db, kind: type[Any], name: str, id: UUID) -> Any:
    found = await db.get(kind, id)
    if found is None:
        raise NotYetKnown(name, id)
    return found


async def sell(
    db: Db,
    package_id: UUID,
    *,
    client_id: UUID,
    template_id: UUID,
    payer_id: UUID | None,
    price_minor: int | None,
    session_count: int | None,
    start_date: date | None,
    first_due_date: date | None,
    expiry_date: date | None,
    auto_pay: bool,
    sold_by: UUID | None,
) -> None:
    """Sell the newest version of a template to a client. Start and first due date default to today (CC-07)."""
    newest = select(Template).filter_by(template_id=template_id).order_by(Template.version.desc()).limit(1)
    template = await db.scalar(newest)
    if template is None:
        raise NotYetKnown("template", template_id)
    client: Client = await _known(db, Client, "client", client_id)
    payer: Client = await _known(db, Client, "payer", payer_id or client_id)
    terms = rules.sold_terms(template, price_minor=price_minor, session_count=session_count)
    start = start_date or db.today
    fact = rules.sell(
        package_id,
        template=template,
        terms=terms,
        client=client,
        payer=payer,
        seller=None if sold_by is None else await _known(db, Staff, "seller", sold_by),
        auto_pay=auto_pay,
        start_date=start,
        first_due_date=first_due_date or db.today,
    )
    db.add(_package(fact, db, rules.expiry(terms, start_date=start, chosen=expiry_date)))
    await db.flush()
    if sessions := rules.allocation_at_sale(terms):
        await post(db, package_id, "allocated", sessions, reason="sale")
    publish(db, fact)


def _package(fact: PackageSold, db: Db, expiry_date: date | None) -> Package:
    return Package(
        **fact.model_dump(exclude={"terms"}),
        terms=fact.terms,
        post_bill=fact.terms.post_bill,
        business_id=db.context.business_id,
        expiry_date=expiry_date,
        sold_date=db.today,
    )


async def find(db: Db, package_id: UUID, *, client_id: UUID | None) -> Package:
    """A package that staff (no `client_id`) or its client may see, with its balance as it is now. Raises NotFound."""
    package = await db.get(Package, package_id, populate_existing=True)
    if package is None or client_id not in (None, package.client_id):
        raise NotFound
    return package


async def lock(db: Db, package_id: UUID) -> Package:
    """The package, for this transaction alone. Raises NotFound."""
    package = await db.get(Package, package_id, with_for_update=True, populate_existing=True)
    if package is None:
        raise NotFound
    return package


async def adjust(db: Db, package_id: UUID, *, sessions: int, reason: str) -> None:
    """Staff add sessions, or take some away, with a reason."""
    package = await lock(db, package_id)
    await post(db, package_id, "adjusted", rules.adjust(package, sessions=sessions), reason=reason)


async def change_expiry(db: Db, package_id: UUID, *, expiry_date: date | None) -> None:
    """Delete the expiry date, or move it (PB-19)."""
    package = await lock(db, package_id)
    package.apply(rules.move_expiry(package, expiry_date=expiry_date))


async def close(db: Db, package_id: UUID) -> None:
    """End a package by counting what was used; what is billed follows from the fact."""
    package = await lock(db, package_id)
    rows = select(Hold).where(Hold.package_id == package_id).order_by(Hold.starts_at, Hold.booking_id)
    holds = (await db.scalars(rows.with_for_update())).all()
    fact = rules.close(package, holds, closure_id=new_id(), now=db.now)
    await _count(db, package, fact)
    package.apply(fact)


async def _count(db: Db, package: Package, fact: PackageClosed) -> None:
    """Mark the sessions as counted by this closure, and tell billing."""
    counted = [session.booking_id for session in fact.sessions]
    await db.execute(update(Hold).where(Hold.booking_id.in_(counted)).values(closure_id=fact.closure_id))
    if package.post_bill:
        publish(db, fact)


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
    package = await _asked_for(db, ask)
    mine = update(Hold).where(Hold.booking_id == ask.booking_id)
    try:
        fact = rules.hold(package, ask, today=db.today)
    except rules.Refused as refused:
        await db.execute(mine.values(state="refused"))
        publish(db, HoldRefused(booking_id=ask.booking_id, reason=refused.reason))
        return
    await db.execute(mine.values(state="held", package_id=fact.package_id))
    await post(db, fact.package_id, "held", 1, booking_id=ask.booking_id)
    publish(db, fact)


async def _asked_for(db: Db, ask: HoldRequested) -> Package | None:
    """The package that the booking names, or else the client's own that fits best; locked."""
    if ask.package_id is not None:
        return await db.get(Package, ask.package_id, with_for_update=True, populate_existing=True)
    theirs = select(Package).where(Package.client_id == ask.client_id, Package.state == "active")
    locked = theirs.order_by(Package.package_id).with_for_update().execution_options(populate_existing=True)
    return rules.choose((await db.scalars(locked)).all(), ask, today=db.today)


async def release(db: Db, booking_id: UUID, sequence: int) -> None:
    """A booking came to nothing: its session returns to the package."""
    if news := await _newest(db, booking_id, sequence):
        hold, package = news
        if hold.state == "held":
            await post(db, package.package_id, "returned", 1, booking_id=booking_id)
            hold.state = "returned"


async def consume(db: Db, booking_id: UUID, sequence: int, outcome: Outcome) -> None:
    """A booked session was used: attended, missed, or cancelled too late. A correction changes only the outcome."""
    news = await _newest(db, booking_id, sequence)
    if news is None or news[0].state not in ("held", "consumed"):
        return
    hold, package = news
    if hold.state == "held":
        await post(db, package.package_id, "consumed", 1, booking_id=booking_id)
    hold.state, hold.outcome = "consumed", outcome
    if package.state == "closed" and hold.closure_id is None:
        counted = select(func.count()).where(Hold.package_id == package.package_id, Hold.closure_id.is_not(None))
        before = await db.scalar(counted) or 0
        await _count(db, package, rules.close_again(package, hold, closure_id=new_id(), counted_before=before))


async def _newest(db: Db, booking_id: UUID, sequence: int) -> tuple[Hold, Package] | None:
    """The booking's hold and its package, both locked, if this news about the booking is the newest.

    News that overtook the request leaves a row, which the request will find. The package is locked first, as by
    every other act on it, and the hold read again under the lock.
    """
    tombstone = {"booking_id": booking_id, "business_id": db.context.business_id, "sequence": sequence}
    overtook = insert(Hold).values(**tombstone, state="returned").on_conflict_do_nothing().returning(Hold.booking_id)
    if (await db.execute(overtook)).first() is not None:
        return None
    package_id = await db.scalar(select(Hold.package_id).where(Hold.booking_id == booking_id))
    if package_id is None:
        return None
    package = await lock(db, package_id)
    hold = await db.get(Hold, booking_id, with_for_update=True, populate_existing=True)
    if hold is None or hold.sequence >= sequence:
        return None
    hold.sequence = sequence
    return hold, package
