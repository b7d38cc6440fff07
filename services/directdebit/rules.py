"""What directdebit decides. Nothing here waits: a rule takes rows and values, and returns a fact or raises."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.directdebit.tables.callbacks import Kind, ProviderFact
from services.directdebit.tables.debits import (
    UNSENT,
    Collection,
    Debit,
    DebitCancelled,
    DebitIdentified,
    DebitInDoubt,
    DebitPutInReview,
    Mandate,
    Review,
)
from shared.errors import Conflict, Invalid, Problem
from shared.events.directdebit import DebitDeclined, DebitItem, DebitSettled, DebitSubmitted

AtProvider = Literal["submitted", "settled", "declined", "returned_by_bank", "claimed", "in_review"]
Change = DebitSubmitted | DebitSettled | DebitDeclined | DebitPutInReview


class NotSigned(Problem):
    """The signature of this callback is not valid."""

    status = 498


class NoProvider(Conflict):
    """The business has no account with the provider yet; connect it first."""


class DebitsUnderWay(Conflict):
    """Debits are under way at the account that is connected; another account could not tell what became of them."""


class MandateInUse(Invalid):
    """This mandate of the provider belongs to another payer."""


# What to send


@dataclass(frozen=True)
class Wanted:
    """A debit to be made: how much, and the how-manieth try it is for its instalment."""

    amount_minor: int
    attempt_no: int


def revise(debit: Debit, collection: Collection, mandate: Mandate | None) -> DebitCancelled | None:
    """Until it is being sent, a debit that the newest wish or mandate has overtaken is called off."""
    if debit.state != "created":
        return None
    answers = any(
        item.instalment_id == collection.instalment_id and item.version == collection.version for item in debit.items
    )
    return None if answers and mandate and mandate.mandate_id == debit.mandate_id else DebitCancelled()


def collect(
    collection: Collection, earlier: Sequence[Debit], mandate: Mandate | None, *, new_mandate: bool
) -> Wanted | None:
    """What is wanted, is not collected and not on its way, is debited where there is a mandate.

    One debit at a time for an instalment, none while one is in review. Once declined, it waits until somebody
    records a mandate: nothing is tried again by itself (R-35).
    """
    if mandate is None or collection.target_minor <= 0:
        return None
    tried = [debit for debit in earlier if debit.state != "cancelled"]
    if any(debit.live or debit.state == "in_review" for debit in tried) or (tried and not new_mandate):
        return None
    return Wanted(collection.target_minor, len(tried) + 1)


# What the answer to a request means


def accept(debit: Debit, provider_ref: str) -> Sequence[DebitIdentified | DebitSubmitted | DebitPutInReview]:
    """The provider has it. A callback may have said so first; another name for it means two payments."""
    if debit.provider_ref == provider_ref:
        return ()
    if debit.provider_ref:
        return (DebitPutInReview("two_payments"),)
    if debit.state not in UNSENT:
        return (DebitIdentified(provider_ref), DebitPutInReview("not_sent"))
    return (DebitIdentified(provider_ref), DebitSubmitted(**_state_of(debit, in_flight=True)))


def refuse(debit: Debit, reason: str) -> DebitDeclined | None:
    """The provider has read a debit and does not take it: the instalment is owed again, and no repeat can help."""
    if debit.state not in UNSENT:
        return None
    return DebitDeclined(**_state_of(debit), code=reason, reason_class="hard")


def doubt(debit: Debit) -> DebitInDoubt | None:
    """No answer is not a no: the debit may exist, and only the same request or a look-up can tell."""
    return DebitInDoubt() if debit.state in UNSENT else None


# What the provider's facts mean

RANK: dict[Kind, int] = {
    "noted": 0,
    "submitted": 1,
    "resubmitted": 2,
    "settled": 3,
    "claim_withdrawn": 4,
    "failed": 5,
    "charged_back": 6,
}
"""Of facts with one time, bad news is the last."""

STEPS: dict[tuple[AtProvider, Kind], AtProvider] = {
    ("submitted", "submitted"): "submitted",
    ("submitted", "resubmitted"): "submitted",
    ("submitted", "settled"): "settled",
    ("submitted", "failed"): "declined",
    ("submitted", "charged_back"): "claimed",
    ("settled", "settled"): "settled",
    ("settled", "failed"): "returned_by_bank",
    ("settled", "charged_back"): "claimed",
    ("declined", "failed"): "declined",
    ("declined", "resubmitted"): "submitted",
    ("returned_by_bank", "failed"): "returned_by_bank",
    ("returned_by_bank", "resubmitted"): "submitted",
    ("claimed", "charged_back"): "claimed",
    ("claimed", "claim_withdrawn"): "settled",
}
"""The legal steps of a debit that the provider has; any other is a contradiction."""

STAYS: frozenset[Review] = frozenset({"not_sent", "two_payments"})
"""Questions that no further fact of the provider answers."""


def _order(fact: ProviderFact) -> tuple[datetime, int, str]:
    return fact.occurred_at, RANK[fact.kind or "noted"], fact.event_id


def fold(facts: Iterable[ProviderFact]) -> tuple[AtProvider, ProviderFact | None]:
    """The state of a debit at the provider: a function of the set of its facts, whatever came when (R-39).

    Facts in the order of the provider's own time; the second value is the fact that decided.
    """
    state: AtProvider = "submitted"
    decided: ProviderFact | None = None
    for fact in sorted(facts, key=_order):
        kind = fact.kind or "noted"
        if kind == "noted" or state == "in_review":
            continue
        before, state = state, STEPS.get((state, kind), "in_review")
        if state != before:
            decided = fact
    return state, decided


def follow(debit: Debit, facts: Sequence[ProviderFact], *, another_is_live: bool) -> Change | None:
    """What the facts make of a debit, if it is news.

    Money that comes back after it was settled, and whatever contradicts itself, is put in review: it blocks sending,
    and a person decides.
    """
    if debit.review in STAYS:
        return None
    if debit.state in ("cancelled", "refused"):
        return DebitPutInReview("not_sent")
    if len({fact.provider_ref for fact in facts} | {debit.provider_ref} - {None}) > 1:
        return DebitPutInReview("two_payments")
    state, decided = fold(facts)
    if state in ("submitted", "settled") and another_is_live and not debit.live:
        return _review(debit, "another_is_live")
    match state:
        case "submitted":
            return None if debit.state == state else DebitSubmitted(**_state_of(debit, in_flight=True))
        case "settled":
            return None if debit.state == state else DebitSettled(**_state_of(debit, collected=True))
        case "declined":
            return _decline(debit, decided)
        case "in_review":
            return _review(debit, "contradiction")
        case "returned_by_bank" | "claimed":
            return _review(debit, state)


def ends_mandate(change: Change | None, facts: Iterable[ProviderFact]) -> bool:
    """A decline for a reason that will never pass ends the mandate (R-35)."""
    decided = fold(facts)[1]
    return isinstance(change, DebitDeclined) and decided is not None and decided.ends_mandate


def _decline(debit: Debit, decided: ProviderFact | None) -> DebitDeclined | None:
    code = (decided and decided.cause) or "other"
    reason_class = (decided and decided.reason_class) or "hard"
    if (debit.state, debit.code, debit.reason_class) == ("declined", code, reason_class):
        return None
    return DebitDeclined(**_state_of(debit), code=code, reason_class=reason_class)


def _review(debit: Debit, review: Review) -> DebitPutInReview | None:
    return None if debit.review == review else DebitPutInReview(review)


def _state_of(debit: Debit, *, collected: bool = False, in_flight: bool = False) -> dict[str, Any]:
    """A debit as billing hears of it: absolute amounts of each item, under the next sequence (docs/decisions/0001)."""
    items = [
        DebitItem(
            instalment_id=item.instalment_id,
            attempt_no=item.attempt_no,
            collected_minor=item.amount_minor if collected else 0,
            in_flight_minor=item.amount_minor if in_flight else 0,
            final=False,
        )
        for item in debit.items
    ]
    return {
        "debit_id": debit.debit_id,
        "sequence": debit.sequence + 1,
        "currency": debit.currency,
        "items": items,
    }
