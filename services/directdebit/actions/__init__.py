"""Directdebit's verbs: load rows with a lock, ask the rule, apply and publish the fact.

The order of locks is payment or payer, collections, debit, mandate.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select

from services.directdebit.rules.calendar import BankDays
from services.directdebit.tables.collections import Collection, CollectionDue
from services.directdebit.tables.debits import (
    Debit,
    DebitCancelled,
    DebitFact,
    DebitItem,
    DebitPutInReview,
)
from services.directdebit.tables.mandates import BankHoliday
from shared.database import Db
from shared.events.directdebit import DebitDeclined, DebitEvent, DebitReturned
from shared.log import log
from shared.outbox import publish
from shared.work import schedule


async def alone(db: Db, kind: str, name: object) -> None:
    """One transaction at a time for this payment, payer or run."""
    key = func.hashtextextended(f"{kind} {db.context.business_id} {name}", 0)
    await db.execute(select(func.pg_advisory_xact_lock(key)))


async def lock(db: Db, debit_id: UUID) -> Debit:
    """A debit for this transaction alone, and with it the collections that it is for."""
    its = select(DebitItem.instalment_id).where(DebitItem.debit_id == debit_id)
    rows = select(Collection.instalment_id).where(Collection.instalment_id.in_(its))
    await db.execute(rows.order_by(Collection.instalment_id).with_for_update())
    return await db.get_one(Debit, debit_id, with_for_update=True, populate_existing=True)


async def become(db: Db, debit: Debit, fact: DebitFact) -> None:
    """Apply what happened to a debit that is locked, tell it where it is a fact for others, and say what follows."""
    was_live = debit.live
    debit.apply(fact)
    if isinstance(fact, DebitEvent):
        publish(db, fact)
    if isinstance(fact, DebitPutInReview):
        log.error("debit_in_review", debit_id=debit.debit_id, review=fact.review)
        if fact.review == "contradiction":
            await schedule(db, "ask", debit.debit_id)
    if was_live != debit.live or isinstance(fact, DebitDeclined | DebitReturned):
        await _reschedule(db, debit, fact)


async def _reschedule(db: Db, debit: Debit, fact: DebitFact) -> None:
    """What the next run takes of its instalments: what was called off, or failed and may be tried again (R-35)."""
    await db.flush()
    items = [item.instalment_id for item in debit.items]
    newer = (
        select(DebitItem.instalment_id)
        .join(Debit, Debit.debit_id == DebitItem.debit_id)
        .where(DebitItem.instalment_id.in_(items), Debit.debit_id > debit.debit_id, Debit.state != "cancelled")
    )
    tried_since = set(await db.scalars(newer))
    again = {item.instalment_id: item.next_attempt_date for item in fact.items} if isinstance(fact, DebitEvent) else {}
    for collection in await db.scalars(select(Collection).where(Collection.instalment_id.in_(items))):
        if collection.instalment_id in tried_since:
            continue
        next_date = again.get(collection.instalment_id)
        if isinstance(fact, DebitCancelled) and collection.target_minor > 0:
            next_date = collection.collect_date
        collection.apply(CollectionDue(next_date))


async def bank_days(db: Db, currency: str) -> BankDays:
    """The bank days of a currency, as the business has put them right."""
    rows = await db.execute(select(BankHoliday.holiday_date, BankHoliday.closed))
    return BankDays(currency, dict(rows.all()))


async def debits_of(db: Db, instalment_id: UUID) -> Sequence[Debit]:
    """The debits of an instalment, oldest first, locked; its collection is locked already."""
    of_it = Debit.items.any(DebitItem.instalment_id == instalment_id)
    rows = select(Debit).where(of_it).order_by(Debit.debit_id).with_for_update()
    return (await db.scalars(rows.execution_options(populate_existing=True))).all()
