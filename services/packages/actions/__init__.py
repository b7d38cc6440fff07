"""Packages' verbs: load rows with a lock, ask the rule, apply and publish the fact. Counts move by the ledger alone."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import undefer

from services.packages.tables import Kind, Package
from shared.database import Context, Db
from shared.errors import NotFound
from shared.ids import new_id

POST = text(
    "with entry as (insert into ledger_entries (entry_id, business_id, package_id, kind, quantity, period_index,"
    "  booking_id, reason, actor, cause_id, business_date)"
    " values (:entry_id, :business_id, :package_id, :kind, :quantity, cast(:period_index as integer),"
    "  :booking_id, :reason, :actor, :cause_id, :date)"
    " on conflict (booking_id, package_id, kind) do nothing returning quantity),"
    " lot as (update lots set"
    "  adjusted = adjusted + case when :kind = 'adjusted' then entry.quantity else 0 end,"
    "  forfeited = forfeited + case when :kind = 'forfeited' then entry.quantity else 0 end"
    "  from entry where lots.package_id = :package_id and lots.period_index = cast(:period_index as integer)"
    "  and :kind in ('adjusted', 'forfeited'))"
    " update packages set"
    "  allocated = allocated + case when :kind = 'allocated' then entry.quantity else 0 end,"
    "  adjusted = adjusted + case when :kind = 'adjusted' then entry.quantity else 0 end,"
    "  held = held + entry.quantity * case :kind when 'held' then 1 when 'returned' then -1 when 'consumed' then -1"
    "   else 0 end,"
    "  consumed = consumed + case when :kind = 'consumed' then entry.quantity else 0 end,"
    "  forfeited = forfeited + case when :kind = 'forfeited' then entry.quantity else 0 end"
    " from entry where packages.package_id = :package_id"
)


async def post(
    db: Db,
    package_id: UUID,
    kind: Kind,
    quantity: int,
    *,
    period_index: int | None = None,
    booking_id: UUID | None = None,
    reason: str | None = None,
) -> None:
    """Enter a change in a package's ledger and move its balance, and its lot's, with it, in one statement."""
    change = {"package_id": package_id, "kind": kind, "quantity": quantity}
    await post_all(db, [change | {"period_index": period_index, "booking_id": booking_id, "reason": reason}])


async def post_all(db: Db, changes: Sequence[dict[str, object]]) -> None:
    """Enter many changes, each by its own statement, all sent at once; caused as they say, or as all that we do."""
    await db.flush()
    if changes:
        why = cause(db.context)
        await db.execute(POST, [{"entry_id": new_id()} | why | change for change in changes])


def cause(context: Context) -> dict[str, object]:
    """For whom, by whom, why and on which date an entry is made."""
    return {
        "business_id": context.business_id,
        "actor": context.actor,
        "cause_id": context.causation_id or context.correlation_id,
        "date": context.business_date,
    }


async def find(db: Db, package_id: UUID, *, client_id: UUID | None) -> Package:
    """A package that staff (no `client_id`) or its client may see, with its balance as it is now. Raises NotFound."""
    shown = (undefer(Package.ahead), undefer(Package.successor_id))
    package = await db.get(Package, package_id, options=shown, populate_existing=True)
    if package is None or client_id not in (None, package.client_id):
        raise NotFound
    return package


async def lock(db: Db, package_id: UUID) -> Package:
    """The package, for this transaction alone. Raises NotFound."""
    package = await db.get(Package, package_id, with_for_update=True, populate_existing=True)
    if package is None:
        raise NotFound
    return package
