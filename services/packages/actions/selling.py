"""Selling packages, and changing what was sold."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select

from services.packages.actions import lock, post
from services.packages.actions.periods import open_first_lot, supply
from services.packages.rules import lots, selling
from services.packages.tables import Client, Package, Staff, Template
from shared.database import Db
from shared.errors import NotYetKnown
from shared.events.packages import PackageSold
from shared.outbox import publish


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
    auto_renew: bool,
    allow_gap: bool,
    sold_by: UUID | None,
) -> None:
    """Sell the newest version of a template to a client. Start and first due date default to today (CC-07)."""
    newest = select(Template).filter_by(template_id=template_id).order_by(Template.version.desc()).limit(1)
    template = await db.scalar(newest)
    if template is None:
        raise NotYetKnown("template", template_id)
    client: Client = await _known(db, Client, "client", client_id)
    payer: Client = await _known(db, Client, "payer", payer_id or client_id)
    terms = selling.sold_terms(template, price_minor=price_minor, session_count=session_count)
    start, first_due = selling.dates(
        terms, start_date=start_date, first_due_date=first_due_date, sold_date=db.today, allow_gap=allow_gap
    )
    fact = selling.sell(
        package_id,
        template=template,
        terms=terms,
        client=client,
        payer=payer,
        seller=None if sold_by is None else await _known(db, Staff, "seller", sold_by),
        auto_pay=auto_pay,
        start_date=start,
        first_due_date=first_due,
    )
    await make(db, fact, auto_renew=auto_renew, expiry_date=expiry_date)


async def make(db: Db, fact: PackageSold, *, auto_renew: bool, expiry_date: date | None = None) -> Package:
    """The package that was sold, with the sessions that the sale brings, told to all."""
    last = selling.expiry(
        fact.terms, start_date=fact.start_date, first_due_date=fact.first_due_date, chosen=expiry_date
    )
    package = Package(
        **fact.model_dump(exclude={"terms"}),
        terms=fact.terms,
        post_bill=fact.terms.post_bill,
        business_id=db.context.business_id,
        expiry_date=last,
        sold_date=db.today,
        auto_renew=auto_renew,
        periods_opened=0 if fact.terms.post_bill else 1,
    )
    db.add(package)
    await db.flush()
    if not package.post_bill:
        await open_first_lot(db, package)
    publish(db, fact)
    return package


async def adjust(db: Db, package_id: UUID, *, sessions: int, reason: str) -> None:
    """Staff add sessions, or take some away, with a reason."""
    package = await lock(db, package_id)
    fact = lots.adjust(package, await supply(db, package, db.today), sessions=sessions, today=db.today)
    await post(db, package_id, "adjusted", fact.sessions, period_index=fact.period_index, reason=reason)


async def change_renewal(db: Db, package_id: UUID, *, auto_renew: bool) -> None:
    """Let a package renew when it is closed, or not."""
    package = await lock(db, package_id)
    package.apply(selling.change_renewal(package, auto_renew=auto_renew))


async def switch_auto_pay(db: Db, package_id: UUID, *, auto_pay: bool) -> None:
    """Let what falls due of a package be collected by debit, or not; a renewal goes on alike."""
    package = await lock(db, package_id)
    if switched := selling.switch_auto_pay(package, auto_pay=auto_pay):
        package.apply(switched)
        publish(db, switched)


async def change_expiry(db: Db, package_id: UUID, *, expiry_date: date | None) -> None:
    """Delete the expiry date, or move it (PB-19)."""
    package = await lock(db, package_id)
    package.apply(selling.move_expiry(package, expiry_date=expiry_date))
