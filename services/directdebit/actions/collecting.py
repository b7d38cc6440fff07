"""Mandates, and the collections that go out under them."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from services.directdebit import rules
from services.directdebit.actions import alone, become
from services.directdebit.tables.debits import (
    Client,
    Collection,
    Debit,
    DebitItem,
    Mandate,
    MandateEnded,
    ProviderAccount,
)
from shared.database import Db, violates
from shared.errors import NotFound, NotYetKnown
from shared.events.billing import CollectionRequested
from shared.ids import new_id
from shared.work import schedule


async def _active_mandate(db: Db, payer_id: UUID) -> Mandate | None:
    return await db.scalar(select(Mandate).where(Mandate.payer_id == payer_id, Mandate.state == "active"))


async def record_mandate(
    db: Db, mandate_id: UUID, *, payer_id: UUID, provider_mandate: str, account_ending: str
) -> None:
    """Keep a mandate that a payer gave at the provider's page; it replaces the one before, and what waited goes out.

    Raises NotYetKnown for an unknown client, MandateInUse where it is another payer's, NoProvider where the business
    has no account to ask with.
    """
    if await db.get(ProviderAccount, db.context.business_id) is None:
        raise rules.NoProvider("Put it to /directdebit/v1/provider.")
    if await db.get(Client, payer_id) is None:
        raise NotYetKnown("client", payer_id)
    await alone(db, "payer", payer_id)
    if before := await _active_mandate(db, payer_id):
        before.apply(MandateEnded("replaced"))
        await db.flush()
    mandate = Mandate(
        mandate_id=mandate_id,
        business_id=db.context.business_id,
        payer_id=payer_id,
        provider_mandate=provider_mandate,
        account_ending=account_ending,
        recorded_by=db.context.actor,
        recorded_date=db.today,
    )
    db.add(mandate)
    try:
        await db.flush()
    except IntegrityError as error:
        if violates(error, "one_payer_of_a_mandate"):
            raise rules.MandateInUse("provider_mandate: another payer's.", field="provider_mandate") from None
        raise
    await _collect(db, await _uncollected(db, payer_id), mandate, new_mandate=True)


async def _uncollected(db: Db, payer_id: UUID) -> Sequence[Collection]:
    """What a payer still owes by debit and the provider was not asked for; of a long life with us, only that."""
    asked = exists().where(
        DebitItem.instalment_id == Collection.instalment_id,
        DebitItem.live,
        DebitItem.debit_id == Debit.debit_id,
        Debit.state != "created",
    )
    wishes = select(Collection).where(Collection.payer_id == payer_id, Collection.target_minor > 0, ~asked)
    return (await db.scalars(wishes.order_by(Collection.instalment_id).with_for_update())).all()


async def find_mandate(db: Db, mandate_id: UUID, *, client_id: UUID | None) -> Mandate:
    """A mandate of the business, and of the client who asks. Raises NotFound."""
    mandate = await db.get(Mandate, mandate_id)
    if mandate is None or client_id not in (None, mandate.payer_id):
        raise NotFound
    return mandate


async def take_request(db: Db, event: CollectionRequested) -> None:
    """Keep the newest of billing's wishes, and debit what it leaves to collect; without a mandate it waits."""
    await alone(db, "payer", event.payer_id)
    values = event.model_dump(exclude={"run_date"}) | {"business_id": db.context.business_id}
    await db.execute(insert(Collection).values(**values).on_conflict_do_nothing())
    collection = await db.get_one(Collection, event.instalment_id, with_for_update=True)
    if event.version < collection.version:
        return
    collection.apply(event)
    await _collect(db, [collection], await _active_mandate(db, event.payer_id), new_mandate=False)


async def _collect(db: Db, collections: Sequence[Collection], mandate: Mandate | None, *, new_mandate: bool) -> None:
    """Call off the debits that are out of date, and make those that are wanted. The collections' rows are locked."""
    earlier = await _debits_of(db, collections)
    for collection in collections:
        for debit in earlier[collection.instalment_id]:
            if cancelled := rules.revise(debit, collection, mandate):
                become(db, debit, cancelled)
    await db.flush()
    made = [
        _debit(db, collection, mandate, wanted)
        for collection in collections
        if (wanted := rules.collect(collection, earlier[collection.instalment_id], mandate, new_mandate=new_mandate))
        and mandate
    ]
    db.add_all(made)
    await db.flush()
    for debit in made:
        await schedule(db, "submit", debit.debit_id)


async def _debits_of(db: Db, collections: Sequence[Collection]) -> dict[UUID, list[Debit]]:
    """The debits of each instalment, oldest first, all in one look; locked."""
    found: dict[UUID, list[Debit]] = defaultdict(list)
    if collections:
        of_them = Debit.items.any(DebitItem.instalment_id.in_([each.instalment_id for each in collections]))
        for debit in await db.scalars(select(Debit).where(of_them).order_by(Debit.debit_id).with_for_update()):
            for item in debit.items:
                found[item.instalment_id].append(debit)
    return found


def _debit(db: Db, collection: Collection, mandate: Mandate, wanted: rules.Wanted) -> Debit:
    debit = Debit(
        debit_id=new_id(),
        business_id=db.context.business_id,
        payer_id=collection.payer_id,
        mandate_id=mandate.mandate_id,
        amount_minor=wanted.amount_minor,
        currency=collection.currency,
        charge_date=max(collection.collect_date, db.today),
        created_date=db.today,
    )
    item = DebitItem(
        business_id=db.context.business_id,
        instalment_id=collection.instalment_id,
        amount_minor=wanted.amount_minor,
        attempt_no=wanted.attempt_no,
        version=collection.version,
        live=True,
    )
    debit.items.append(item)
    return debit
