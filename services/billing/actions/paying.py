"""What comes in: money that debits bring or lose, and money that is handed over at the desk."""

from datetime import date
from uuid import UUID

from sqlalchemy import insert

from services.billing.actions import LOCKED, enter, find, request
from services.billing.rules import standing
from services.billing.tables.invoices import Instalment, PaidByHand
from services.billing.tables.payments import DebitFact, DebitState, Method, Payment, PaymentPart
from shared.auth import Caller
from shared.database import Db
from shared.errors import Reject
from shared.events.directdebit import (
    DebitClaimed,
    DebitDeclined,
    DebitEvent,
    DebitItem,
    DebitReturned,
    DebitSettled,
    DebitSubmitted,
)
from shared.outbox import publish

STATES: dict[type[DebitEvent], DebitState] = {
    DebitSubmitted: "submitted",
    DebitSettled: "settled",
    DebitDeclined: "declined",
    DebitReturned: "returned",
    DebitClaimed: "claimed",
}


async def take_debit(db: Db, event: DebitEvent) -> None:
    """Keep what a debit brought to each of its instalments, and enter the difference in the journal.

    Any number of times, in any order, the same end. Raises Reject for an instalment that is not known here: billing
    itself asked for its collection when it stored it, so no waiting will bring it.
    """
    items = {item.instalment_id: item for item in event.items}
    instalments = (await db.scalars(LOCKED.where(Instalment.instalment_id.in_(items)))).all()
    if unknown := items.keys() - {instalment.instalment_id for instalment in instalments}:
        raise Reject(f"debit {event.debit_id} is for instalments that never were: {', '.join(map(str, unknown))}")
    entries = []
    for instalment in instalments:
        invoice = instalment.invoice
        if invoice.currency != event.currency:
            raise Reject(f"debit {event.debit_id} is in {event.currency}, the invoice in {invoice.currency}")
        fact = _debit_fact(db, event, items[instalment.instalment_id])
        if any((known.debit_id, known.sequence) == (fact.debit_id, fact.sequence) for known in instalment.debit_facts):
            continue
        owed, before = standing.owed(instalment), standing.brought(instalment)
        instalment.debit_facts.append(fact)
        moves = standing.moves((owed, before), (owed, standing.brought(instalment)))
        entries.append(
            standing.Entry(
                invoice.invoice_id,
                invoice.currency,
                moves,
                instalment.instalment_id,
                debit_id=fact.debit_id,
                sequence=fact.sequence,
            )
        )
        instalment.apply(standing.stand(instalment))
        if failed := standing.fail(invoice, instalment, fact):
            fact.apply(failed)
            publish(db, failed)
        if instalment.state == "due":
            # owed again, maybe, and auto-pay was switched in the meantime
            request(db, instalment, invoice, auto_pay=invoice.package.auto_pay)
    await enter(db, entries)


def _debit_fact(db: Db, event: DebitEvent, item: DebitItem) -> DebitFact:
    failed = event if isinstance(event, DebitDeclined | DebitReturned | DebitClaimed) else None
    return DebitFact(
        business_id=db.context.business_id,
        debit_id=event.debit_id,
        sequence=event.sequence,
        state=STATES[type(event)],
        code=failed and failed.code,
        reason_class=None if failed is None or isinstance(failed, DebitClaimed) else failed.reason_class,
        told=False,
        fact_date=db.today,
        **dict(item),
    )


async def record_payment(
    db: Db,
    payment_id: UUID,
    invoice_id: UUID,
    *,
    caller: Caller,
    amount_minor: int,
    method: Method,
    paid_date: date | None,
    reference: str | None,
) -> None:
    """Keep money that was handed over for an invoice, and collect that much less. Raises NotFound or MoreThanOwed."""
    invoice = await find(db, invoice_id, caller=caller)
    instalments = (await db.scalars(LOCKED.where(Instalment.invoice_id == invoice_id))).all()
    on = standing.paid_on(paid_date or db.today, today=db.today)
    covers = standing.pay(instalments, amount_minor)
    of_business = {"business_id": db.context.business_id, "payment_id": payment_id}
    payment = {"invoice_id": invoice_id, "method": method, "amount_minor": amount_minor, "reference": reference}
    await db.execute(insert(Payment).values(of_business | payment | {"paid_date": on, "recorded_by": caller.actor}))
    parts = [{"instalment_id": of, "amount_minor": part} for of, part in covers.items()]
    await db.execute(insert(PaymentPart).values([of_business | part for part in parts]))
    entries = []
    for instalment in instalments:
        if part := covers.get(instalment.instalment_id):
            owed, before = standing.owed(instalment), standing.brought(instalment)
            instalment.apply(PaidByHand(part))
            moves = standing.moves((owed, before), (owed, before + part))
            entries.append(
                standing.Entry(invoice_id, invoice.currency, moves, instalment.instalment_id, payment_id=payment_id)
            )
            instalment.apply(standing.stand(instalment))
            request(db, instalment, instalment.invoice, auto_pay=instalment.invoice.package.auto_pay)
    await enter(db, entries)
