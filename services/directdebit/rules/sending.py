"""What is sent: what a wish makes of a debit that waits, what the provider's answer means, what may be tried again."""

from collections.abc import Sequence
from datetime import date

from services.directdebit.rules.calendar import BankDays
from services.directdebit.rules.errors import NothingToRetry
from services.directdebit.rules.folding import NEVER, NextDates, state_of
from services.directdebit.tables.collections import Collection, CollectionDue
from services.directdebit.tables.debits import (
    UNSENT,
    Debit,
    DebitCancelled,
    DebitIdentified,
    DebitInDoubt,
    DebitPutInReview,
    DebitRevised,
)
from shared.events.directdebit import DebitDeclined, DebitReturned, DebitSettled, DebitSubmitted

FIRST_PAUSE, SECOND_PAUSE = 3, 7
"""Bank days from the provider's date of a soft failure until the next attempt, after the first and the second one."""


def revise(debit: Debit, collection: Collection) -> DebitCancelled | DebitRevised | None:
    """Until it is being sent, a debit follows the newest wish for each of its instalments; then nothing changes."""
    if debit.state != "created":
        return None
    (item,) = (item for item in debit.items if item.instalment_id == collection.instalment_id)
    wanted = max(collection.target_minor, 0) if collection.payer_id == debit.payer_id else 0
    if (item.version, item.amount_minor) == (collection.version, wanted):
        return None
    if not wanted and len(debit.items) == 1:
        return DebitCancelled()
    return DebitRevised(collection.instalment_id, collection.version, wanted)


def due_after_wish(collection: Collection, debits: Sequence[Debit]) -> CollectionDue | None:
    """A new wish for what no debit was ever sent for is due from its date on; what was tried waits as it did (R-35).

    A run takes only what is wanted at all.
    """
    if any(debit.state != "cancelled" for debit in debits):
        return None
    return CollectionDue(collection.collect_date)


def due_after(fact: object, collection: Collection, *, tried_since: bool) -> CollectionDue | None:
    """When the next run takes an instalment, now that this has happened to a debit of it (R-35).

    What left a debit before it was sent is due as it was; what failed, from the date that the failure names; what is
    on its way, collected, disputed or in review is not. Where another debit was made later, its failure has the say.
    """
    if isinstance(fact, DebitSubmitted | DebitSettled):
        return CollectionDue(None)
    if tried_since:
        return None
    match fact:
        case DebitCancelled():
            return CollectionDue(collection.collect_date)
        case DebitRevised() if fact.instalment_id != collection.instalment_id:
            return None
        case DebitRevised():
            return None if fact.amount_minor else CollectionDue(collection.collect_date)
        case DebitDeclined() | DebitReturned():
            (item,) = (item for item in fact.items if item.instalment_id == collection.instalment_id)
            return CollectionDue(item.next_attempt_date)
    return CollectionDue(None)


def try_again(collection: Collection, debits: Sequence[Debit], *, today: date) -> CollectionDue:
    """A person has it tried once more, whatever the reason was, a dispute included. Raises NothingToRetry."""
    if collection.target_minor <= 0:
        raise NothingToRetry("Nothing is to be collected by debit of it any more.")
    if any(debit.live for debit in debits):
        raise NothingToRetry("It is collected, or on its way.")
    if any(debit.state == "in_review" for debit in debits):
        raise NothingToRetry("A debit of it is in review.")
    if collection.next_date and collection.next_date <= today:
        raise NothingToRetry("The next run takes it.")
    return CollectionDue(today)


def next_attempt_date(failed: date, tries: int, *, soft: bool, new_mandate: bool, days: BankDays) -> date | None:
    """A soft failure is tried again 3, then 7 bank days after the provider's date; three attempts, no more (R-35).

    `tries` counts the attempts under the mandate, this one included. Where the payer has given another mandate in the
    meantime, that one is tried on the next bank day, whatever the reason was.
    """
    if new_mandate:
        return days.after(failed, 1)
    pause = {1: FIRST_PAUSE, 2: SECOND_PAUSE}.get(tries)
    return days.after(failed, pause) if soft and pause else None


# What the answer to a request means


def accept(
    debit: Debit, provider_ref: str, charge_date: date | None = None
) -> Sequence[DebitIdentified | DebitSubmitted | DebitPutInReview]:
    """The provider has it. A callback may have said so first; another name for it means two payments."""
    identified = DebitIdentified(provider_ref, charge_date)
    if debit.provider_ref == provider_ref:
        return (identified,) if charge_date and charge_date != debit.charge_date else ()
    if debit.provider_ref:
        return (DebitPutInReview("two_payments"),)
    if debit.state not in UNSENT:
        return (identified, DebitPutInReview("not_sent"))
    return (identified, DebitSubmitted(**state_of(debit, in_flight=True)))


def refuse(
    debit: Debit, reason: str, *, too_late: bool = False, next_dates: NextDates = NEVER
) -> DebitDeclined | DebitCancelled | None:
    """The provider has read a debit and does not take it: the instalment is owed again, and no repeat can help.

    Where only its date is over, since the provider was away until then, the next run makes another.
    """
    if debit.state not in UNSENT:
        return None
    if too_late:
        return DebitCancelled()
    return DebitDeclined(**state_of(debit, next_dates=next_dates), code=reason, reason_class="hard")


def doubt(debit: Debit) -> DebitInDoubt | None:
    """No answer is not a no: the debit may exist, and only the same request or a look-up can tell."""
    return DebitInDoubt() if debit.state in UNSENT else None
