"""The account with the provider, mandates, the collections that billing asks for, debits and their items."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, func, select, text
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from shared.database import BusinessRow, Row, metadata
from shared.events.billing import CollectionRequested
from shared.events.directdebit import DebitDeclined, DebitSettled, DebitSubmitted

Amount = Annotated[int, mapped_column(BigInteger)]
ReasonClass = Literal["soft", "hard"]
MandateState = Literal["active", "replaced", "cancelled"]
State = Literal[
    "created", "submitting", "unknown", "refused", "cancelled", "submitted", "settled", "declined", "in_review"
]
Review = Literal["not_sent", "two_payments", "another_is_live", "contradiction", "returned_by_bank", "claimed"]
LIVE = frozenset({"created", "submitting", "unknown", "submitted", "settled"})
"""An instalment has at most one item of a debit in these states."""
UNSENT = frozenset({"created", "submitting", "unknown"})


# What happens to a debit or a mandate and is not told to other services


@dataclass(frozen=True)
class MandateEnded:
    """Nothing more is debited under a mandate."""

    state: MandateState


@dataclass(frozen=True)
class DebitSending:
    """A debit is about to be sent: these very bytes, under its own id as the key, however often it takes."""

    request: str
    sent_at: datetime


@dataclass(frozen=True)
class DebitInDoubt:
    """It is not known whether the provider has a debit."""


@dataclass(frozen=True)
class DebitIdentified:
    """The provider has a debit under this name."""

    provider_ref: str


@dataclass(frozen=True)
class DebitCancelled:
    """A debit was called off before it was sent."""


@dataclass(frozen=True)
class DebitPutInReview:
    """What is known of a debit does not fit together, or cannot be told to billing yet: a person decides."""

    review: Review


DebitFact = (
    DebitSending
    | DebitInDoubt
    | DebitIdentified
    | DebitCancelled
    | DebitPutInReview
    | DebitSubmitted
    | DebitSettled
    | DebitDeclined
)


class Base(Row):
    __abstract__ = True
    metadata = metadata()


class Client(BusinessRow, Base):
    """A copy of catalog's client: that there is one."""

    __tablename__ = "clients"

    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int]


class ProviderAccount(Base):
    """How a business asks the provider, and proves what the provider tells: both sealed, never shown again."""

    __tablename__ = "provider_accounts"

    business_id: Mapped[UUID] = mapped_column(primary_key=True)
    access_token: Mapped[bytes]
    callback_secrets: Mapped[bytes]
    """A JSON list of the one or two that are live."""


class Mandate(BusinessRow, Base):
    """A payer's permission to debit an account, given at the provider's own page; of the account only the ending."""

    __tablename__ = "mandates"
    __table_args__ = (
        CheckConstraint("account_ending ~ '^[0-9]{2,4}$'", name="shows_an_ending"),
        CheckConstraint("state in ('active', 'replaced', 'cancelled')", name="has_a_state"),
        Index("one_active_mandate", "business_id", "payer_id", unique=True, postgresql_where=text("state = 'active'")),
        Index(
            "one_payer_of_a_mandate",
            "business_id",
            "provider_mandate",
            unique=True,
            postgresql_where=text("state = 'active'"),
        ),
    )

    mandate_id: Mapped[UUID] = mapped_column(primary_key=True)
    payer_id: Mapped[UUID]
    provider_mandate: Mapped[str]
    account_ending: Mapped[str]
    state: Mapped[MandateState] = mapped_column(Text, default="active")
    recorded_by: Mapped[str]
    recorded_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    def apply(self, fact: MandateEnded) -> None:
        """The only way a mandate changes."""
        self.state = fact.state


class Debit(BusinessRow, Base):
    """One taking from a mandate. What is sent, and under which key, is settled before the first try."""

    __tablename__ = "debits"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="asks_for_money"),
        CheckConstraint(
            "provider_ref is not null or state not in ('submitted', 'settled', 'declined')", name="is_at_the_provider"
        ),
        CheckConstraint(
            "request is not null or state not in ('submitting', 'unknown', 'refused')", name="was_written_down"
        ),
        CheckConstraint("(review is not null) = (state = 'in_review')", name="has_a_question"),
        Index("one_debit_of_a_payment", "business_id", "provider_ref", unique=True),
        Index("ix_debits_of_a_payer", "business_id", "payer_id", "debit_id"),
    )

    debit_id: Mapped[UUID] = mapped_column(primary_key=True)
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
    created_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    items: Mapped[list["DebitItem"]] = relationship(lazy="selectin", order_by="DebitItem.instalment_id")

    @property
    def live(self) -> bool:
        return self.state in LIVE

    def apply(self, fact: DebitFact) -> None:
        """The only way a debit changes; its items are live as long as it is."""
        match fact:
            case DebitSending():
                self.state, self.request, self.sent_at = "submitting", fact.request, fact.sent_at
            case DebitInDoubt():
                self.state = "unknown"
            case DebitIdentified():
                self.provider_ref = fact.provider_ref
            case DebitCancelled():
                self.state = "cancelled"
            case DebitPutInReview():
                self.state, self.review, self.code, self.reason_class = "in_review", fact.review, None, None
            case DebitSubmitted():
                self._told("submitted", fact.sequence)
            case DebitSettled():
                self._told("settled", fact.sequence)
            case DebitDeclined():
                self._told("declined" if self.provider_ref else "refused", fact.sequence, fact.code, fact.reason_class)
        for item in self.items:
            item.live = self.live

    def _told(
        self, state: State, sequence: int, code: str | None = None, reason_class: ReasonClass | None = None
    ) -> None:
        self.state, self.sequence, self.review = state, sequence, None
        self.code, self.reason_class = code, reason_class


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


class Collection(BusinessRow, Base):
    """Billing's wish to have an instalment debited: absolute, and the newest version wins (docs/decisions/0001)."""

    __tablename__ = "collections"
    __table_args__ = (Index("ix_collections_of_a_payer", "business_id", "payer_id", "instalment_id"),)

    instalment_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    target_minor: Mapped[Amount]
    currency: Mapped[str]
    collect_date: Mapped[date]
    payer_id: Mapped[UUID]

    live_minor: Mapped[int] = column_property(
        select(func.coalesce(func.sum(DebitItem.amount_minor), 0))
        .where(DebitItem.instalment_id == instalment_id, DebitItem.live)
        .correlate_except(DebitItem)
        .scalar_subquery()
    )
    """What is collected, or on its way to be."""

    def apply(self, fact: CollectionRequested) -> None:
        """The only way a collection changes."""
        self.version, self.target_minor, self.currency = fact.version, fact.target_minor, fact.currency
        self.collect_date, self.payer_id = fact.collect_date, fact.payer_id
