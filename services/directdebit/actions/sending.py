"""Sending a debit: written down first, sent under one key, and concluded by what the provider answers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from services.directdebit import rules
from services.directdebit.actions import alone, become
from services.directdebit.bank import Accepted, Bank, Payment, Refused, Unknown
from services.directdebit.tables.callbacks import ProviderFact
from services.directdebit.tables.debits import UNSENT, Debit, DebitCancelled, DebitSending, Mandate
from shared.database import Db
from shared.work import schedule


@dataclass(frozen=True)
class Sending:
    """A debit that is written down and may be sent: for the first time, or again so long after the first."""

    debit_id: UUID
    body: str
    sent_at: datetime
    again_after: timedelta | None


async def begin(db: Db, debit_id: UUID, bank: Bank) -> Sending | None:
    """Write down what is about to be sent, before it is; None when there is nothing to send any more."""
    debit = await db.get(Debit, debit_id, with_for_update=True)
    if debit is None or debit.state not in UNSENT:
        return None
    if debit.request is not None and debit.sent_at is not None:
        return Sending(debit_id, debit.request, debit.sent_at, db.machine_now - debit.sent_at)
    mandate = await db.get_one(Mandate, debit.mandate_id)
    if mandate.state != "active":
        become(db, debit, DebitCancelled())
        return None
    charge_date = max(debit.charge_date, db.today)  # the days may have been billed late: no bank debits the past
    body = bank.write(Payment(debit_id, mandate.provider_mandate, debit.amount_minor, debit.currency, charge_date))
    become(db, debit, DebitSending(body, db.machine_now))
    return Sending(debit_id, body, db.machine_now, None)


async def conclude(db: Db, debit_id: UUID, outcome: Accepted | Refused | Unknown) -> None:
    """Take in what the provider answered. Facts that came before the answer, and named no debit of ours, fold now."""
    if isinstance(outcome, Accepted):
        await alone(db, "payment", outcome.provider_ref)
    debit = await db.get_one(Debit, debit_id, with_for_update=True)
    match outcome:
        case Accepted(provider_ref):
            for fact in rules.accept(debit, provider_ref):
                become(db, debit, fact)
            await _fold_parked(db, provider_ref)
        case Refused(reason):
            if refused := rules.refuse(debit, reason):
                become(db, debit, refused)
        case Unknown():
            if doubt := rules.doubt(debit):
                become(db, debit, doubt)


async def _fold_parked(db: Db, provider_ref: str) -> None:
    parked = select(ProviderFact.fact_id).filter_by(provider_ref=provider_ref, state="parked")
    for fact_id in (await db.scalars(parked)).all():
        await schedule(db, "fold", fact_id)
