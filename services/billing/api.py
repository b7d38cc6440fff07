"""Billing's web door: shapes out; nothing comes in but questions."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import or_, select
from sqlalchemy.orm import selectinload

from services.billing import actions, rules
from services.billing.tables import (
    Account,
    BilledPackage,
    DebitFact,
    DebitState,
    Instalment,
    Invoice,
    JournalEntry,
    State,
)
from shared.events.catalog import Form, Frequency
from shared.http import Call, Page, Paging, Permitted

router = APIRouter(tags=["billing"])

TabOrClient = Annotated[Call, Permitted("billing.tab.access", clients=True)]
Reports = Annotated[Call, Permitted("report.view")]


class LineView(BaseModel, from_attributes=True):
    """A package sold, or one session used."""

    description: str
    amount_minor: int
    booking_id: UUID | None


class InstalmentView(BaseModel):
    """A dated part of an invoice, and how it stands."""

    instalment_id: UUID
    due_date: date
    amount_minor: int
    open_minor: int
    in_flight_minor: int
    state: State
    label: rules.Label

    @classmethod
    def of(cls, instalment: Instalment, today: date) -> Self:
        standing = rules.stand(instalment)
        return cls(
            instalment_id=instalment.instalment_id,
            due_date=instalment.due_date,
            amount_minor=instalment.amount_minor,
            open_minor=standing.open_minor,
            in_flight_minor=standing.in_flight_minor,
            state=standing.state,
            label=rules.label([standing], today=today),
        )


class PaymentFactView(BaseModel, from_attributes=True):
    """What became known of a debit for an instalment: absolute amounts, as of then."""

    debit_id: UUID
    instalment_id: UUID
    sequence: int
    attempt_no: int
    state: DebitState
    collected_minor: int
    in_flight_minor: int
    final: bool
    code: str | None
    reason_class: str | None
    fact_date: date


class InvoiceView(BaseModel):
    """An invoice and how it stands."""

    invoice_id: UUID
    number: int
    package_id: UUID
    period_index: int | None
    closure_id: UUID | None
    client_id: UUID
    payer_id: UUID
    issued_date: date
    total_minor: int
    open_minor: int
    in_flight_minor: int
    currency: str
    label: rules.Label

    @classmethod
    def of(cls, invoice: Invoice, today: date) -> Self:
        derived = _standing([invoice], today)
        return cls(**{name: getattr(invoice, name) for name in cls.model_fields if name not in derived} | derived)


class WholeInvoice(InvoiceView):
    """An invoice with its lines and instalments (CC-12), and what its debits have brought, in order."""

    lines: list[LineView]
    instalments: list[InstalmentView]
    payments: list[PaymentFactView]

    @classmethod
    def of(cls, invoice: Invoice, today: date) -> Self:
        facts = [fact for instalment in invoice.instalments for fact in instalment.debit_facts]
        return cls(
            **dict(InvoiceView.of(invoice, today)),
            lines=[LineView.model_validate(line) for line in invoice.lines],
            instalments=[InstalmentView.of(instalment, today) for instalment in invoice.instalments],
            payments=[PaymentFactView.model_validate(fact) for fact in sorted(facts, key=_when)],
        )


def _standing(invoices: Iterable[Invoice], today: date) -> dict[str, Any]:
    """What is open and in flight of some invoices together, and how that reads."""
    standings = [rules.stand(instalment) for invoice in invoices for instalment in invoice.instalments]
    return {
        "open_minor": sum(standing.open_minor for standing in standings),
        "in_flight_minor": sum(standing.in_flight_minor for standing in standings),
        "label": rules.label(standings, today=today),
    }


def _when(fact: DebitFact) -> tuple[date, int, UUID, int, UUID]:
    """The order of debit facts: by day and attempt, and within a debit as directdebit numbered them."""
    return fact.fact_date, fact.attempt_no, fact.debit_id, fact.sequence, fact.instalment_id


class Billing(BaseModel):
    """On what terms a package is billed, and how all its invoices together stand."""

    form: Form | None
    price_minor: int | None
    currency: str
    frequency: Frequency | None
    term_weeks: int | None
    first_due_date: date
    auto_pay: bool
    invoiced_minor: int
    open_minor: int
    in_flight_minor: int
    label: rules.Label | None
    """Null when nothing was used, so nothing invoiced (R-30)."""


class PackageBilling(BaseModel):
    """What billing tells of a package: nothing while a post-billed one is open (EZ-19)."""

    package_id: UUID
    billing: Billing | None

    @classmethod
    def of(cls, package: BilledPackage, invoices: Sequence[Invoice], closed: bool, today: date) -> Self:
        if package.post_bill and not closed:
            return cls(package_id=package.package_id, billing=None)
        derived = _standing(invoices, today) | {"invoiced_minor": sum(invoice.total_minor for invoice in invoices)}
        if not invoices:
            derived["label"] = None
        terms = {name: getattr(package, name) for name in Billing.model_fields if name not in derived}
        return cls(package_id=package.package_id, billing=Billing(**terms | derived))


class PostingView(BaseModel, from_attributes=True):
    """One side of an entry."""

    account: Account
    amount_minor: int
    currency: str


class EntryView(BaseModel, from_attributes=True):
    """An entry of the journal, and of which invoice, debit and fact it speaks."""

    entry_id: UUID
    entry_date: date
    invoice_id: UUID
    debit_id: UUID | None
    instalment_id: UUID | None
    sequence: int | None
    recorded_at: AwareDatetime
    postings: list[PostingView]


@router.get("/invoices")
async def list_invoices(
    call: TabOrClient, paging: Paging, package_id: UUID | None = None, client_id: UUID | None = None
) -> Page[InvoiceView]:
    """The invoices of the business; for a client, those they pay or that are for them."""
    wanted = {"package_id": package_id, "client_id": client_id}
    rows = select(Invoice).filter_by(**{name: value for name, value in wanted.items() if value is not None})
    if (reader := call.caller.client_id) is not None:
        rows = rows.where(or_(Invoice.client_id == reader, Invoice.payer_id == reader))
    async with call.transaction() as db:
        today = db.today

        def view(invoice: Invoice) -> InvoiceView:
            return InvoiceView.of(invoice, today)

        return await paging.page(db, rows.options(actions.STANDING), Invoice.invoice_id, view)


@router.get("/invoices/{invoice_id}")
async def show_invoice(invoice_id: UUID, call: TabOrClient) -> WholeInvoice:
    """One invoice."""
    async with call.transaction() as db:
        return WholeInvoice.of(await actions.find(db, invoice_id, caller=call.caller), db.today)


@router.get("/packages/{package_id}/billing")
async def show_package(package_id: UUID, call: TabOrClient) -> PackageBilling:
    """What is owed for a package; nothing is told while a post-billed one is open (EZ-19)."""
    async with call.transaction() as db:
        package, invoices, closed = await actions.find_package(db, package_id, caller=call.caller)
        return PackageBilling.of(package, invoices, closed, db.today)


@router.get("/journal")
async def list_entries(call: Reports, paging: Paging) -> Page[EntryView]:
    """The journal, in the order it was written."""
    rows = select(JournalEntry).options(selectinload(JournalEntry.postings))
    async with call.transaction() as db:
        return await paging.page(db, rows, JournalEntry.entry_id, EntryView.model_validate)
