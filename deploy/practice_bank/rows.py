"""What the ledger holds, one class per table, as read back."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from deploy.practice_bank.rules import MANDATE_STATUS_AFTER, STATUS_AFTER
from deploy.practice_bank.scenarios import AFTERWARDS


@dataclass(frozen=True)
class Creditor:
    """A business that collects; its access token is kept only as a hash, in the ledger.

    `reference` is its own name for itself; `now` its practice clock, in its own zone, or None where it lives in real
    time.
    """

    id: str
    name: str
    callback_url: str
    callback_secret: str = field(repr=False)
    reference: str | None
    now: datetime | None

    @property
    def time(self) -> datetime:
        """How late it is for this creditor."""
        return self.now or datetime.now(UTC)

    @property
    def today(self) -> date:
        """The date in the creditor's zone."""
        return self.time.date()

    @property
    def first_charge_date(self) -> date:
        """The first date that is not over for the creditor.

        In real time its zone is not known here: today is the date of UTC, and west of that it may be a day less.
        """
        return self.today if self.now else self.today - timedelta(days=1)


@dataclass(frozen=True)
class Customer:
    """A payer, as a creditor entered them."""

    id: str
    creditor_id: str
    idempotency_key: str | None
    created_at: str
    given_name: str | None
    family_name: str | None
    company_name: str | None
    email: str | None
    metadata: dict[str, str]


@dataclass(frozen=True)
class BankAccount:
    """A payer's account. Of its number the last two digits are kept and nothing else."""

    id: str
    creditor_id: str
    customer_id: str
    idempotency_key: str | None
    created_at: str
    account_holder_name: str
    account_number_ending: str
    currency: str
    country_code: str
    metadata: dict[str, str]


@dataclass(frozen=True)
class Mandate:
    """A payer's leave to collect, and the last thing that happened to it.

    `account_id` is None where the payer signed at the bank's own page. `left` is how many payments or requests the
    behaviour still applies to, None for all to come.
    """

    id: str
    creditor_id: str
    account_id: str | None
    idempotency_key: str | None
    created_at: str
    account_holder_name: str
    account_number_ending: str
    currency: str
    metadata: dict[str, str]
    behaviour: str
    cause: str | None
    left: int | None
    last_action: str

    @property
    def status(self) -> str:
        """A mandate's state is never stored: it follows from its last event."""
        return MANDATE_STATUS_AFTER[self.last_action]

    @property
    def in_force(self) -> str:
        """The scenario that its next payment gets."""
        return AFTERWARDS if self.left == 0 else self.behaviour


@dataclass(frozen=True)
class Payment:
    """One debit as it was accepted, and the last thing that happened to it; `scenario` is what becomes of it."""

    id: str
    creditor_id: str
    idempotency_key: str | None
    mandate_id: str
    created_at: str
    amount: int
    currency: str
    charge_date: str
    metadata: dict[str, str]
    scenario: str
    last_action: str

    @property
    def status(self) -> str:
        """A payment's state is never stored: it follows from its last event."""
        return STATUS_AFTER[self.last_action]


@dataclass(frozen=True)
class Planned:
    """A step that a payment takes by itself when its bank day has come."""

    payment_id: str
    day: str
    move: str
    cause: str | None


@dataclass(frozen=True)
class Event:
    """One step in the history of a payment or a mandate.

    `callback_id` is the delivery that told the creditor, if one did; `parent_id` the event that brought this one.
    """

    id: str
    creditor_id: str
    payment_id: str | None
    mandate_id: str | None
    created_at: str
    action: str
    details: dict[str, Any]
    callback_id: str | None
    parent_id: str | None = None


@dataclass(frozen=True)
class Callback:
    """One delivery to a creditor: the exact bytes, and how far it got.

    `payment_id` is what a held one is about; it waits for `release_date`, or for the payment to be decided.
    `after_id` goes first. `copies` more follow once it is taken. `misleading`: the next try bears a wrong signature.
    """

    id: str
    creditor_id: str
    body: str
    state: str = "unsent"
    tries: int = 0
    payment_id: str | None = None
    release_date: str | None = None
    after_id: str | None = None
    copies: int = 0
    misleading: bool = False


@dataclass(frozen=True)
class Answer:
    """What came back from one try of a callback: an HTTP status, or the name of what went wrong."""

    at: str
    outcome: str
