"""The provider, as directdebit sees it: one interface, a file per provider.

Nothing of a provider's words leaves this room: what comes out are the kinds and reasons of `tables`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from services.directdebit.tables import ReasonClass
from services.directdebit.tables.callbacks import Kind, MandateKind


@dataclass(frozen=True)
class Account:
    """What a business needs to ask the provider, and to know it again: a token, and the live callback secrets."""

    token: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Accepted:
    """The provider has it, under this name; a payment on this date, which may be later than the one asked for."""

    provider_ref: str
    charge_date: date | None = None


@dataclass(frozen=True)
class Refused:
    """The provider has read the request and says no; the same request will never be taken."""

    reason: str
    ends_mandate: bool = False
    """Whether it is the mandate that is no good."""
    too_late: bool = False
    """Whether only the charge date is over: another debit, for a later one, would be taken."""


@dataclass(frozen=True)
class Said:
    """How a payment stands, as the provider says when it is asked."""

    kind: Kind


@dataclass(frozen=True)
class Made:
    """A payment that the provider has: of which debit it says it is, under which of its mandates, how it stands."""

    provider_ref: str
    named_id: UUID | None
    provider_mandate: str
    amount_minor: int
    charge_date: date | None
    says: Kind | None


@dataclass(frozen=True)
class Absent:
    """The provider has nothing for this debit."""


@dataclass(frozen=True)
class Unknown:
    """The provider did not say: it may have it or not."""

    why: str


@dataclass(frozen=True)
class Payment:
    """What to ask the provider for."""

    debit_id: UUID
    provider_mandate: str
    amount_minor: int
    currency: str
    charge_date: date


@dataclass(frozen=True)
class PayerAccount:
    """The account that a payer lets be debited; it is never printed."""

    holder: str
    branch: str = field(repr=False)
    number: str = field(repr=False)
    currency: str = "AUD"


@dataclass(frozen=True)
class Notice:
    """One event of a callback, in our words; `kind` is None where we do not know what it means."""

    event_id: str
    resource: str
    action: str
    kind: Kind | MandateKind | None
    provider_ref: str | None
    named_id: UUID | None
    cause: str | None
    code: str | None
    reason_class: ReasonClass | None
    ends_mandate: bool
    occurred_at: datetime


@dataclass(frozen=True)
class Heard:
    """What could be read of a callback, and what could not."""

    notices: Sequence[Notice]
    trouble: str | None = None


class Bank(Protocol):
    """A direct-debit provider."""

    def write(self, payment: Payment) -> str:
        """The body that asks for a payment. Pure; it is stored before it is sent."""
        ...

    async def submit(self, debit_id: UUID, body: str) -> Accepted | Refused | Unknown:
        """Ask for the payment, once, under the debit's id as the key; sent again it makes no second one."""
        ...

    async def look_up(self, debit_id: UUID, body: str, since: date) -> Accepted | Absent | Unknown:
        """Whether the provider has a payment for this debit, made since then; Absent only where all was read."""
        ...

    async def made(self, since: date) -> list[Made] | Unknown:
        """All payments made since then, of whatever mandate."""
        ...

    async def status(self, provider_ref: str) -> Said | Unknown:
        """How a payment stands now."""
        ...

    async def register(self, mandate_id: UUID, account: PayerAccount) -> Accepted | Refused | Unknown:
        """Register a payer's mandate, under its own id as the key; asked again it makes no second one."""
        ...

    def signed_by(self, headers: Mapping[str, str], raw: bytes) -> int | None:
        """Which live secret, counted from 1, has signed the very bytes of a callback. Pure, and never raises."""
        ...

    def parse(self, raw: bytes) -> Heard:
        """What a callback says. Pure, and never raises: what cannot be read is trouble, not an error."""
        ...
