"""Sending a debit: written down first, sent under one key, and concluded by what the provider answers."""

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import select

from services.directdebit.actions import (
    alone,
    alone_with_payer,
    bank_days,
    become,
    end_mandate,
    lock,
    next_dates,
)
from services.directdebit.actions.mandates import fold_parked
from services.directdebit.bank import Accepted, Bank, Payment, Refused, Unknown
from services.directdebit.rules import sending
from services.directdebit.tables.debits import UNSENT, Debit, DebitCancelled, DebitSending
from services.directdebit.tables.mandates import Mandate
from shared.database import Db


@dataclass(frozen=True)
class Sending:
    """A debit that is written down and may be sent: for the first time, or again so long after the first."""

    debit_id: UUID
    body: str
    since: date
    """The business date on which the debit was made; the provider has had nothing of it before."""
    again_after: timedelta | None


async def begin(db: Db, debit_id: UUID, bank: Bank) -> Sending | None:
    """Write down what is about to be sent, before it is; None when there is nothing to send any more."""
    of_it = select(Debit.payer_id, Debit.charge_date).where(Debit.debit_id == debit_id)
    unlocked = (await db.execute(of_it)).one_or_none()
    if unlocked is None:
        return None
    if unlocked.charge_date < db.today:
        await alone(db, "run")
    await alone(db, "payer", unlocked.payer_id)
    debit = await lock(db, debit_id)
    if debit.state not in UNSENT:
        return None
    if debit.request is not None and debit.sent_at is not None:
        return Sending(debit_id, debit.request, debit.created_date, db.machine_now - debit.sent_at)
    mandate = await db.get_one(Mandate, debit.mandate_id)
    if mandate.state != "active" or mandate.provider_mandate is None:
        await become(db, debit, DebitCancelled())
        return None
    charge_date = await _charge_date(db, debit)
    body = bank.write(Payment(debit_id, mandate.provider_mandate, debit.amount_minor, debit.currency, charge_date))
    await become(db, debit, DebitSending(body, charge_date, db.machine_now))
    return Sending(debit_id, body, debit.created_date, None)


async def _charge_date(db: Db, debit: Debit) -> date:
    """The day for which a debit was made; a list confirmed later has the next on which its payer is not debited (R-35).

    No bank debits the past.
    """
    if debit.charge_date >= db.today:
        return debit.charge_date
    others = select(Debit.charge_date).where(
        Debit.payer_id == debit.payer_id,
        Debit.charge_date >= db.today,
        Debit.state.not_in(("cancelled", "refused")),
    )
    taken = set(await db.scalars(others))
    days = await bank_days(db, debit.currency)
    charge_date = days.on_or_after(db.today)
    while charge_date in taken:
        charge_date = days.after(charge_date, 1)
    return charge_date


async def conclude(db: Db, debit_id: UUID, outcome: Accepted | Refused | Unknown) -> None:
    """Take in what the provider answered. Facts that came before the answer, and named no debit of ours, fold now."""
    if isinstance(outcome, Accepted):
        await alone(db, "payment", outcome.provider_ref)
    await alone_with_payer(db, debit_id)
    debit = await lock(db, debit_id)
    match outcome:
        case Accepted(provider_ref, charge_date):
            for fact in sending.accept(debit, provider_ref, charge_date):
                await become(db, debit, fact)
            await fold_parked(db, provider_ref)
        case Refused(reason):
            again = await next_dates(db, debit, db.today, soft=False)
            if refused := sending.refuse(debit, reason, too_late=outcome.too_late, next_dates=again):
                await become(db, debit, refused)
                if outcome.ends_mandate:
                    await end_mandate(db, debit.mandate_id, "failed")
        case Unknown():
            if doubt := sending.doubt(debit):
                await become(db, debit, doubt)
