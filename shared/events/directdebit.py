"""What directdebit tells: the state of a debit, as absolute amounts per instalment with a sequence per debit."""

from typing import Literal
from uuid import UUID

from shared.events import Event, Part
from shared.money import Currency


class DebitItem(Part):
    """What one debit has brought, and may still bring, to one instalment."""

    instalment_id: UUID
    attempt_no: int
    collected_minor: int
    in_flight_minor: int
    final: bool


class DebitEvent(Event):
    """The state of a debit after a provider's fact."""

    debit_id: UUID
    sequence: int
    currency: Currency
    items: list[DebitItem]


class DebitSubmitted(DebitEvent, type="directdebit.debit_submitted.v1", subject="debit_id"):
    """The provider has accepted a debit."""


class DebitSettled(DebitEvent, type="directdebit.debit_settled.v1", subject="debit_id"):
    """The provider says that a debit was collected."""


class DebitDeclined(DebitEvent, type="directdebit.debit_declined.v1", subject="debit_id"):
    """The provider says that a debit was not collected, and why."""

    code: str
    reason_class: Literal["soft", "hard"]
