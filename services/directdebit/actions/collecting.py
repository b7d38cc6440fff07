"""What billing wants collected: kept, followed by the debits that wait, tried once more when a person says so."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import undefer

from services.directdebit.actions import become, debits_of
from services.directdebit.rules import sending
from services.directdebit.tables.collections import Collection, RunDated
from shared.database import Db
from shared.errors import NotFound
from shared.events.billing import CollectionRequested
from shared.handlers import Heard


async def take_requests(db: Db, heard: Sequence[Heard[CollectionRequested]]) -> None:
    """Keep the newest of billing's wishes; what they leave to collect waits for the next run."""
    first: dict[UUID, CollectionRequested] = {}
    for each in heard:
        first.setdefault(each.event.instalment_id, each.event)
    business_id = db.context.business_id
    rows = [wish.model_dump() | {"business_id": business_id, "next_date": wish.collect_date} for wish in first.values()]
    new = insert(Collection).on_conflict_do_nothing().returning(Collection.instalment_id)
    kept = set(await db.scalars(new, rows))
    for each in heard:
        wish = each.event
        if wish is not first[wish.instalment_id] or wish.instalment_id not in kept:
            await db.enter(each.context)
            await _follow(db, wish)


async def _follow(db: Db, event: CollectionRequested) -> None:
    """A wish about what is known already changes it, and the debits that wait, if it is newer.

    The day that asked first is kept whatever the version: by it the announced are counted (`docs/decisions/0013`).
    """
    collection = await db.get_one(Collection, event.instalment_id, with_for_update=True, populate_existing=True)
    if collection.run_date is None and event.run_date:
        collection.apply(RunDated(event.run_date))
    if event.version <= collection.version:
        return
    collection.apply(event)
    debits = await debits_of(db, event.instalment_id)
    if due := sending.due_after_wish(collection, debits):
        collection.apply(due)
    for debit in debits:
        if change := sending.revise(debit, collection):
            await become(db, debit, change)


async def try_again(db: Db, instalment_id: UUID) -> None:
    """Let the next run take an instalment whose debit failed. Raises NotFound or NothingToRetry."""
    collection = await db.get(Collection, instalment_id, with_for_update=True)
    if collection is None:
        raise NotFound
    collection.apply(sending.try_again(collection, await debits_of(db, instalment_id), today=db.today))


async def find_collection(db: Db, instalment_id: UUID) -> Collection:
    """What billing wants collected of an instalment. Raises NotFound."""
    collection = await db.get(Collection, instalment_id, options=[undefer(Collection.live_minor)])
    if collection is None:
        raise NotFound
    return collection
