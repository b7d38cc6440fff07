"""The journal, which the database keeps balanced."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Text, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.billing.tables.packages import Amount, Base
from shared.database import BusinessRow

Account = Literal["receivable", "sales", "cash", "account_balance"]


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
