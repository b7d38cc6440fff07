"""The rows packages owns: packages, their lots, session ledger and holds; and copies of who and what it sells."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, UniqueConstraint, Uuid, func, literal_column, text
from sqlalchemy.orm import Mapped, column_property, mapped_column

from shared.database import BusinessRow, Row, Stored, metadata
from shared.events import Part
from shared.events.billing import PeriodOpened
from shared.events.catalog import Terms
from shared.events.packages import AutoPaySwitched, ExpiryMoved, PackageClosed

State = Literal["active", "closed"]
Kind = Literal["allocated", "adjusted", "held", "returned", "consumed", "forfeited"]
Outcome = Literal["attended", "no_show", "late_cancelled"]


class Base(Row):
    __abstract__ = True
    metadata = metadata()


class PackageEnded(Part):
    """A package ended at an instant, which is the line between what counts and what comes later."""

    closure: PackageClosed
    closed_at: datetime
    closed_date: date


@dataclass(frozen=True)
class RenewalChosen:
    """A package renews when it is closed, or does not; a fact of packages alone."""

    auto_renew: bool


class Package(BusinessRow, Base):
    """What one client bought on one day: the terms as sold, and the balance that its ledger keeps.

    allocated + adjusted = available + held + consumed + forfeited. A post-bill package has nothing allocated: it is
    counted only. Sessions held against periods still to come are `ahead`, and in no count until their period opens.
    """

    __tablename__ = "packages"
    __table_args__ = (
        CheckConstraint("held >= 0 and consumed >= 0 and allocated >= 0 and forfeited >= 0", name="counts_up"),
        CheckConstraint("post_bill or allocated + adjusted >= held + consumed + forfeited", name="never_overdrawn"),
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
    auto_pay_version: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How often it was switched since the sale."""
    sold_by: Mapped[UUID | None]
    sold_date: Mapped[date]
    state: Mapped[str] = mapped_column(default="active")
    closure_id: Mapped[UUID | None] = mapped_column(unique=True)
    closed_at: Mapped[datetime | None]
    closed_date: Mapped[date | None]
    auto_renew: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    predecessor_id: Mapped[UUID | None] = mapped_column(unique=True)
    """The closed package that this one renews: each is renewed once (R-32)."""
    periods_opened: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    allocated: Mapped[int] = mapped_column(default=0)
    adjusted: Mapped[int] = mapped_column(default=0)
    held: Mapped[int] = mapped_column(default=0)
    consumed: Mapped[int] = mapped_column(default=0)
    forfeited: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    ahead: Mapped[int] = column_property(
        literal_column(
            "(select count(*) from holds h where h.package_id = packages.package_id and h.state = 'ahead')", Integer
        ),
        deferred=True,
    )
    successor_id: Mapped[UUID | None] = column_property(
        literal_column("(select s.package_id from packages s where s.predecessor_id = packages.package_id)", Uuid),
        deferred=True,
    )

    @property
    def available(self) -> int:
        """Sessions neither held, nor used, nor lost."""
        return self.allocated + self.adjusted - self.held - self.consumed - self.forfeited

    def apply(self, fact: ExpiryMoved | RenewalChosen | AutoPaySwitched | PackageEnded | PeriodOpened) -> None:
        """The only way a package changes; its counts change by the ledger alone."""
        match fact:
            case ExpiryMoved():
                self.expiry_date = fact.expiry_date
            case RenewalChosen():
                self.auto_renew = fact.auto_renew
            case AutoPaySwitched():
                self.auto_pay, self.auto_pay_version = fact.auto_pay, fact.version
            case PeriodOpened():
                self.periods_opened = fact.period_index
            case PackageEnded():
                self.state, self.closure_id = "closed", fact.closure.closure_id
                self.closed_at, self.closed_date = fact.closed_at, fact.closed_date


class Lot(BusinessRow, Base):
    """The sessions that one period brought, or the sale. One without a `valid_to` never ends.

    `valid_to` is the first day after it. Its counts change with the ledger, in the same statement; an ended lot has
    lost what was neither held nor used in it.
    """

    __tablename__ = "lots"
    __table_args__ = (
        CheckConstraint("size >= 0 and forfeited >= 0 and size + adjusted >= forfeited", name="counts_up"),
        Index("ix_lots_to_end", "business_id", "valid_to", postgresql_where=text("not ended")),
    )

    package_id: Mapped[UUID] = mapped_column(primary_key=True)
    period_index: Mapped[int] = mapped_column(primary_key=True)
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    size: Mapped[int]
    adjusted: Mapped[int] = mapped_column(default=0)
    forfeited: Mapped[int] = mapped_column(default=0)
    ended: Mapped[bool] = mapped_column(default=False)


class BilledDay(Base):
    """The newest date of a business that has been billed: lots that end by then have ended, however late they come."""

    __tablename__ = "billed_days"

    business_id: Mapped[UUID] = mapped_column(primary_key=True)
    business_date: Mapped[date]


class LedgerEntry(BusinessRow, Base):
    """One change of a package's count, with its cause; never changed, never deleted (OE-19)."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        UniqueConstraint("booking_id", "package_id", "kind"),
        CheckConstraint("quantity > 0 or kind = 'adjusted'", name="counts"),
        CheckConstraint("(booking_id is not null) = (kind in ('held', 'returned', 'consumed'))", name="of_a_booking"),
        Index("ix_ledger_entries_of_a_package", "package_id", "entry_id"),
    )

    entry_id: Mapped[UUID] = mapped_column(primary_key=True)
    package_id: Mapped[UUID]
    kind: Mapped[str]
    quantity: Mapped[int]
    period_index: Mapped[int | None]
    """The lot that it is about; none where all the package's sessions are one stock."""
    booking_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    actor: Mapped[str]
    cause_id: Mapped[str]
    business_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Hold(BusinessRow, Base):
    """What packages knows of a booking: one row each, and the booking's newest sequence wins.

    A cancellation that overtakes its request makes the row first, so that the request finds it and does nothing.
    `ahead` is held against a period still to come, with its outcome where that is known already (R-13).
    """

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint("package_id is not null or state in ('asked', 'refused', 'returned')", name="of_a_package"),
        CheckConstraint(
            "(state <> 'consumed' or outcome is not null) and (outcome is null or state in ('consumed', 'ahead'))",
            name="used_somehow",
        ),
        Index("ix_holds_of_a_package", "package_id", "state"),
        Index("ix_holds_on_a_date", "package_id", "session_date"),
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

    @property
    def day(self) -> date:
        """The date of its session."""
        if self.session_date is None:
            raise ValueError("news that overtook its request has no date")
        return self.session_date


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
