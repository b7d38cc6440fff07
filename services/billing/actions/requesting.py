"""Auto-pay of a package, switched while it runs."""

from uuid import UUID

from services.billing.actions import LOCKED, request
from services.billing.actions.daily import billed_until
from services.billing.rules import invoicing
from services.billing.tables.invoices import Instalment, Invoice
from services.billing.tables.packages import BilledPackage
from shared.database import Db
from shared.errors import NotFound


async def switch_auto_pay(db: Db, package_id: UUID, *, auto_pay: bool) -> None:
    """Ask for all that is due and open of a package, or for nothing of it any more. Raises NotFound.

    Again, it changes nothing. What falls due later follows the package. What is paid is locked too: a debit may be
    losing it just now, and whoever comes second sees what the first has done.
    """
    await billed_until(db)
    package = await db.get(BilledPackage, package_id, with_for_update=True, populate_existing=True)
    if package is None:
        raise NotFound
    package.apply(invoicing.switch_auto_pay(package, auto_pay=auto_pay))
    rows = LOCKED.join(Instalment.invoice).where(
        Invoice.package_id == package_id, Instalment.state.in_(("due", "paid"))
    )
    for instalment in (await db.scalars(rows)).all():
        if instalment.state == "due":
            request(db, instalment, instalment.invoice, auto_pay=auto_pay)
