"""Payers, the account with the provider, mandates, and the holidays of the bank that people have put right."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from services.directdebit.tables import Base
from shared.database import BusinessRow

MandateState = Literal["pending", "active", "suspended", "cancelled", "failed", "expired", "replaced"]
ProcessBilling = Literal["automatic", "reviewed"]
ENDED = frozenset({"cancelled", "failed", "expired", "replaced"})
ACTIVE = text("state = 'active'")


@dataclass(frozen=True)
class MandateRegistered:
    """The provider has a mandate under this name; debits may be asked for."""

    provider_mandate: str


@dataclass(frozen=True)
class MandateBecame:
    """A mandate is now so; only under an active one anything is debited."""

    state: MandateState


class Client(BusinessRow, Base):
    """A copy of catalog's client: that there is one."""

    __tablename__ = "clients"

    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int]


class ProviderAccount(Base):
    """How a business asks the provider, and proves what the provider tells: both sealed, never shown again."""

    __tablename__ = "provider_accounts"
    __table_args__ = (CheckConstraint("process_billing in ('automatic', 'reviewed')", name="is_processed_somehow"),)

    business_id: Mapped[UUID] = mapped_column(primary_key=True)
    access_token: Mapped[bytes]
    callback_secrets: Mapped[bytes]
    """A JSON list of the one or two that are live."""
    process_billing: Mapped[ProcessBilling] = mapped_column(Text, server_default="automatic")
    """Whether what is due goes out by itself each day, or only when a person has confirmed the list (CC-33)."""
    held_by: Mapped[str | None]
    """Who holds back all that would be sent, after a restore; mostly nobody."""


class Mandate(BusinessRow, Base):
    """A payer's permission to debit an account; of the account only the ending is kept.

    Given at the provider's own page, or registered from here: then the account lies sealed until the provider has it.
    """

    __tablename__ = "mandates"
    __table_args__ = (
        CheckConstraint("account_ending ~ '^[0-9]{2,4}$'", name="shows_an_ending"),
        CheckConstraint(
            "state in ('pending', 'active', 'suspended', 'cancelled', 'failed', 'expired', 'replaced')",
            name="has_a_state",
        ),
        CheckConstraint("sealed_account is null or state = 'pending'", name="forgets_the_account"),
        CheckConstraint("provider_mandate is not null or state not in ('active', 'suspended')", name="has_a_name"),
        Index("one_active_mandate", "business_id", "payer_id", unique=True, postgresql_where=ACTIVE),
        Index("one_payer_of_a_mandate", "business_id", "provider_mandate", unique=True, postgresql_where=ACTIVE),
        Index("ix_mandates_of_a_payer", "business_id", "payer_id"),
    )

    mandate_id: Mapped[UUID] = mapped_column(primary_key=True)
    payer_id: Mapped[UUID]
    provider_mandate: Mapped[str | None]
    sealed_account: Mapped[bytes | None]
    """Holder, branch and number as JSON, sealed about this mandate; gone as soon as the provider has answered."""
    account_ending: Mapped[str]
    state: Mapped[MandateState] = mapped_column(Text, default="active")
    recorded_by: Mapped[str]
    recorded_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    def apply(self, fact: MandateRegistered | MandateBecame) -> None:
        """The only way a mandate changes."""
        match fact:
            case MandateRegistered():
                self.provider_mandate, self.state = fact.provider_mandate, "active"
            case MandateBecame():
                self.state = fact.state
        if self.state != "pending":
            self.sealed_account = None


class BankHoliday(BusinessRow, Base):
    """A day on which the bank is closed, or open, though the calendar says otherwise."""

    __tablename__ = "bank_holidays"

    business_id: Mapped[UUID] = mapped_column(primary_key=True, index=False)
    holiday_date: Mapped[date] = mapped_column(primary_key=True)
    closed: Mapped[bool]
    name: Mapped[str]
