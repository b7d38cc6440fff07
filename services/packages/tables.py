"""The rows packages owns: packages, their session ledger, holds; and copies of who and what it sells."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import BusinessRow, Row, Stored, metadata
from shared.events.catalog import Terms
from shared.events.packages import ExpiryMoved, PackageClosed

State = Literal["active", "closed"]
Kind = Literal["allocated", "adjusted", "held", "returned", "consumed"]
Outcome = Literal["attended", "no_show", "late_cancelled"]


class Base(Row):
    __abstract__ = True
    metadata = metadata()


class Package(BusinessRow, Base):
    """What one client bought on one day: the terms as sold, and the balance that its ledger keeps.

    allocated + adjusted = available + held + consumed. A post-bill package has nothing allocated: it is counted only.
    """

    __tablename__ = "packages"
    __table_args__ = (
        CheckConstraint("held >= 0 and consumed >= 0 and allocated >= 0", name="counts_up"),
        CheckConstraint("post_bill or allocated + adjusted >= held + consumed", name="never_overdrawn"),
        Index("ix_packages_of_a_client", "business_id", "client_id", "package_id"),
    )

    package_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    payer_id: Mapped[UUID]
    template_id: Mapped[UUID]
    template_version: Mapped[int]
    terms: Mapped[Terms] = mapped_column(Stored(Terms))
    post_bill: Mapped[bool]
    start_date: Mapped[date]
    first_due_date: Mapped[date]
    expiry_date: Mapped[date | None]
    auto_pay: Mapped[bool]
    sold_by: Mapped[UUID | None]
    sold_date: Mapped[date]
    state: Mapped[str] = mapped_column(default="active")
    closure_id: Mapped[UUID | None] = mapped_column(unique=True)
    allocated: Mapped[int] = mapped_column(default=0)
    adjusted: Mapped[int] = mapped_column(default=0)
    held: Mapped[int] = mapped_column(default=0)
    consumed: Mapped[int] = mapped_column(default=0)

    @property
    def available(self) -> int:
        """Sessions neither held nor used."""
        return self.allocated + self.adjusted - self.held - self.consumed

    def apply(self, fact: ExpiryMoved | PackageClosed) -> None:
        """The only way a package changes; its counts change by the ledger alone."""
        match fact:
            case ExpiryMoved():
                self.expiry_date = fact.expiry_date
            case PackageClosed():
                self.state, self.closure_id = "closed", fact.closure_id


class LedgerEntry(BusinessRow, Base):
    """One change of a package's count, with its cause; never changed, never deleted (OE-19)."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        UniqueConstraint("booking_id", "kind"),
        CheckConstraint("quantity > 0 or kind = 'adjusted'", name="counts"),
        CheckConstraint("(booking_id is not null) = (kind in ('held', 'returned', 'consumed'))", name="of_a_booking"),
        Index("ix_ledger_entries_of_a_package", "package_id", "entry_id"),
    )

    entry_id: Mapped[UUID] = mapped_column(primary_key=True)
    package_id: Mapped[UUID]
    kind: Mapped[str]
    quantity: Mapped[int]
    booking_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    actor: Mapped[str]
    cause_id: Mapped[str]
    business_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Hold(BusinessRow, Base):
    """What packages knows of a booking: one row each, and the booking's newest sequence wins.

    A cancellation that overtakes its request makes the row first, so that the request finds it and does nothing.
    """

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint("package_id is not null or state in ('asked', 'refused', 'returned')", name="of_a_package"),
        CheckConstraint("(outcome is not null) = (state = 'consumed')", name="used_somehow"),
        Index("ix_holds_of_a_package", "package_id", "state"),
    )

    booking_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    state: Mapped[str]
    package_id: Mapped[UUID | None]
    service_id: Mapped[UUID | None]
    starts_at: Mapped[datetime | None]
    session_date: Mapped[date | None]
    outcome: Mapped[str | None]
    closure_id: Mapped[UUID | None]


class Client(BusinessRow, Base):
    """A copy of catalog's client."""

    __tablename__ = "clients"

    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    active: Mapped[bool]


class Staff(BusinessRow, Base):
    """A copy of catalog's member of staff."""

    __tablename__ = "staff"

    staff_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    seller: Mapped[bool]
    active: Mapped[bool]


class Template(BusinessRow, Base):
    """A version of a template, as catalog published it; it never changes."""

    __tablename__ = "templates"

    template_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    active: Mapped[bool]
    terms: Mapped[Terms] = mapped_column(Stored(Terms))
