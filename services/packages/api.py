"""Packages' web door: shapes in, shapes out."""

from datetime import date, datetime, timedelta
from functools import partial
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import undefer

from services.packages.actions import closing, find, selling
from services.packages.rules.lots import explain
from services.packages.tables import Kind, LedgerEntry, Lot, Package, State
from shared.clock import Day
from shared.http import Body, Call, Page, Paging, Permitted
from shared.ids import new_id
from shared.money import Minor, Whole
from shared.texts import Line

router = APIRouter(tags=["packages"])

Seller = Annotated[Call, Permitted("package.sell")]
Closer = Annotated[Call, Permitted("package.close")]
Reader = Annotated[Call, Permitted("booking.manage", clients=True)]

Count = int | Literal["POST"]
"""How many sessions; a post-bill package shows `POST` (EZ-18)."""


class NewPackage(Body):
    """A package to sell. What is left out comes from the template, or is today (PB-05, PB-06, CC-07)."""

    client_id: UUID
    template_id: UUID
    payer_id: UUID | None = None
    price_minor: Minor | None = None
    session_count: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    start_date: Day | None = None
    first_due_date: Day | None = None
    expiry_date: Day | None = None
    auto_pay: bool = False
    auto_renew: bool = False
    allow_gap: bool = Field(False, description="let a recurring package fall due later than a period after the sale")
    sold_by: UUID | None = None


class Adjustment(Body):
    """Sessions to add, or with a minus to take away, and why."""

    sessions: Annotated[Whole, Field(ge=-10_000, le=10_000)]
    reason: Line


class Expiry(Body):
    """The last usable date, or null for none."""

    expiry_date: Day | None


class Renewal(Body):
    """Whether the package is to be followed by another when it is closed."""

    auto_renew: bool


class AutoPay(Body):
    """Whether what falls due of the package is collected by debit."""

    auto_pay: bool


class PackageView(BaseModel):
    """A package as it is now."""

    package_id: UUID
    name: str
    client_id: UUID
    payer_id: UUID
    template_id: UUID
    template_version: int
    billing_mode: Literal["pre_bill", "post_bill"]
    state: State
    expired: bool
    start_date: date
    first_due_date: date
    expiry_date: date | None
    price_minor: int | None
    currency: str
    auto_pay: bool
    auto_renew: bool
    predecessor_id: UUID | None
    successor_id: UUID | None
    sold_by: UUID | None
    purchased: Count
    remaining: Count
    available: Count
    held: int
    consumed: int
    forfeited: int
    ahead: int
    periods_opened: int

    @classmethod
    def of(cls, package: Package, today: date) -> Self:
        """`remaining` is not used or lost; `available` is not held either; `ahead` is held of periods to come."""
        counts: dict[str, Count] = {
            "purchased": package.allocated + package.adjusted,
            "remaining": package.available + package.held,
            "available": package.available,
        }
        own = {name: getattr(package, name) for name in cls.model_fields if hasattr(package, name)}
        terms = {name: getattr(package.terms, name) for name in ("name", "billing_mode", "price_minor", "currency")}
        expired = package.expiry_date is not None and package.expiry_date < today
        shown = dict.fromkeys(counts, "POST") if package.post_bill else counts
        return cls.model_validate({**own, **terms, **shown, "expired": expired})


class HistoryView(BaseModel):
    """One change of the count: what, why, by whom, when (OE-19)."""

    entry_id: UUID
    kind: Kind
    sessions: int
    period_index: int | None
    booking_id: UUID | None
    reason: str | None
    actor: str
    cause_id: str
    business_date: date
    recorded_at: datetime

    @classmethod
    def of(cls, entry: LedgerEntry) -> Self:
        fields = {name: getattr(entry, name) for name in cls.model_fields if name != "sessions"}
        return cls(**fields, sessions=explain(entry))


class LotView(BaseModel):
    """The sessions that the sale or a period brought, and the dates they are for; without a last date they stay."""

    period_index: int
    valid_from: date
    last_date: date | None
    size: int
    adjusted: int
    forfeited: int

    @classmethod
    def of(cls, lot: Lot) -> Self:
        fields = {name: getattr(lot, name) for name in cls.model_fields if name != "last_date"}
        return cls(**fields, last_date=lot.valid_to and lot.valid_to - timedelta(days=1))


