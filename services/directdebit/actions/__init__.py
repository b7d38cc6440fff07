"""Directdebit's verbs: load rows with a lock, ask the rule, apply and publish the fact.

The order of locks is run, payment, payer, collections, debit, mandate. The first three are names (`alone`); `run` is
the whole business's: who makes debits, and who changes what a run goes by, take turns.
"""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import exists, func, select

from services.directdebit.rules.calendar import BankDays
from services.directdebit.rules.sending import due_after, next_attempt_date
from services.directdebit.tables.collections import Collection
from services.directdebit.tables.debits import Debit, DebitFact, DebitItem, DebitPutInReview, DebitRevised
from services.directdebit.tables.mandates import BankHoliday, Mandate, MandateBecame, MandateState
from shared.database import Db
from shared.events.directdebit import DebitDeclined, DebitEvent, DebitReturned
from shared.log import log
from shared.outbox import publish
from shared.work import schedule


async def alone(db: Db, kind: str, name: object = "") -> None:
    """One transaction at a time for this payment or payer; without a name, for the whole business."""
    key = func.hashtextextended(f"{kind} {db.context.business_id} {name}", 0)
    await db.execute(select(func.pg_advisory_xact_lock(key)))


async def alone_with_payer(db: Db, debit_id: UUID) -> None:
    """One transaction at a time for the payer of a debit, of which no more is read before it is locked."""
    payer_id = await db.scalar(select(Debit.payer_id).where(Debit.debit_id == debit_id))
    await alone(db, "payer", payer_id)


async def lock(db: Db, debit_id: UUID) -> Debit:
    """A debit for this transaction alone, and with it the collections that it is for."""
    its = select(DebitItem.instalment_id).where(DebitItem.debit_id == debit_id)
    rows = select(Collection.instalment_id).where(Collection.instalment_id.in_(its))
    await db.execute(rows.order_by(Collection.instalment_id).with_for_update())
    return await db.get_one(Debit, debit_id, with_for_update=True, populate_existing=True)


async def become(db: Db, debit: Debit, fact: DebitFact) -> None:
    """Apply what happened to a debit that is locked, tell it where it is a fact for others, and say what follows."""
    was_live, items = debit.live, [item.instalment_id for item in debit.items]
    debit.apply(fact)
    if isinstance(fact, DebitEvent):
        publish(db, fact)
    if isinstance(fact, DebitPutInReview):
        log.error("debit_in_review", debit_id=debit.debit_id, review=fact.review)
        if fact.review == "contradiction":
            await schedule(db, "ask", debit.debit_id)
    if was_live != debit.live or isinstance(fact, DebitDeclined | DebitReturned | DebitRevised):
        await _reschedule(db, debit, fact, items)
    if was_live and not debit.live:
        await _look_again(db, items)


async def _reschedule(db: Db, debit: Debit, fact: DebitFact, instalments: Sequence[UUID]) -> None:
    """What the next run takes of a debit's instalments."""
    await db.flush()
    of_them = DebitItem.instalment_id.in_(instalments)
    newer = select(DebitItem.instalment_id).join(Debit, Debit.debit_id == DebitItem.debit_id)
    newer = newer.where(of_them, Debit.debit_id > debit.debit_id, Debit.state != "cancelled")
    tried_since = set(await db.scalars(newer))
    for collection in await db.scalars(select(Collection).where(Collection.instalment_id.in_(instalments))):
        due = due_after(fact, collection, tried_since=collection.instalment_id in tried_since)
        if due:
            collection.apply(due)


async def _look_again(db: Db, instalments: Sequence[UUID]) -> None:
    """A debit was in review because another of an instalment was live, which it is not any more."""
    waiting = select(Debit.debit_id).where(
        Debit.review == "another_is_live", Debit.items.any(DebitItem.instalment_id.in_(instalments))
    )
    for debit_id in (await db.scalars(waiting)).all():
        await schedule(db, "ask", debit_id)


async def next_dates(db: Db, debit: Debit, failed: date, *, soft: bool) -> dict[UUID, date | None]:
    """When each instalment of a debit is tried again by itself, were it to fail on a date."""
    instalments = [item.instalment_id for item in debit.items]
    tries = (
        select(DebitItem.instalment_id, func.count())
        .join(Debit, Debit.debit_id == DebitItem.debit_id)
        .where(DebitItem.instalment_id.in_(instalments), Debit.mandate_id == debit.mandate_id)
        .where(Debit.state != "cancelled", Debit.debit_id <= debit.debit_id)
        .group_by(DebitItem.instalment_id)
    )
    another = exists().where(
        Mandate.payer_id == debit.payer_id, Mandate.state == "active", Mandate.mandate_id != debit.mandate_id
    )
    new_mandate = bool(await db.scalar(select(another)))
    days = await bank_days(db, debit.currency)
    return {
        instalment_id: next_attempt_date(failed, count, soft=soft, new_mandate=new_mandate, days=days)
        for instalment_id, count in await db.execute(tries)
    }


async def end_mandate(db: Db, mandate_id: UUID, state: MandateState) -> None:
    """A debit has shown that a mandate is no good; one that was replaced, or has ended, stays so."""
    mandate = await db.get_one(Mandate, mandate_id, with_for_update=True)
    if mandate.state in ("active", "suspended"):
        mandate.apply(MandateBecame(state))


async def bank_days(db: Db, currency: str) -> BankDays:
    """The bank days of a currency, as the business has put them right."""
    rows = await db.execute(select(BankHoliday.holiday_date, BankHoliday.closed))
    return BankDays(currency, dict(rows.all()))


async def debits_of(db: Db, instalment_id: UUID) -> Sequence[Debit]:
    """The debits of an instalment, oldest first, locked; its collection is locked already."""
    of_it = Debit.items.any(DebitItem.instalment_id == instalment_id)
    rows = select(Debit).where(of_it).order_by(Debit.debit_id).with_for_update()
    return (await db.scalars(rows.execution_options(populate_existing=True))).all()
