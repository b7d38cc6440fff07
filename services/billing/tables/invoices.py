"""Invoices with their lines, and the instalments in which they are owed."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.billing.tables.packages import Amount, Base, BilledPackage
from services.billing.tables.payments import DebitFact, Payment
from shared.database import BusinessRow
from shared.events.billing import CollectionRequested

State = Literal["scheduled", "due", "paid", "void", "waived"]
OWES_NOTHING = ("void", "waived")
SCHEDULED = text("state = 'scheduled'")
UNREMINDED = text("state = 'due' and reminded_date is null")


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

    package: Mapped[BilledPackage] = relationship(lazy="raise", viewonly=True)
    lines: Mapped[list["Line"]] = relationship(order_by="Line.position", lazy="raise", viewonly=True)
    payments: Mapped[list[Payment]] = relationship(order_by="Payment.payment_id", lazy="raise", viewonly=True)
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
        CheckConstraint(
            "target_minor between 0 and amount_minor and (collection_version > 0 or target_minor = 0)",
            name="asks_for_no_more",
        ),
        CheckConstraint("reminded_date > due_date", name="reminded_when_overdue"),
        Index("ix_instalments_scheduled", "business_id", "due_date", "instalment_id", postgresql_where=SCHEDULED),
        Index("ix_instalments_unreminded", "business_id", "due_date", "instalment_id", postgresql_where=UNREMINDED),
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
    target_minor: Mapped[Amount] = mapped_column(default=0, server_default="0")
    """What the newest `CollectionRequested` asks for; 0 while none has been published."""
    reminded_date: Mapped[date | None]
    """When its payer was reminded of it; the day's run does that, once."""

    invoice: Mapped[Invoice] = relationship(lazy="raise", back_populates="instalments")
    debit_facts: Mapped[list[DebitFact]] = relationship(lazy="raise")

    def apply(self, fact: Standing | PaidByHand | CollectionRequested) -> None:
        """The only way an instalment changes, but for what the day's run does to thousands."""
        match fact:
            case Standing():
                self.state = fact.state
            case PaidByHand():
                self.paid_minor += fact.amount_minor
            case CollectionRequested():
                self.collection_version = fact.version
                self.target_minor = fact.target_minor
