"""Billing's web door: shapes in, shapes out."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import or_, select
from sqlalchemy.orm import selectinload

from services.billing import actions
from services.billing.actions import paying
from services.billing.rules import standing
from services.billing.tables.invoices import Instalment, Invoice, State
from services.billing.tables.journal import Account, JournalEntry
from services.billing.tables.packages import BilledPackage
from services.billing.tables.payments import DebitFact, DebitState, Method
from shared.clock import Day
from shared.events.catalog import Form, Frequency
from shared.events.directdebit import ReasonClass
from shared.http import Body, Call, Page, Paging, Permitted
from shared.money import Minor
from shared.texts import Line

router = APIRouter(tags=["billing"])

TabOrClient = Annotated[Call, Permitted("billing.tab.access", clients=True)]
Cashier = Annotated[Call, Permitted("invoice.manage")]
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
    label: standing.Label
    next_attempt_date: date | None
    """As the debit that failed last has said; what came of it since, directdebit's `/collections` knows."""
    """From when it is debited again by itself, after a debit has failed."""

    @classmethod
    def of(cls, instalment: Instalment, today: date) -> Self:
        stands = standing.stand(instalment)
        return cls(
            instalment_id=instalment.instalment_id,
            due_date=instalment.due_date,
            amount_minor=instalment.amount_minor,
            open_minor=stands.open_minor,
            in_flight_minor=stands.in_flight_minor,
            state=stands.state,
            label=standing.label([stands], today=today),
            next_attempt_date=standing.next_attempt(instalment),
        )


class DebitFactView(BaseModel, from_attributes=True):
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
    reason_class: ReasonClass | None
    next_attempt_date: date | None
    fact_date: date


class PaymentView(BaseModel, from_attributes=True):
    """Money that was handed over at the desk."""

    payment_id: UUID
    method: Method
    amount_minor: int
    paid_date: date
    reference: str | None
    recorded_by: str


class NewPayment(Body):
    """Money handed over for an invoice: today, unless it was before."""

    amount_minor: Annotated[Minor, Field(gt=0)]
    method: Method
    paid_date: Day | None = None
    reference: Line | None = None


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
    label: standing.Label

    @classmethod
    def of(cls, invoice: Invoice, today: date) -> Self:
        derived = _standing([invoice], today)
        return cls(**{name: getattr(invoice, name) for name in cls.model_fields if name not in derived} | derived)


class WholeInvoice(InvoiceView):
    """An invoice with its lines and instalments (CC-12), and what debits and people have brought, in order."""

    lines: list[LineView]
    instalments: list[InstalmentView]
    debits: list[DebitFactView]
    payments: list[PaymentView]

    @classmethod
    def of(cls, invoice: Invoice, today: date) -> Self:
        facts = [fact for instalment in invoice.instalments for fact in instalment.debit_facts]
        return cls(
            **dict(InvoiceView.of(invoice, today)),
            lines=[LineView.model_validate(line) for line in invoice.lines],
            instalments=[InstalmentView.of(instalment, today) for instalment in invoice.instalments],
            debits=[DebitFactView.model_validate(fact) for fact in sorted(facts, key=_when)],
            payments=[PaymentView.model_validate(payment) for payment in invoice.payments],
        )


def _standing(invoices: Iterable[Invoice], today: date) -> dict[str, Any]:
    """What is open and in flight of some invoices together, and how that reads."""
    stands = [standing.stand(instalment) for invoice in invoices for instalment in invoice.instalments]
    return {
        "open_minor": sum(each.open_minor for each in stands),
        "in_flight_minor": sum(each.in_flight_minor for each in stands),
        "label": standing.label(stands, today=today),
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
    invoiced_minor: int
    open_minor: int
    in_flight_minor: int
    label: standing.Label | None
    """Null when nothing was used, so nothing invoiced (R-30)."""


class PackageBilling(BaseModel):
    """What billing tells of a package: nothing of what is owed while a post-billed one is open (EZ-19)."""

    package_id: UUID
    auto_pay: bool
    billing: Billing | None

    @classmethod
    def of(cls, package: BilledPackage, invoices: Sequence[Invoice], closed: bool, today: date) -> Self:
        if package.post_bill and not closed:
            return cls(package_id=package.package_id, auto_pay=package.auto_pay, billing=None)
        owed = sum(standing.owed(part) for invoice in invoices for part in invoice.instalments)
        derived = _standing(invoices, today) | {"invoiced_minor": owed}
        if not invoices:
            derived["label"] = None
        terms = {name: getattr(package, name) for name in Billing.model_fields if name not in derived}
        billing = Billing(**terms | derived)
        return cls(package_id=package.package_id, auto_pay=package.auto_pay, billing=billing)


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
    payment_id: UUID | None
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


@router.post("/invoices/{invoice_id}/payments", status_code=201)
async def record_payment(invoice_id: UUID, new: NewPayment, call: Cashier) -> WholeInvoice:
    """Record money that was handed over at the desk; that much less is collected by debit."""
    await call.once(paying.record_payment, None, invoice_id, caller=call.caller, **dict(new))
    return await show_invoice(invoice_id, call)


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
