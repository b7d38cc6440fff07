"""Billing's verbs: invoice what was sold, closed or fell due, take what debits and people bring, keep the journal."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import joinedload, selectinload

from services.billing.rules.invoicing import ask
from services.billing.rules.standing import Entry, may_see
from services.billing.tables.invoices import Instalment, Invoice
from services.billing.tables.journal import JournalEntry, Posting
from services.billing.tables.packages import BilledPackage, Closure
from shared.auth import Caller
from shared.database import Db
from shared.errors import NotFound
from shared.events.billing import InvoiceIssued
from shared.ids import new_id
from shared.outbox import publish

STANDING = selectinload(Invoice.instalments).selectinload(Instalment.debit_facts)
"""What tells how invoices stand: two more statements, however many invoices."""
LOCKED = (
    select(Instalment)
    .order_by(Instalment.instalment_id)
    .options(
        joinedload(Instalment.invoice).selectinload(Invoice.package),
        selectinload(Instalment.debit_facts),
    )
    .with_for_update(of=Instalment)
    .execution_options(populate_existing=True)
)
"""Instalments with what tells how they stand, for this transaction alone.

Debits and packages are read after the lock was got: whoever held it may have changed them.
"""


async def enter(db: Db, entries: Sequence[Entry]) -> None:
    """Write entries with their postings: two statements, however many; the database sees that each entry balances."""
    numbered = [(new_id(), entry) for entry in entries if entry.moves]
    if not numbered:
        return
    business_id = db.context.business_id
    await db.flush()
    await db.execute(
        insert(JournalEntry).values(
            [
                {
                    "entry_id": entry_id,
                    "business_id": business_id,
                    "invoice_id": entry.invoice_id,
                    "instalment_id": entry.instalment_id,
                    "debit_id": entry.debit_id,
                    "sequence": entry.sequence,
                    "payment_id": entry.payment_id,
                    "entry_date": db.today,
                }
                for entry_id, entry in numbered
            ]
        )
    )
    await db.execute(
        insert(Posting).values(
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
            ]
        )
    )


def request(db: Db, instalment: Instalment, bill: Invoice | InvoiceIssued, *, auto_pay: bool) -> None:
    """Tell directdebit how much of an instalment is to be collected, where that is news."""
    if asked := ask(instalment, auto_pay=auto_pay, payer_id=bill.payer_id, currency=bill.currency):
        instalment.apply(asked)
        publish(db, asked)


async def find(db: Db, invoice_id: UUID, *, caller: Caller) -> Invoice:
    """A whole invoice that the caller may see. Raises NotFound."""
    whole = [STANDING, selectinload(Invoice.lines), selectinload(Invoice.payments)]
    invoice = await db.get(Invoice, invoice_id, options=whole)
    if invoice is None or not may_see(invoice, caller.client_id):
        raise NotFound
    return invoice


async def find_package(db: Db, package_id: UUID, *, caller: Caller) -> tuple[BilledPackage, Sequence[Invoice], bool]:
    """A package that the caller may see, its invoices, and whether a closure of it was billed. Raises NotFound."""
    package = await db.get(BilledPackage, package_id)
    if package is None or not may_see(package, caller.client_id):
        raise NotFound
    rows = select(Invoice).where(Invoice.package_id == package_id).options(STANDING)
    invoices = (await db.scalars(rows)).all()
    closed = await db.scalar(select(Closure.closure_id).where(Closure.package_id == package_id).limit(1))
    return package, invoices, closed is not None
