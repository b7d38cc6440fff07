"""What the ledger holds, one class per table, as read back."""

from dataclasses import dataclass, field
from typing import Any

from deploy.practice_bank.rules import STATUS_AFTER


@dataclass(frozen=True)
class Creditor:
    """A business that collects; its access token is kept only as a hash, in the ledger."""

    id: str
    name: str
    callback_url: str
    callback_secret: str = field(repr=False)


@dataclass(frozen=True)
class Mandate:
    """A payer's leave to collect. Of the account it keeps the last two digits and nothing else."""

    id: str
    creditor_id: str
    idempotency_key: str | None
    created_at: str
    account_holder_name: str
    account_number_ending: str
    currency: str
    metadata: dict[str, str]
    behaviour: str
    cause: str | None


@dataclass(frozen=True)
class Payment:
    """One debit as it was accepted, and the last thing that happened to it."""

    id: str
    creditor_id: str
    idempotency_key: str | None
    mandate_id: str
    created_at: str
    amount: int
    currency: str
    charge_date: str
    metadata: dict[str, str]
    last_action: str

    @property
    def status(self) -> str:
        """A payment's state is never stored: it follows from its last event."""
        return STATUS_AFTER[self.last_action]


@dataclass(frozen=True)
class Event:
    """One step in a payment's history; `callback_id` is the delivery that told the creditor, if one did."""

    id: str
    payment_id: str
    created_at: str
    action: str
    details: dict[str, Any]
    callback_id: str | None


@dataclass(frozen=True)
class Callback:
    """One delivery to a creditor: the exact bytes, and how far it got."""

    id: str
    creditor_id: str
    body: str
    state: str
    tries: int


@dataclass(frozen=True)
class Answer:
    """What came back from one try of a callback: an HTTP status, or the name of what went wrong."""

    at: str
    outcome: str
