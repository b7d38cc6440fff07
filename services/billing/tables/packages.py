"""Packages as billing bills them, and how far the days of a business are billed."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import BusinessRow, Row, metadata
from shared.events.packages import AutoPaySwitched
from shared.schedule import Frequency

Amount = Annotated[int, mapped_column(BigInteger)]
HAS_NEXT = text("next_due_date is not null")


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
    auto_pay_version: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Of the newest switch that was heard."""
    next_index: Mapped[int]
    """The period that falls due next; those before it have been opened, each once (R-09)."""
    next_due_date: Mapped[date | None]
    """When it falls due; none where no period will come."""
    ended_date: Mapped[date | None]
    """The day on which the package was closed: no period that falls due later is billed."""

    def apply(self, fact: PackageEnded | AutoPaySwitched) -> None:
        """The only way it changes, but for the periods that the day's run opens."""
        match fact:
            case PackageEnded():
                self.ended_date = fact.ended_date
                if self.next_due_date and self.next_due_date > fact.ended_date:
                    self.next_due_date = None
            case AutoPaySwitched():
                self.auto_pay, self.auto_pay_version = fact.auto_pay, fact.version

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
