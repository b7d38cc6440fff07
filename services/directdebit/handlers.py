"""What directdebit does when it hears something."""

from services.directdebit.actions import collecting
from services.directdebit.tables.debits import Client
from shared.copies import keep
from shared.database import Db
from shared.events.billing import CollectionRequested
from shared.events.catalog import ClientChanged
from shared.inbox import Handlers

handles = Handlers()


@handles(ClientChanged)
async def keep_client(db: Db, event: ClientChanged) -> None:
    await keep(db, Client, event)


@handles(CollectionRequested)
async def collect(db: Db, event: CollectionRequested) -> None:
    await collecting.take_request(db, event)
