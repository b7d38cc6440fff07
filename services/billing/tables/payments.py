"""What was brought for instalments: payments by hand, and what became known of debits."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from services.billing.tables.packages import Amount, Base
from shared.database import BusinessRow
from shared.events.billing import CollectionFailed
from shared.events.directdebit import ReasonClass

DebitState = Literal["submitted", "settled", "declined", "returned", "claimed"]
Method = Literal["cash", "card"]


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
        CheckConstraint("state in ('submitted', 'settled', 'declined', 'returned', 'claimed')", name="has_a_state"),
        CheckConstraint("not told or state in ('declined', 'returned', 'claimed')", name="tells_of_a_failure"),
        Index("uq_debit_facts_told", "debit_id", "instalment_id", unique=True, postgresql_where=text("told")),
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
    reason_class: Mapped[ReasonClass | None] = mapped_column(Text)
    next_attempt_date: Mapped[date | None]
    """From when the instalment is debited again by itself, after this debit has failed."""
    told: Mapped[bool] = mapped_column(default=False, server_default="false")
    """Whether this fact is the one of its debit by which the payer was told that it failed."""
    fact_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    def apply(self, _: CollectionFailed) -> None:
        """The only way a fact changes: its payer has been told of it."""
        self.told = True