async def _show(call: Call, package_id: UUID) -> PackageView:
    async with call.transaction() as db:
        return PackageView.of(await find(db, package_id, client_id=call.caller.client_id), db.today)


@router.post("/packages", status_code=201)
async def sell(new: NewPackage, call: Seller, request: Request, response: Response) -> PackageView:
    """Sell a package; its sessions can be booked at once."""
    package_id = await call.once(selling.sell, None, **dict(new))
    response.headers["Location"] = f"{request.url.path}/{package_id}"
    return await _show(call, package_id)


@router.get("/packages/preview")
async def preview(new: Annotated[NewPackage, Query()], call: Seller) -> PackageView:
    """What the sale would make, by the same code, with nothing stored (R-52)."""
    async with call.rehearsal() as db:
        package_id = new_id()
        await selling.sell(db, package_id, **dict(new))
        return PackageView.of(await find(db, package_id, client_id=None), db.today)


@router.get("/packages")
async def list_packages(
    call: Reader, paging: Paging, client_id: UUID | None = None, state: State | None = None
) -> Page[PackageView]:
    """The packages of the business, or of the client who asks."""
    wanted = {"client_id": call.caller.client_id or client_id, "state": state}
    rows = select(Package).filter_by(**{name: value for name, value in wanted.items() if value is not None})
    rows = rows.options(undefer(Package.ahead), undefer(Package.successor_id))
    async with call.transaction() as db:
        return await paging.page(db, rows, Package.package_id, partial(PackageView.of, today=db.today))


@router.get("/packages/{package_id}")
async def show(package_id: UUID, call: Reader) -> PackageView:
    """One package with its balance."""
    return await _show(call, package_id)


@router.get("/packages/{package_id}/history")
async def history(package_id: UUID, call: Reader, paging: Paging) -> Page[HistoryView]:
    """Every allocation and use, oldest first."""
    async with call.transaction() as db:
        await find(db, package_id, client_id=call.caller.client_id)
        rows = select(LedgerEntry).where(LedgerEntry.package_id == package_id)
        return await paging.page(db, rows, LedgerEntry.entry_id, HistoryView.of)


@router.get("/packages/{package_id}/lots")
async def list_lots(package_id: UUID, call: Reader) -> Page[LotView]:
    """What the sale and each period since brought, oldest first; unused sessions of ended lots are forfeited."""
    async with call.transaction() as db:
        await find(db, package_id, client_id=call.caller.client_id)
        rows = select(Lot).where(Lot.package_id == package_id).order_by(Lot.period_index)
        return Page(items=[LotView.of(lot) for lot in await db.scalars(rows)])


@router.post("/packages/{package_id}/adjustments")
async def adjust(package_id: UUID, adjustment: Adjustment, call: Seller) -> PackageView:
    """Add sessions to a package that was sold, or take some away (PB-12)."""
    await call.once(selling.adjust, package_id, **dict(adjustment))
    return await _show(call, package_id)


@router.post("/packages/{package_id}/expiry")
async def change_expiry(package_id: UUID, expiry: Expiry, call: Seller) -> PackageView:
    """Delete the expiry date or move it; a future one gives access again (PB-19)."""
    await call.once(selling.change_expiry, package_id, **dict(expiry))
    return await _show(call, package_id)


@router.post("/packages/{package_id}/renewal")
async def change_renewal(package_id: UUID, renewal: Renewal, call: Seller) -> PackageView:
    """Switch auto-renew on or off, until the package is closed (EZ-15)."""
    await call.once(selling.change_renewal, package_id, **dict(renewal))
    return await _show(call, package_id)


@router.post("/packages/{package_id}/auto-pay")
async def switch_auto_pay(package_id: UUID, setting: AutoPay, call: Seller) -> PackageView:
    """Collect what falls due by debit, or no more; what was sent already goes on (EZ-11)."""
    await call.once(selling.switch_auto_pay, package_id, **dict(setting))
    return await _show(call, package_id)


@router.post("/packages/{package_id}/close")
async def close(package_id: UUID, call: Closer) -> PackageView:
    """End a package now; a post-bill package is billed for each session used (EZ-22)."""
    await call.once(closing.close, package_id)
    return await _show(call, package_id)
