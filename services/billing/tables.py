"""The rows billing owns: packages as it bills them, invoices, instalments, debit facts, and the journal."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.database import BusinessRow, Row, metadata
from shared.events.billing import CollectionRequested
from shared.schedule import Frequency

State = Literal["scheduled", "due", "paid", "void", "waived"]
DebitState = Literal["submitted", "settled", "declined"]
Account = Literal["receivable", "sales", "cash", "account_balance"]
Method = Literal["cash", "card"]
OWES_NOTHING = ("void", "waived")
HAS_NEXT, SCHEDULED = text("next_due_date is not null"), text("state = 'scheduled'")
Amount = Annotated[int, mapped_column(BigInteger)]


class Base(Row):
    __abstract__ = True
    metadata = metadata()


@dataclass(frozen=True)
class PackageEnded:
    """A package was closed: it has no period that falls due after this day."""

    ended_date: date


class BilledPackage(BusinessRow, Base):
    """What billing needs to know of a package, as sold."""

    __tablename__ = "billed_packages"
    __table_args__ = (
        Index("ix_billed_packages_due", "business_id", "next_due_date", "package_id", postgresql_where=HAS_NEXT),
    )

    package_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    payer_id: Mapped[UUID]
    name: Mapped[str]
    post_bill: Mapped[bool]
    form: Mapped[str | None]
    price_minor: Mapped[Amount | None]
    currency: Mapped[str]
    frequency: Mapped[Frequency | None] = mapped_column(Text)
    term_weeks: Mapped[int | None]
    first_due_date: Mapped[date]
    auto_pay: Mapped[bool]
    next_index: Mapped[int]
    """The period that falls due next; those before it have been opened, each once (R-09)."""
    next_due_date: Mapped[date | None]
    """When it falls due; none where no period will come."""
    ended_date: Mapped[date | None]
    """The day on which the package was closed: no period that falls due later is billed."""

    def apply(self, fact: PackageEnded) -> None:
        """The only way it changes, but for the periods that the day's run opens."""
        self.ended_date = fact.ended_date
        if self.next_due_date and self.next_due_date > fact.ended_date:
            self.next_due_date = None

    @property
    def open_ended(self) -> bool:
        """Recurring without a last period: each period has an invoice of its own (OE-03, OE-11)."""
        return self.form == "recurring" and not self.term_weeks


class DailyRun(Base):
    """How far the days of a business are billed. Who makes something due, and who bills a day, owns the row first."""

    __tablename__ = "daily_runs"
    __table_args__ = (CheckConstraint("last_done <= target", name="ends_at_its_target"),)

    business_id: Mapped[UUID] = mapped_column(primary_key=True)
    last_done: Mapped[date]
    target: Mapped[date]
    since_date: Mapped[date]
    """The first date of the run that is catching up, or was the last to."""
    collections_requested: Mapped[int] = mapped_column(default=0)
    """By the date in hand, so far."""


class Closure(BusinessRow, Base):
    """A closure that has been billed, were it for nothing."""

    __tablename__ = "closures"

    closure_id: Mapped[UUID] = mapped_column(primary_key=True)
    package_id: Mapped[UUID] = mapped_column(ForeignKey("billed_packages.package_id"), index=True)
    closed_date: Mapped[date]
    total_minor: Mapped[Amount]


class InvoiceCounter(Base):
    """The last invoice number of a business; taken under a lock, so that a number is never left out."""

    __tablename__ = "invoice_counters"

    business_id: Mapped[UUID] = mapped_column(primary_key=True)
    last_number: Mapped[int]


class Invoice(BusinessRow, Base):
    """A numbered demand to a payer, for a period of a package or for a closure; never edited."""

    __tablename__ = "invoices"
    __table_args__ = (
        UniqueConstraint("business_id", "number"),
        UniqueConstraint("package_id", "period_index"),
        CheckConstraint("num_nonnulls(period_index, closure_id) = 1", name="for_one_thing"),
        CheckConstraint("total_minor > 0", name="asks_for_money"),
        Index("ix_invoices_of_a_client", "business_id", "client_id", "invoice_id"),
        Index("ix_invoices_of_a_payer", "business_id", "payer_id", "invoice_id"),
    )

    invoice_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int]
    package_id: Mapped[UUID] = mapped_column(ForeignKey("billed_packages.package_id"))
    period_index: Mapped[int | None]
    closure_id: Mapped[UUID | None] = mapped_column(ForeignKey("closures.closure_id"), unique=True)
    client_id: Mapped[UUID]
    payer_id: Mapped[UUID]
    total_minor: Mapped[Amount]
    currency: Mapped[str]
    issued_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    lines: Mapped[list["Line"]] = relationship(order_by="Line.position", lazy="raise", viewonly=True)
    payments: Mapped[list["Payment"]] = relationship(order_by="Payment.payment_id", lazy="raise", viewonly=True)
    instalments: Mapped[list["Instalment"]] = relationship(
        order_by="Instalment.position", lazy="raise", back_populates="invoice"
    )


