"""Debits and their items."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.directdebit.tables import Amount, Base, ReasonClass
from shared.database import BusinessRow
from shared.events.directdebit import (
    DebitClaimed,
    DebitDeclined,
    DebitEvent,
    DebitReturned,
    DebitSettled,
    DebitSubmitted,
)

State = Literal[
    "created",
    "submitting",
    "unknown",
    "refused",
    "cancelled",
    "submitted",
    "settled",
    "declined",
    "returned_by_bank",
    "claimed",
    "in_review",
]
Review = Literal["not_sent", "two_payments", "another_is_live", "contradiction"]
LIVE = frozenset({"created", "submitting", "unknown", "submitted", "settled"})
"""An instalment has at most one item of a debit in these states."""
UNSENT = frozenset({"created", "submitting", "unknown"})


# What happens to a debit and is not told to other services


@dataclass(frozen=True)
class DebitRevised:
    """Before it was sent, a debit took up the newest wish for one of its instalments; 0: that one leaves it."""

    instalment_id: UUID
    version: int
    amount_minor: int


@dataclass(frozen=True)
class DebitMoved:
    """Before it was sent, the payer gave a new mandate."""

    mandate_id: UUID


@dataclass(frozen=True)
class DebitSending:
    """A debit is about to be sent: these very bytes, under its own id as the key, however often it takes."""

    request: str
    charge_date: date
    sent_at: datetime


@dataclass(frozen=True)
class DebitInDoubt:
    """It is not known whether the provider has a debit."""


@dataclass(frozen=True)
class DebitIdentified:
    """The provider has a debit under this name, and charges it on this date, where it says so."""

    provider_ref: str
    charge_date: date | None = None


@dataclass(frozen=True)
class SettlementDated:
    """On this date of the provider's a debit was settled."""

    settled_date: date


@dataclass(frozen=True)
class DebitCancelled:
    """A debit was called off before it was sent."""


@dataclass(frozen=True)
class DebitPutInReview:
    """What is known of a debit does not fit together: a person decides."""

    review: Review


OwnFact = (
    DebitRevised
    | DebitMoved
    | DebitSending
    | DebitInDoubt
    | DebitIdentified
    | SettlementDated
    | DebitCancelled
    | DebitPutInReview
)
DebitFact = OwnFact | DebitEvent


class Debit(BusinessRow, Base):
    """One taking from a mandate. What is sent, and under which key, is settled before the first try."""

    __tablename__ = "debits"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="asks_for_money"),
        CheckConstraint(
            "provider_ref is not null"
            " or state not in ('submitted', 'settled', 'declined', 'returned_by_bank', 'claimed')",
            name="is_at_the_provider",
        ),
        CheckConstraint(
            "request is not null or state not in ('submitting', 'unknown', 'refused')", name="was_written_down"
        ),
        CheckConstraint("(review is not null) = (state = 'in_review')", name="has_a_question"),
        CheckConstraint("not final or state = 'settled'", name="is_final_once_settled"),
        Index("one_debit_of_a_payment", "business_id", "provider_ref", unique=True),
        Index("ix_debits_of_a_payer", "business_id", "payer_id", "debit_id"),
        Index("ix_debits_of_a_date", "business_id", "charge_date", "payer_id"),
        Index("ix_debits_of_a_run", "run_id"),
        Index(
            "ix_debits_not_final",
            "business_id",
            "settled_date",
            postgresql_where=text("state = 'settled' and not final"),
        ),
    )

    debit_id: Mapped[UUID] = mapped_column(primary_key=True)
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.run_id"))
    payer_id: Mapped[UUID]
    mandate_id: Mapped[UUID] = mapped_column(ForeignKey("mandates.mandate_id"))
    amount_minor: Mapped[Amount]
    currency: Mapped[str]
    charge_date: Mapped[date]
    state: Mapped[State] = mapped_column(Text, default="created")
    sequence: Mapped[int] = mapped_column(default=0)
    """Counts what was told to billing."""
    request: Mapped[str | None]
    """The body as it is sent, each time the same; the key is the debit's id."""
    sent_at: Mapped[datetime | None]
    """When it was first about to be sent, in machine time."""
    provider_ref: Mapped[str | None]
    code: Mapped[str | None]
    reason_class: Mapped[ReasonClass | None] = mapped_column(Text)
    review: Mapped[Review | None] = mapped_column(Text)
    settled_date: Mapped[date | None]
    """The provider's date of the settlement that stands; from it the days are counted until it is final."""
    final: Mapped[bool] = mapped_column(default=False)
    created_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    items: Mapped[list["DebitItem"]] = relationship(
        lazy="selectin", order_by="DebitItem.instalment_id", cascade="all, delete-orphan"
    )

    @property
    def live(self) -> bool:
        return self.state in LIVE

    def apply(self, fact: DebitFact) -> None:
        """The only way a debit changes, but for the runs that make it and make it final; its items live as it does."""
        if isinstance(fact, DebitEvent):
            self._hear(fact)
        else:
            self._change(fact)
        for item in self.items:
            item.live = self.live

    def _change(self, fact: OwnFact) -> None:
        match fact:
            case DebitRevised():
                self._revise(fact)
            case DebitMoved():
                self.mandate_id = fact.mandate_id
            case DebitSending():
                self.state, self.request, self.sent_at = "submitting", fact.request, fact.sent_at
                self.charge_date = fact.charge_date
            case DebitInDoubt():
                self.state = "unknown"
            case DebitIdentified():
                self.provider_ref = fact.provider_ref
                self.charge_date = fact.charge_date or self.charge_date
            case SettlementDated():
                self.settled_date = fact.settled_date
            case DebitCancelled():
                self.state = "cancelled"
            case DebitPutInReview():
                self.state, self.review, self.final = "in_review", fact.review, False
                self.code, self.reason_class = None, None

    def _hear(self, fact: DebitEvent) -> None:
        match fact:
            case DebitSubmitted():
                self._told("submitted", fact.sequence)
            case DebitSettled():
                self._told("settled", fact.sequence)
            case DebitDeclined():
                self._told("declined" if self.provider_ref else "refused", fact.sequence, fact.code, fact.reason_class)
            case DebitReturned():
                self._told("returned_by_bank", fact.sequence, fact.code, fact.reason_class)
            case DebitClaimed():
                self._told("claimed", fact.sequence, fact.code)

    def _told(
        self, state: State, sequence: int, code: str | None = None, reason_class: ReasonClass | None = None
    ) -> None:
        self.state, self.sequence, self.review, self.final = state, sequence, None, False
        self.code, self.reason_class = code, reason_class

    def _revise(self, fact: DebitRevised) -> None:
        for item in [item for item in self.items if item.instalment_id == fact.instalment_id]:
            item.version = fact.version
            if fact.amount_minor:
                item.amount_minor = fact.amount_minor
            else:
                self.items.remove(item)
        self.amount_minor = sum(item.amount_minor for item in self.items)


class DebitItem(BusinessRow, Base):
    """The part of a debit that pays one instalment."""

    __tablename__ = "debit_items"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="asks_for_money"),
        Index("one_live_item", "instalment_id", unique=True, postgresql_where=text("live")),
        Index("ix_debit_items_of_an_instalment", "instalment_id"),
    )

    debit_id: Mapped[UUID] = mapped_column(ForeignKey("debits.debit_id"), primary_key=True)
    instalment_id: Mapped[UUID] = mapped_column(primary_key=True)
    amount_minor: Mapped[Amount]
    attempt_no: Mapped[int]
    version: Mapped[int]
    """The version of the collection that it answers."""
    live: Mapped[bool]
