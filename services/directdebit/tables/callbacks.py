"""What the provider has told: callbacks as they came, and the facts in them."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from services.directdebit.tables import Base, ReasonClass
from shared.database import BusinessRow

Kind = Literal[
    "noted",
    "submitted",
    "resubmitted",
    "settled",
    "claim_withdrawn",
    "failed",
    "charged_back",
    "said_submitted",
    "said_settled",
    "said_failed",
    "said_charged_back",
]
"""What a fact says of a payment; `said_…`: what the provider answered when it was asked, because the rest disagreed."""
MandateKind = Literal[
    "mandate_noted", "mandate_active", "mandate_suspended", "mandate_cancelled", "mandate_failed", "mandate_expired"
]
FactState = Literal["received", "folded", "parked", "ignored"]


class Delivery(BusinessRow, Base):
    """A callback as it came, byte for byte; the same bytes again are the same delivery."""

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("business_id", "sha256"),)

    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    sha256: Mapped[bytes]
    body: Mapped[bytes]
    trouble: Mapped[str | None]
    """Why it, or a part of it, could not be read: such a delivery is poison, and a person looks at it."""
    business_date: Mapped[date]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())


@dataclass(frozen=True)
class Folded:
    """A fact of the provider counts for this debit, or for this mandate."""

    debit_id: UUID | None = None
    mandate_id: UUID | None = None


@dataclass(frozen=True)
class Parked:
    """A fact of the provider names nothing of this business."""


class ProviderFact(BusinessRow, Base):
    """One event of the provider, stored once and for ever; a debit, or a mandate, is what the set of its facts says."""

    __tablename__ = "provider_facts"
    __table_args__ = (
        UniqueConstraint("business_id", "event_id"),
        Index("ix_provider_facts_of_a_debit", "debit_id"),
        Index("ix_provider_facts_of_a_mandate", "mandate_id"),
        Index("ix_provider_facts_of_a_payment", "business_id", "provider_ref"),
    )

    fact_id: Mapped[UUID] = mapped_column(primary_key=True)
    delivery_id: Mapped[UUID | None] = mapped_column(ForeignKey("deliveries.delivery_id"))
    """None where the provider was asked."""
    event_id: Mapped[str]
    resource: Mapped[str]
    action: Mapped[str]
    kind: Mapped[Kind | MandateKind | None] = mapped_column(Text)
    """What the action means to us; null where we do not know it."""
    provider_ref: Mapped[str | None]
    """The provider's name of the payment, or of the mandate, that it is about."""
    named_id: Mapped[UUID | None]
    """The debit or the mandate of ours that the payment or mandate says it is."""
    cause: Mapped[str | None]
    code: Mapped[str | None]
    reason_class: Mapped[ReasonClass | None] = mapped_column(Text)
    ends_mandate: Mapped[bool]
    occurred_at: Mapped[datetime]
    business_date: Mapped[date]
    """The date of `occurred_at` at the business: from it retries and finality are counted."""
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    state: Mapped[FactState] = mapped_column(Text)
    debit_id: Mapped[UUID | None] = mapped_column(ForeignKey("debits.debit_id"))
    mandate_id: Mapped[UUID | None] = mapped_column(ForeignKey("mandates.mandate_id"))

    def apply(self, fact: Folded | Parked) -> None:
        """The only way a fact changes: what it counts for."""
        match fact:
            case Folded():
                self.state, self.debit_id, self.mandate_id = "folded", fact.debit_id, fact.mandate_id
            case Parked():
                self.state = "parked"


FORGETS = {
    "raw callbacks": (
        "update deliveries d set body = '' where delivery_id in (select delivery_id from deliveries"
        "  where received_at < now() - make_interval(days => :days) and body <> '' and trouble is null"
        "  and not exists (select from provider_facts f where f.delivery_id = deliveries.delivery_id"
        "   and f.state in ('received', 'parked')) limit :most)"
    )
}
"""The bytes of what was understood. Its facts stay, on which the books rest, and its digest, by which it is known."""
