"""What directdebit does when it hears something."""

from services.directdebit.actions import collecting, forgetting, running
from services.directdebit.tables.mandates import Client
from shared.copies import keep
from shared.database import Db
from shared.events.billing import CollectionRequested, DayBilled
from shared.events.catalog import ClientChanged
from shared.inbox import Handlers

handles = Handlers()


@handles(ClientChanged)
async def keep_client(db: Db, event: ClientChanged) -> None:
    await keep(db, Client, event)
    if event.erased:
        await forgetting.forget_payer(db, event.client_id)


@handles(CollectionRequested)
async def collect(db: Db, event: CollectionRequested) -> None:
    await collecting.take_request(db, event)


@handles(DayBilled)
async def end_day(db: Db, event: DayBilled) -> None:
    await running.end_day(db, event)
