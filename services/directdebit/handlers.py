"""What directdebit does when it hears something."""

from collections.abc import Sequence

from services.directdebit.actions import collecting, forgetting, running
from services.directdebit.tables.mandates import Client
from shared.copies import keep
from shared.database import Db
from shared.events.billing import CollectionRequested, DayBilled
from shared.events.catalog import ClientChanged
from shared.handlers import Handlers, Heard

handles = Handlers()


@handles(ClientChanged)
async def keep_client(db: Db, event: ClientChanged) -> None:
    await keep(db, Client, event)
    if event.erased:
        await forgetting.forget_payer(db, event.client_id)


@handles.lists(CollectionRequested)
async def collect(db: Db, heard: Sequence[Heard[CollectionRequested]]) -> None:
    await collecting.take_requests(db, heard)


@handles(DayBilled)
async def end_day(db: Db, event: DayBilled) -> None:
    await running.end_day(db, event)
