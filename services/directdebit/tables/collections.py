"""What billing wants collected, the days that it has billed, and the runs that send what is due."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, func, select, text
from sqlalchemy.orm import Mapped, column_property, mapped_column

from services.directdebit.tables import Amount, Base
from services.directdebit.tables.debits import DebitItem
from shared.database import BusinessRow
from shared.events.billing import CollectionRequested

RunState = Literal["listed", "confirmed", "cancelled"]


@dataclass(frozen=True)
class CollectionDue:
    """From this date on a collection is debited by the next run; without one, it waits for a person."""

    next_date: date | None


@dataclass(frozen=True)
class RunDated:
    """This day of billing's asked for a collection first."""

    run_date: date


class Collection(BusinessRow, Base):
    """Billing's wish to have an instalment debited: absolute, and the newest version wins (docs/decisions/0001)."""

    __tablename__ = "collections"
    __table_args__ = (
        Index("ix_collections_of_a_payer", "business_id", "payer_id", "instalment_id"),
        Index(
            "ix_collections_due",
            "business_id",
            "next_date",
            "payer_id",
            postgresql_where=text("next_date is not null"),
        ),
        Index("ix_collections_of_a_run", "business_id", "run_date", postgresql_where=text("run_date is not null")),
    )

    instalment_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    target_minor: Mapped[Amount]
    currency: Mapped[str]
    collect_date: Mapped[date]
    payer_id: Mapped[UUID]
    run_date: Mapped[date | None]
    """The day of billing's that asked for it first, by which the announced are counted."""
    next_date: Mapped[date | None]
    """From when on the next run takes it; none while it is on its way or collected, or waits for a person."""

    live_minor: Mapped[int] = column_property(
        select(func.coalesce(func.sum(DebitItem.amount_minor), 0))
        .where(DebitItem.instalment_id == instalment_id, DebitItem.live)
        .correlate_except(DebitItem)
        .scalar_subquery(),
        deferred=True,
    )
    """What is collected, or on its way to be."""

    def apply(self, fact: CollectionRequested | CollectionDue | RunDated) -> None:
        """The only way a collection changes, but for the runs that take it and the mandates that let it go out."""
        match fact:
            case RunDated():
                self.run_date = fact.run_date
            case CollectionRequested():
                self.version, self.target_minor, self.currency = fact.version, fact.target_minor, fact.currency
                self.collect_date, self.payer_id = fact.collect_date, fact.payer_id
            case CollectionDue():
                self.next_date = fact.next_date


class BilledDay(Base):
    """A day that billing has billed, and how many collections it announced; it is here until a run has taken it."""

    __tablename__ = "billed_days"

    business_id: Mapped[UUID] = mapped_column(primary_key=True)
    billed_date: Mapped[date] = mapped_column(primary_key=True)
    announced: Mapped[int]
    since_date: Mapped[date | None]
    """Of a day after which none waited to be billed: the first that was billed together with it."""
    heard_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Run(BusinessRow, Base):
    """Process Billing: a list of all that is due, as debits; confirmed by itself or by a person, it is sent (CC-31)."""

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint("state in ('listed', 'confirmed', 'cancelled')", name="has_a_state"),
        Index("one_open_run", "business_id", unique=True, postgresql_where=text("state = 'listed'")),
    )

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    run_date: Mapped[date]
    state: Mapped[RunState] = mapped_column(Text)
    made_by: Mapped[str]
    confirmed_by: Mapped[str | None]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    def apply(self, fact: "RunConfirmed | RunCancelled") -> None:
        """The only way a run changes."""
        match fact:
            case RunConfirmed():
                self.state, self.confirmed_by = "confirmed", fact.confirmed_by
            case RunCancelled():
                self.state = "cancelled"


@dataclass(frozen=True)
class RunConfirmed:
    """What is listed goes out."""

    confirmed_by: str


@dataclass(frozen=True)
class RunCancelled:
    """What is listed does not go out now; it stays due."""
