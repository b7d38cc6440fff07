"""What directdebit tells: the state of a debit, as absolute amounts per instalment with a sequence per debit."""

from datetime import date
from typing import Literal
from uuid import UUID

from shared.events import Event, Part
from shared.money import Currency

ReasonClass = Literal["soft", "hard"]
"""Whether the reason of a bank may pass by itself."""


class DebitItem(Part):
    """What one debit has brought, and may still bring, to one instalment.

    `final`: what it collected is not expected to go back any more. `next_attempt_date`: from when the instalment is
    debited again by itself, after this debit has failed; none where a person has to do something first.
    """

    instalment_id: UUID
    attempt_no: int
    collected_minor: int
    in_flight_minor: int
    final: bool
    next_attempt_date: date | None = None


class DebitEvent(Event):
    """The state of a debit, dated by the provider where a fact of the provider's says it, else by the business."""

    debit_id: UUID
    sequence: int
    currency: Currency
    items: list[DebitItem]


class DebitSubmitted(DebitEvent, type="directdebit.debit_submitted.v1", subject="debit_id"):
    """The provider has accepted a debit."""


class DebitSettled(DebitEvent, type="directdebit.debit_settled.v1", subject="debit_id"):
    """The provider says that a debit was collected; told again when that has become final."""


class DebitDeclined(DebitEvent, type="directdebit.debit_declined.v1", subject="debit_id"):
    """The provider says that a debit was not collected, and why."""

    code: str
    reason_class: ReasonClass


class DebitReturned(DebitEvent, type="directdebit.debit_returned.v1", subject="debit_id"):
    """The payer's bank took back what a debit had collected, and why."""

    code: str
    reason_class: ReasonClass


class DebitClaimed(DebitEvent, type="directdebit.debit_claimed.v1", subject="debit_id"):
    """The payer disputes a debit, and the money is gone until the claim is withdrawn; a person decides what follows."""

    code: str
