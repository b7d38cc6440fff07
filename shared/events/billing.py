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


class PeriodOpened(Event, type="billing.period_opened.v1", subject="package_id", bulk=True):
    """The next period of a recurring package has fallen due; it brings the period's sessions (OE-16, CC-17)."""

    package_id: UUID
    period_index: int
    due_date: date


class DayBilled(Event, type="billing.day_billed.v1", subject="business_id", bulk=True):
    """All that falls due on a date, or fell due before, has been billed. `current`: no later date waits to be billed.

    `since_date` is the first date of the run that caught up to it; `collections_requested` says how many of them carry
    this date as their `run_date`.
    """

    business_id: UUID
    since_date: date
    business_date: date
    current: bool
    collections_requested: int


class CollectionRequested(Event, type="billing.collection_requested.v1", subject="instalment_id", bulk=True):
    """This much of an instalment is to be collected by debit: an absolute target, and the newest version wins."""

    instalment_id: UUID
    version: int
    target_minor: int
    currency: Currency
    collect_date: date
    payer_id: UUID
    run_date: date | None = None
    """The date whose run asked for it; none where it was asked for in between."""


class CollectionFailed(Event, type="billing.collection_failed.v1", subject="instalment_id"):
    """A debit for an instalment brought nothing, or lost what it had brought; the instalment is owed again.

    `final`: nothing is tried again by itself; else it is, from `next_attempt_date`.
    """

    instalment_id: UUID
    invoice_id: UUID
    invoice_number: int
    debit_id: UUID
    attempt_no: int
    client_id: UUID
    payer_id: UUID
    amount_minor: int
    currency: Currency
    what: Literal["declined", "returned", "claimed"] = "declined"
    reason_class: Literal["soft", "hard"]
    final: bool
    next_attempt_date: date | None = None


class InstalmentOverdue(Event, type="billing.instalment_overdue.v1", subject="instalment_id"):
    """An instalment is owed for some days, and nothing is on its way for it: its payer is to be reminded, once."""

    instalment_id: UUID
    invoice_id: UUID
    invoice_number: int
    client_id: UUID
    payer_id: UUID
    due_date: date
    amount_minor: int
    currency: Currency
