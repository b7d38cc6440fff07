"""Auto-pay of a package, switched while it runs."""

from services.billing.actions import LOCKED, request
from services.billing.actions.daily import billed_until
from services.billing.tables.invoices import Instalment, Invoice
from services.billing.tables.packages import BilledPackage
from shared.database import Db
from shared.errors import Later
from shared.events.packages import AutoPaySwitched


async def switch_auto_pay(db: Db, switched: AutoPaySwitched) -> None:
    """Ask for all that is due and open of a package, or for nothing of it any more; an older switch changes nothing.

    What falls due later follows the package. What is paid is locked too: a debit may be losing it just now, and
    whoever comes second sees what the first has done. Raises Later while the sale is not known here.
    """
    await billed_until(db)
    package = await db.get(BilledPackage, switched.package_id, with_for_update=True, populate_existing=True)
    if package is None:
        raise Later(f"auto-pay of package {switched.package_id} is switched, and its sale is not known here yet")
    if switched.version <= package.auto_pay_version:
        return
    package.apply(switched)
    rows = LOCKED.join(Instalment.invoice).where(
        Invoice.package_id == switched.package_id, Instalment.state.in_(("due", "paid"))
    )
    for instalment in (await db.scalars(rows)).all():
        if instalment.state == "due":
            request(db, instalment, instalment.invoice, auto_pay=switched.auto_pay)
