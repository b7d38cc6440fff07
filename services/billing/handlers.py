"""What billing does when it hears something."""

from services.billing import actions
from shared.database import Db
from shared.events.directdebit import DebitDeclined, DebitEvent, DebitSettled, DebitSubmitted
from shared.events.packages import PackageClosed, PackageSold
from shared.inbox import Handlers

handles = Handlers()


@handles(PackageSold)
async def bill_sale(db: Db, event: PackageSold) -> None:
    await actions.bill_sale(db, event)


@handles(PackageClosed)
async def bill_closure(db: Db, event: PackageClosed) -> None:
    await actions.bill_closure(db, event)


@handles(DebitSubmitted, DebitSettled, DebitDeclined)
async def take_debit(db: Db, event: DebitEvent) -> None:
    await actions.take_debit(db, event)
