"""What billing tells: what is owed, and what should be collected."""

from datetime import date
from typing import Literal
from uuid import UUID

from shared.events import Event, Part
from shared.money import Currency


class InvoiceLine(Part):
    """One line: a package sold, or one session used."""

    description: str
    amount_minor: int
    booking_id: UUID | None = None


class DatedAmount(Part):
    """A dated part of an invoice."""

    instalment_id: UUID
    due_date: date
    amount_minor: int


class InvoiceIssued(Event, type="billing.invoice_issued.v1", subject="invoice_id"):
    """A payer owes a new invoice."""

    invoice_id: UUID
    number: int
    package_id: UUID
    client_id: UUID
    payer_id: UUID
    lines: list[InvoiceLine]
    instalments: list[DatedAmount]
    total_minor: int
    currency: Currency


class ClosureBilled(Event, type="billing.closure_billed.v1", subject="package_id"):
    """A closure has been billed; without an invoice when nothing was used (R-30)."""

    package_id: UUID
    closure_id: UUID
    invoice_id: UUID | None


class CollectionRequested(Event, type="billing.collection_requested.v1", subject="instalment_id", bulk=True):
    """This much of an instalment is to be collected by debit: an absolute target, and the newest version wins."""

    instalment_id: UUID
    version: int
    target_minor: int
    currency: Currency
    collect_date: date
    payer_id: UUID


class CollectionFailed(Event, type="billing.collection_failed.v1", subject="instalment_id"):
    """A debit for an instalment was declined; the instalment is owed again."""

    instalment_id: UUID
    invoice_id: UUID
    invoice_number: int
    debit_id: UUID
    attempt_no: int
    client_id: UUID
    payer_id: UUID
    amount_minor: int
    currency: Currency
    reason_class: Literal["soft", "hard"]
    final: bool