class Line(BusinessRow, Base):
    """One line of an invoice: a package sold, or one session used. A session is billed once."""

    __tablename__ = "invoice_lines"

    invoice_id: Mapped[UUID] = mapped_column(ForeignKey("invoices.invoice_id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    description: Mapped[str]
    amount_minor: Mapped[Amount]
    booking_id: Mapped[UUID | None] = mapped_column(unique=True)


@dataclass(frozen=True)
class Standing:
    """How an instalment stands: what is open of it, in flight by debit, and paid for now."""

    state: State
    due_date: date
    open_minor: int
    in_flight_minor: int
    provisional_minor: int


@dataclass(frozen=True)
class PaidByHand:
    """So much more of an instalment was handed over at the desk."""

    amount_minor: int


class Instalment(BusinessRow, Base):
    """A dated part of an invoice; what can be collected."""

    __tablename__ = "instalments"
    __table_args__ = (
        UniqueConstraint("invoice_id", "position"),
        CheckConstraint("amount_minor > 0", name="asks_for_money"),
        CheckConstraint("state in ('scheduled', 'due', 'paid', 'void', 'waived')", name="has_a_state"),
        CheckConstraint("paid_minor >= 0 and paid_minor <= amount_minor", name="paid_by_hand"),
        Index("ix_instalments_scheduled", "business_id", "due_date", "instalment_id", postgresql_where=SCHEDULED),
    )

    instalment_id: Mapped[UUID] = mapped_column(primary_key=True)
    invoice_id: Mapped[UUID] = mapped_column(ForeignKey("invoices.invoice_id"))
    position: Mapped[int]
    due_date: Mapped[date]
    amount_minor: Mapped[Amount]
    paid_minor: Mapped[Amount] = mapped_column(default=0)
    """What was paid by hand: the sum of the parts of payments that went to it."""
    state: Mapped[State] = mapped_column(Text)
    collection_version: Mapped[int]
    """The version of the newest `CollectionRequested`; 0 while none has been published (docs/decisions/0001)."""

    invoice: Mapped[Invoice] = relationship(lazy="raise", back_populates="instalments")
    debit_facts: Mapped[list["DebitFact"]] = relationship(lazy="raise")

    def apply(self, fact: Standing | PaidByHand | CollectionRequested) -> None:
        """The only way an instalment changes."""
        match fact:
            case Standing():
                self.state = fact.state
            case PaidByHand():
                self.paid_minor += fact.amount_minor
            case CollectionRequested():
                self.collection_version = fact.version


class Payment(BusinessRow, Base):
    """Money that was handed over at the desk, for an invoice; never changed, never deleted."""

    __tablename__ = "payments"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="brings_money"),)

    payment_id: Mapped[UUID] = mapped_column(primary_key=True)
    invoice_id: Mapped[UUID] = mapped_column(ForeignKey("invoices.invoice_id"), index=True)
    method: Mapped[Method] = mapped_column(Text)
    amount_minor: Mapped[Amount]
    paid_date: Mapped[date]
    reference: Mapped[str | None]
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PaymentPart(BusinessRow, Base):
    """The part of a payment that went to one instalment."""

    __tablename__ = "payment_parts"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="brings_money"),)

    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.payment_id"), primary_key=True)
    instalment_id: Mapped[UUID] = mapped_column(ForeignKey("instalments.instalment_id"), primary_key=True, index=True)
    amount_minor: Mapped[Amount]


class DebitFact(BusinessRow, Base):
    """What directdebit once said about a debit and an instalment; the newest sequence of a debit is true now.

    Every fact is kept, a late one too, so that the history does not depend on the order in which facts came.
    """

    __tablename__ = "debit_facts"
    __table_args__ = (
        CheckConstraint("collected_minor >= 0 and in_flight_minor >= 0", name="counts_up"),
        CheckConstraint("state in ('submitted', 'settled', 'declined')", name="has_a_state"),
    )

    debit_id: Mapped[UUID] = mapped_column(primary_key=True)
    instalment_id: Mapped[UUID] = mapped_column(ForeignKey("instalments.instalment_id"), primary_key=True, index=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[DebitState] = mapped_column(Text)
    attempt_no: Mapped[int]
    collected_minor: Mapped[Amount]
    in_flight_minor: Mapped[Amount]
    final: Mapped[bool]
    code: Mapped[str | None]
    reason_class: Mapped[str | None]
    fact_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class JournalEntry(BusinessRow, Base):
    """Why money moved: an invoice was issued or voided, a payment came, a debit brought or lost some.

    Never changed, never deleted.
    """

    __tablename__ = "journal_entries"
    __table_args__ = (
        UniqueConstraint("debit_id", "instalment_id", "sequence"),
        UniqueConstraint("payment_id", "instalment_id"),
    )

    entry_id: Mapped[UUID] = mapped_column(primary_key=True)
    invoice_id: Mapped[UUID] = mapped_column(ForeignKey("invoices.invoice_id"), index=True)
    debit_id: Mapped[UUID | None]
    instalment_id: Mapped[UUID | None]
    sequence: Mapped[int | None]
    payment_id: Mapped[UUID | None]
    entry_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    postings: Mapped[list["Posting"]] = relationship(
        lazy="raise", viewonly=True, order_by="Posting.amount_minor.desc()"
    )


class Posting(BusinessRow, Base):
    """One side of an entry; the database keeps the sides of an entry at zero, per currency."""

    __tablename__ = "postings"
    __table_args__ = (CheckConstraint("amount_minor <> 0", name="moves_money"),)

    entry_id: Mapped[UUID] = mapped_column(ForeignKey("journal_entries.entry_id"), primary_key=True)
    account: Mapped[Account] = mapped_column(Text, primary_key=True)
    amount_minor: Mapped[Amount]
    currency: Mapped[str]
