"""Billing's verbs: invoice what was sold or closed, take what debits bring, and keep the journal."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.orm import joinedload, selectinload

from services.billing import rules
from services.billing.tables import (
    BilledPackage,
    Closure,
    DebitFact,
    DebitState,
    Instalment,
    Invoice,
    InvoiceCounter,
    JournalEntry,
    Line,
    Posting,
)
from shared.auth import Caller
from shared.database import Db
from shared.errors import Later, NotFound, Reject
from shared.events.billing import ClosureBilled, DatedAmount, InvoiceIssued
from shared.events.directdebit import DebitDeclined, DebitEvent, DebitItem, DebitSettled, DebitSubmitted
from shared.events.packages import PackageClosed, PackageSold
from shared.ids import new_id
from shared.outbox import publish

STATES: dict[type[DebitEvent], DebitState] = {
    DebitSubmitted: "submitted",
    DebitSettled: "settled",
    DebitDeclined: "declined",
}
STANDING = selectinload(Invoice.instalments).selectinload(Instalment.debit_facts)
"""What tells how invoices stand: two more statements, however many invoices."""


# Invoicing


async def bill_sale(db: Db, sold: PackageSold) -> None:
    """Keep what billing needs of a package, and invoice its sale; a sale heard before changes nothing."""
    terms = sold.terms
    package = await db.scalar(
        insert_or(BilledPackage)
        .values(
            package_id=sold.package_id,
            business_id=db.context.business_id,
            client_id=sold.client_id,
            payer_id=sold.payer_id,
            name=terms.name,
            post_bill=terms.post_bill,
            form=terms.form,
            price_minor=terms.price_minor,
            currency=terms.currency,
            frequency=terms.frequency,
            term_weeks=terms.term_weeks,
            first_due_date=sold.first_due_date,
            auto_pay=sold.auto_pay,
        )
        .on_conflict_do_nothing()
        .returning(BilledPackage)
    )
    if package and (bill := rules.bill_sale(sold)):
        await _issue(db, package, bill, period_index=1)


async def bill_closure(db: Db, closed: PackageClosed) -> None:
    """Invoice what a closure counted, and always answer, once (R-30)."""
    package = await db.get(BilledPackage, closed.package_id)
    if package is None:
        raise Later(f"package {closed.package_id} has been closed, and its sale is not known here yet")
    bill = rules.bill_closure(package, closed, today=db.today)
    first = await db.scalar(
        insert_or(Closure)
        .values(
            closure_id=closed.closure_id,
            business_id=db.context.business_id,
            package_id=closed.package_id,
            closed_date=db.today,
            total_minor=bill.total_minor if bill else 0,
        )
        .on_conflict_do_nothing()
        .returning(Closure.closure_id)
    )
    if first is None:
        return
    invoice_id = await _issue(db, package, bill, closure_id=closed.closure_id) if bill else None
    publish(db, ClosureBilled(package_id=closed.package_id, closure_id=closed.closure_id, invoice_id=invoice_id))


async def _issue(
    db: Db,
    package: BilledPackage,
    bill: rules.Bill,
    *,
    period_index: int | None = None,
    closure_id: UUID | None = None,
) -> UUID:
    """Number and store an invoice, enter it in the journal, and ask for what is due of it; return its id."""
    issued = InvoiceIssued(
        invoice_id=new_id(),
        number=await _next_number(db),
        package_id=package.package_id,
        client_id=package.client_id,
        payer_id=package.payer_id,
        lines=bill.lines,
        instalments=[
            DatedAmount(instalment_id=new_id(), due_date=day, amount_minor=amount) for day, amount in bill.dated
        ],
        total_minor=bill.total_minor,
        currency=package.currency,
    )
    collections = rules.collect(package, issued, today=db.today)
    await _store(db, issued, {each.instalment_id: each.version for each in collections}, period_index, closure_id)
    await _enter(db, [rules.owe(issued)])
    publish(db, issued, *collections)
    return issued.invoice_id


async def _next_number(db: Db) -> int:
    """The next invoice number of the business; its lock is kept to the commit, so none is left out."""
    take = (
        insert_or(InvoiceCounter)
        .values(business_id=db.context.business_id, last_number=1)
        .on_conflict_do_update(
            index_elements=[InvoiceCounter.business_id], set_={"last_number": InvoiceCounter.last_number + 1}
        )
        .returning(InvoiceCounter.last_number)
    )
    number: int = (await db.execute(take)).scalar_one()
    return number


async def _store(
    db: Db, issued: InvoiceIssued, asked: dict[UUID, int], period_index: int | None, closure_id: UUID | None
) -> None:
    """The rows of an invoice, one statement per table. `asked`: the version under which an instalment is collected."""
    of_invoice = {"business_id": db.context.business_id, "invoice_id": issued.invoice_id}
    columns = ("number", "package_id", "client_id", "payer_id", "total_minor", "currency")
    invoice = {name: getattr(issued, name) for name in columns}
    once = {"period_index": period_index, "closure_id": closure_id, "issued_date": db.today}
    await db.execute(insert(Invoice), [of_invoice | invoice | once])
    await db.execute(
        insert(Line),
        [of_invoice | {"position": position} | dict(line) for position, line in enumerate(issued.lines, start=1)],
    )
    await db.execute(
        insert(Instalment),
        [
            of_invoice
            | dict(part)
            | {
                "position": position,
                "state": rules.first_state(part, today=db.today),
                "collection_version": asked.get(part.instalment_id, 0),
            }
            for position, part in enumerate(issued.instalments, start=1)
        ],
    )


# Collecting


async def take_debit(db: Db, event: DebitEvent) -> None:
    """Keep what a debit brought to each of its instalments, and enter the difference in the journal.

    Any number of times, in any order, the same end. Raises Reject for an instalment that is not known here: billing
    itself asked for its collection when it stored it, so no waiting will bring it.
    """
    items = {item.instalment_id: item for item in event.items}
    rows = select(Instalment).where(Instalment.instalment_id.in_(items)).order_by(Instalment.instalment_id)
    whole = (joinedload(Instalment.invoice), selectinload(Instalment.debit_facts))
    instalments = (await db.scalars(rows.options(*whole).with_for_update(of=Instalment))).all()
    if unknown := items.keys() - {instalment.instalment_id for instalment in instalments}:
        raise Reject(f"debit {event.debit_id} is for instalments that never were: {', '.join(map(str, unknown))}")
    entries = []
    for instalment in instalments:
        if instalment.invoice.currency != event.currency:
            raise Reject(f"debit {event.debit_id} is in {event.currency}, the invoice in {instalment.invoice.currency}")
        fact = _debit_fact(db, event, items[instalment.instalment_id])
        if any((known.debit_id, known.sequence) == (fact.debit_id, fact.sequence) for known in instalment.debit_facts):
            continue
        if cash := rules.brings(instalment.debit_facts, fact):
            entries.append(rules.receive(instalment.invoice, fact, cash))
        instalment.debit_facts.append(fact)
        instalment.apply(rules.stand(instalment))
        if isinstance(event, DebitDeclined) and (failed := rules.fail(instalment.invoice, instalment, fact, event)):
            publish(db, failed)
    await _enter(db, entries)


def _debit_fact(db: Db, event: DebitEvent, item: DebitItem) -> DebitFact:
    declined = event if isinstance(event, DebitDeclined) else None
    return DebitFact(
        business_id=db.context.business_id,
        debit_id=event.debit_id,
        sequence=event.sequence,
        state=STATES[type(event)],
        code=declined and declined.code,
        reason_class=declined and declined.reason_class,
        fact_date=db.today,
        **dict(item),
    )


async def _enter(db: Db, entries: Sequence[rules.Entry]) -> None:
    """Write entries with their postings: two statements, however many."""
    if not entries:
        return
    numbered = [(new_id(), entry) for entry in entries]
    business_id = db.context.business_id
    await db.execute(
        insert(JournalEntry),
        [
            {
                "entry_id": entry_id,
                "business_id": business_id,
                "invoice_id": entry.invoice_id,
                "debit_id": entry.debit_id,
                "instalment_id": entry.instalment_id,
                "sequence": entry.sequence,
                "entry_date": db.today,
            }
            for entry_id, entry in numbered
        ],
    )
    await db.execute(
        insert(Posting),
        [
            {
                "entry_id": entry_id,
                "business_id": business_id,
                "account": account,
                "amount_minor": amount,
                "currency": entry.currency,
            }
            for entry_id, entry in numbered
            for account, amount in entry.moves.items()
        ],
    )


# Looking


async def find(db: Db, invoice_id: UUID, *, caller: Caller) -> Invoice:
    """A whole invoice that the caller may see. Raises NotFound."""
    invoice = await db.get(Invoice, invoice_id, options=[STANDING, selectinload(Invoice.lines)])
    if invoice is None or not rules.may_see(invoice, caller.client_id):
        raise NotFound
    return invoice


async def find_package(db: Db, package_id: UUID, *, caller: Caller) -> tuple[BilledPackage, Sequence[Invoice], bool]:
    """A package that the caller may see, its invoices, and whether a closure of it was billed. Raises NotFound."""
    package = await db.get(BilledPackage, package_id)
    if package is None or not rules.may_see(package, caller.client_id):
        raise NotFound
    rows = select(Invoice).where(Invoice.package_id == package_id).options(STANDING)
    invoices = (await db.scalars(rows)).all()
    closed = await db.scalar(select(Closure.closure_id).where(Closure.package_id == package_id).limit(1))
    return package, invoices, closed is not None
