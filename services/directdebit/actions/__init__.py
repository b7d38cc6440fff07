"""Directdebit's verbs: load rows with a lock, ask the rule, apply and publish the fact."""

from sqlalchemy import func, select

from services.directdebit.tables.debits import Debit, DebitFact, DebitPutInReview
from shared.database import Db
from shared.events import Event
from shared.log import log
from shared.outbox import publish


async def alone(db: Db, kind: str, name: object) -> None:
    """One transaction at a time for this payer, or this payment. The order is payment, payer, then rows."""
    key = func.hashtextextended(f"{kind} {db.context.business_id} {name}", 0)
    await db.execute(select(func.pg_advisory_xact_lock(key)))


def become(db: Db, debit: Debit, fact: DebitFact) -> None:
    """Apply what happened to a debit, and tell it where it is a fact for others."""
    debit.apply(fact)
    if isinstance(fact, Event):
        publish(db, fact)
    if isinstance(fact, DebitPutInReview):
        log.error("debit_in_review", debit_id=debit.debit_id, review=fact.review)
