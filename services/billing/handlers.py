"""What billing does when it hears something."""

from services.billing.actions import daily, invoicing, paying, requesting
from shared.database import Db
from shared.events.catalog import BusinessDayStarted
from shared.events.directdebit import (
    DebitClaimed,
    DebitDeclined,
    DebitEvent,
    DebitReturned,
    DebitSettled,
    DebitSubmitted,
)
from shared.events.packages import AutoPaySwitched, PackageClosed, PackageSold
from shared.handlers import Handlers

handles = Handlers()


@handles(BusinessDayStarted)
async def start_days(db: Db, event: BusinessDayStarted) -> None:
    await daily.start_days(db, event.business_date)


@handles(PackageSold)
async def bill_sale(db: Db, event: PackageSold) -> None:
    await invoicing.bill_sale(db, event)


@handles(PackageClosed)
async def bill_closure(db: Db, event: PackageClosed) -> None:
    await invoicing.bill_closure(db, event)


@handles(DebitSubmitted, DebitSettled, DebitDeclined, DebitReturned, DebitClaimed)
async def take_debit(db: Db, event: DebitEvent) -> None:
    await paying.take_debit(db, event)


@handles(AutoPaySwitched)
async def switch_auto_pay(db: Db, event: AutoPaySwitched) -> None:
    await requesting.switch_auto_pay(db, event)
