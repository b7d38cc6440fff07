"""Mandates, and the collections that go out under them."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from services.directdebit import rules
from services.directdebit.actions import alone, become
from services.directdebit.tables import Client, Collection, Debit, DebitItem, Mandate, MandateEnded, ProviderAccount
from shared.database import Db, violates
from shared.errors import NotFound, NotYetKnown
from shared.events.billing import CollectionRequested
from shared.ids import new_id
from shared.work import schedule


async def _active_mandate(db: Db, payer_id: UUID) -> Mandate | None:
    return await db.scalar(select(Mandate).where(Mandate.client_id == payer_id, Mandate.state == "active"))


async def record_mandate(
    db: Db, mandate_id: UUID, *, client_id: UUID, provider_mandate: str, account_ending: str
) -> None:
    """Keep a mandate that a payer gave at the provider's page; it replaces the one before, and what waited goes out.

    Raises NotYetKnown for an unknown client, MandateInUse where it is another payer's, NoProvider where the business
    has no account to ask with.
    """
    if await db.get(ProviderAccount, db.context.business_id) is None:
        raise rules.NoProvider("Put it to /directdebit/v1/provider.")
    if await db.get(Client, client_id) is None:
        raise NotYetKnown("client", client_id)
    await alone(db, "payer", client_id)
    if before := await _active_mandate(db, client_id):
        before.apply(MandateEnded("replaced"))
        await db.flush()
    mandate = Mandate(
        mandate_id=mandate_id,
        business_id=db.context.business_id,
        client_id=client_id,
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
    wishes = select(Collection).where(Collection.payer_id == client_id).order_by(Collection.instalment_id)
    for collection in (await db.scalars(wishes.with_for_update())).all():
        await _collect(db, collection, mandate, new_mandate=True)


async def find_mandate(db: Db, mandate_id: UUID, *, client_id: UUID | None) -> Mandate:
    """A mandate of the business, and of the client who asks. Raises NotFound."""
    mandate = await db.get(Mandate, mandate_id)
    if mandate is None or client_id not in (None, mandate.client_id):
        raise NotFound
    return mandate


async def take_request(db: Db, event: CollectionRequested) -> None:
    """Keep the newest of billing's wishes, and debit what it leaves to collect; without a mandate it waits."""
    await alone(db, "payer", event.payer_id)
    values = event.model_dump() | {"business_id": db.context.business_id}
    await db.execute(insert(Collection).values(**values).on_conflict_do_nothing())
    collection = await db.get_one(Collection, event.instalment_id, with_for_update=True)
    if event.version < collection.version:
        return
    collection.apply(event)
    await _collect(db, collection, await _active_mandate(db, event.payer_id), new_mandate=False)


async def _collect(db: Db, collection: Collection, mandate: Mandate | None, *, new_mandate: bool) -> None:
    """Call off a debit that is out of date, and make the one that is wanted. The collection's row is locked."""
    of_it = Debit.items.any(DebitItem.instalment_id == collection.instalment_id)
    rows = await db.scalars(select(Debit).where(of_it).order_by(Debit.debit_id).with_for_update())
    earlier = rows.all()
    for debit in earlier:
        if cancelled := rules.revise(debit, collection, mandate):
            become(db, debit, cancelled)
    await db.flush()
    wanted = rules.collect(collection, earlier, mandate, new_mandate=new_mandate)
    if wanted is None or mandate is None:
        return
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
    db.add(debit)
    await db.flush()
    await schedule(db, "submit", debit.debit_id)
