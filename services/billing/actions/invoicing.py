"""What is invoiced at a sale and at a close; and what a close takes back."""

from datetime import date
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as insert_or

from services.billing.actions import LOCKED, enter, request
from services.billing.actions.daily import billed_until
from services.billing.actions.falling_due import open_periods
from services.billing.rules import invoicing, standing
from services.billing.tables.invoices import Instalment, Invoice, InvoiceCounter, Line
from services.billing.tables.packages import BilledPackage, Closure, PackageEnded
from shared.database import Db
from shared.errors import Later
from shared.events.billing import ClosureBilled, DatedAmount, InvoiceIssued
from shared.events.packages import PackageClosed, PackageSold
from shared.ids import new_id
from shared.outbox import publish


async def bill_sale(db: Db, sold: PackageSold) -> None:
    """Keep what billing needs of a package, invoice its sale, and bill what of it has fallen due already.

    A sale heard before changes nothing.
    """
    until = await billed_until(db)
    terms = sold.terms
    package = BilledPackage(
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
        auto_pay_version=0,
        next_index=2,
        next_due_date=None,
        ended_date=None,
    )
    package.next_due_date = invoicing.next_due(package, 2)
    columns = {column.name: getattr(package, column.name) for column in BilledPackage.__table__.columns}
    new = insert_or(BilledPackage).values(columns).on_conflict_do_nothing().returning(BilledPackage.package_id)
    if await db.scalar(new) is None:
        return
    if bill := invoicing.bill_sale(sold):
        await _issue(db, package, bill, until, period_index=1)
    while (await open_periods(db, until, package_id=sold.package_id))[0]:
        pass


async def bill_closure(db: Db, closed: PackageClosed) -> None:
    """Invoice what a closure counted, open no more periods, and always answer, once (R-30)."""
    until = await billed_until(db)
    package = await db.get(BilledPackage, closed.package_id, with_for_update=True, populate_existing=True)
    if package is None:
        raise Later(f"package {closed.package_id} has been closed, and its sale is not known here yet")
    bill = invoicing.bill_closure(package, closed, today=db.today)
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
    if package.ended_date is None:
        package.apply(PackageEnded(db.today))
        await _take_back(db, package)
    invoice_id = await _issue(db, package, bill, until, closure_id=closed.closure_id) if bill else None
    publish(db, ClosureBilled(package_id=closed.package_id, closure_id=closed.closure_id, invoice_id=invoice_id))


async def _take_back(db: Db, package: BilledPackage) -> None:
    """Void what falls away with the close: parts of a fixed term, and invoices made because the close was heard late.

    The dates decide, and not which of the two was heard first.
    """
    later = LOCKED.join(Instalment.invoice).where(
        Invoice.package_id == package.package_id, Instalment.due_date > package.ended_date
    )
    entries = []
    for instalment in (await db.scalars(later)).all():
        if not standing.falls_away(package, instalment):
            continue
        brought = standing.brought(instalment)
        moves = standing.moves((standing.owed(instalment), brought), (0, brought))
        invoice = instalment.invoice
        entries.append(standing.Entry(invoice.invoice_id, invoice.currency, moves, instalment.instalment_id))
        instalment.apply(standing.withdraw(instalment))
        request(db, instalment, invoice, auto_pay=package.auto_pay)
    await enter(db, entries)


async def _issue(
    db: Db,
    package: BilledPackage,
    bill: invoicing.Bill,
    until: date,
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
    publish(db, issued)
    instalments = _instalments(db, issued, until)
    for instalment in instalments:
        request(db, instalment, issued, auto_pay=package.auto_pay)
    await _store(db, issued, instalments, period_index, closure_id)
    owed = standing.moves((0, 0), (issued.total_minor, 0))
    await enter(db, [standing.Entry(issued.invoice_id, issued.currency, owed)])
    return issued.invoice_id


def _instalments(db: Db, issued: InvoiceIssued, until: date) -> list[Instalment]:
    return [
        Instalment(
            **dict(part),
            business_id=db.context.business_id,
            invoice_id=issued.invoice_id,
            position=position,
            paid_minor=0,
            state=invoicing.first_state(part.due_date, billed_until=until),
            collection_version=0,
            target_minor=0,
        )
        for position, part in enumerate(issued.instalments, start=1)
    ]


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
    db: Db,
    issued: InvoiceIssued,
    instalments: list[Instalment],
    period_index: int | None,
    closure_id: UUID | None,
) -> None:
    """The rows of an invoice, one statement per table."""
    of_invoice = {"business_id": db.context.business_id, "invoice_id": issued.invoice_id}
    columns = ("number", "package_id", "client_id", "payer_id", "total_minor", "currency")
    invoice = {name: getattr(issued, name) for name in columns}
    once = {"period_index": period_index, "closure_id": closure_id, "issued_date": db.today}
    await db.execute(insert(Invoice), [of_invoice | invoice | once])
    lines = [of_invoice | {"position": position} | dict(line) for position, line in enumerate(issued.lines, start=1)]
    await db.execute(insert(Line), lines)
    db.add_all(instalments)
    await db.flush()
