"""The rows catalog owns: clients, staff, services, templates, started days; the business is a row of the plumbing."""

from datetime import date
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import BusinessRow, Row, Stored, metadata
from shared.events import Event
from shared.events.catalog import ClientChanged, ServiceChanged, StaffChanged, Terms

LONGEST_DAY_MINUTES = 1440


class Base(Row):
    __abstract__ = True
    metadata = metadata()


class Entry(BusinessRow, Base):
    """An entry of the book: what others keep a copy of. It is told whole whenever it changes."""

    __abstract__ = True

    told: ClassVar[type[Event]]
    """The fact that tells an entry; its fields are the columns."""

    sequence: Mapped[int]
    """Counts the changes of the entry; whoever keeps a copy keeps the newest."""
    name: Mapped[str]
    active: Mapped[bool]

    def apply(self, fact: Event) -> None:
        """The only way an entry changes."""
        if type(fact) is not self.told:
            raise TypeError(f"an entry of {self.__tablename__} does not change by {fact.type}")
        for name in self.told.model_fields:
            setattr(self, name, getattr(fact, name))


class Client(Entry):
    """A person who uses services."""

    __tablename__ = "clients"
    __table_args__ = (CheckConstraint("sequence >= 1", name="counts_from_one"),)
    told = ClientChanged

    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str | None]
    erased: Mapped[bool] = mapped_column(server_default=text("false"))
    """Who they were is known no more; then nothing about them changes."""

    def __init__(self, *, erased: bool = False, **fields: Any) -> None:
        super().__init__(erased=erased, **fields)


class ClientWord(BusinessRow, Base):
    """A word by which a client is found: one of the name or of the mail address, without case and accents.

    Row-level security lets an index serve only comparisons that cannot leak a row, as those of plain text are; the
    matching of patterns is none of them.
    """

    __tablename__ = "client_words"
    __table_args__ = (Index("ix_client_words_by_word", "business_id", "word", "client_id"),)

    business_id: Mapped[UUID] = mapped_column(index=False)
    client_id: Mapped[UUID] = mapped_column(ForeignKey("clients.client_id"), primary_key=True)
    word: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)


class Staff(Entry):
    """A member of staff: one who takes bookings, one who sells, or both (EZ-05)."""

    __tablename__ = "staff"
    __table_args__ = (CheckConstraint("sequence >= 1", name="counts_from_one"),)
    told = StaffChanged

    staff_id: Mapped[UUID] = mapped_column(primary_key=True)
    practitioner: Mapped[bool]
    seller: Mapped[bool]


class OfferedService(Entry):
    """A kind of session that can be sold and booked (EZ-06)."""

    __tablename__ = "services"
    __table_args__ = (
        CheckConstraint("sequence >= 1", name="counts_from_one"),
        CheckConstraint(f"minutes between 1 and {LONGEST_DAY_MINUTES}", name="fits_a_day"),
    )
    told = ServiceChanged

    service_id: Mapped[UUID] = mapped_column(primary_key=True)
    minutes: Mapped[int]


class StartedDays(BusinessRow, Base):
    """The newest date that has started at a business, as last told; it only rises."""

    __tablename__ = "started_days"

    business_id: Mapped[UUID] = mapped_column(primary_key=True, index=False)
    started_date: Mapped[date]


class TemplateVersion(BusinessRow, Base):
    """One version of a template. It never changes: what was sold on it stays readable."""

    __tablename__ = "template_versions"
    __table_args__ = (CheckConstraint("version >= 1", name="counts_from_one"),)

    template_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    active: Mapped[bool]
    description: Mapped[str]
    """For the public booking page (PB-02)."""
    terms: Mapped[Terms] = mapped_column(Stored(Terms))
