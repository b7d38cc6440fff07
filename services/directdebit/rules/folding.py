"""What the provider's facts mean: a debit, or a mandate, is a function of the set of its facts, whatever came when."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from services.directdebit.tables.callbacks import ProviderFact
from services.directdebit.tables.debits import Debit, DebitPutInReview, Review
from services.directdebit.tables.mandates import ENDED, Mandate, MandateBecame, MandateState
from shared.events.directdebit import (
    DebitClaimed,
    DebitDeclined,
    DebitItem,
    DebitReturned,
    DebitSettled,
    DebitSubmitted,
)

AtProvider = Literal["submitted", "settled", "declined", "returned_by_bank", "claimed", "in_review"]
Change = DebitSubmitted | DebitSettled | DebitDeclined | DebitReturned | DebitClaimed | DebitPutInReview
NextDates = Mapping[UUID, date | None]
"""Instalment → when it is tried again by itself, now that its debit has failed."""
NEVER: NextDates = MappingProxyType({})

RANK: dict[str, int] = {
    "noted": 0,
    "submitted": 1,
    "resubmitted": 2,
    "settled": 3,
    "claim_withdrawn": 4,
    "failed": 5,
    "charged_back": 6,
    "said_submitted": 7,
    "said_settled": 7,
    "said_failed": 7,
    "said_charged_back": 7,
}
"""Of facts with one time, bad news is the last, but for what the provider says when it is asked."""

STEPS: dict[tuple[AtProvider, str], AtProvider] = {
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

ANSWERS: dict[str, AtProvider] = {
    "said_submitted": "submitted",
    "said_settled": "settled",
    "said_failed": "declined",
    "said_charged_back": "claimed",
}
"""A contradiction ends with what the provider answers; where there is none any more, the answer is not needed."""

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
        before = state
        if kind in ANSWERS:
            state = ANSWERS[kind] if state == "in_review" else state
        elif kind != "noted" and state != "in_review":
            state = STEPS.get((state, kind), "in_review")
        if state != before:
            decided = fact
    return state, decided


def follow(
    debit: Debit, facts: Sequence[ProviderFact], *, another_is_live: bool, next_dates: NextDates = NEVER
) -> Change | None:
    """What the facts make of a debit, if it is news.

    Money that comes back is told to billing with the reason (R-34); what contradicts itself is put in review: it blocks
    sending, and the provider is asked.
    """
    if debit.review in STAYS:
        return None
    if debit.state in ("created", "cancelled", "refused"):
        return DebitPutInReview("not_sent")
    if len({fact.provider_ref for fact in facts} | {debit.provider_ref} - {None}) > 1:
        return DebitPutInReview("two_payments")
    state, decided = fold(facts)
    if state in ("submitted", "settled") and another_is_live and not debit.live:
        return _review(debit, "another_is_live")
    if state == "in_review":
        return _review(debit, "contradiction")
    code = (decided and decided.cause) or "other"
    reason_class = (decided and decided.reason_class) or "hard"
    known = (debit.state, debit.code, debit.reason_class)
    match state:
        case "submitted":
            return None if debit.state == state else DebitSubmitted(**state_of(debit, in_flight=True))
        case "settled":
            return None if debit.state == state else DebitSettled(**state_of(debit, collected=True))
        case "claimed":
            return None if known == (state, code, None) else DebitClaimed(**state_of(debit), code=code)
    if known == (state, code, reason_class):
        return None
    why = {"code": code, "reason_class": reason_class}
    again = state_of(debit, next_dates=next_dates)
    return DebitReturned(**again, **why) if state == "returned_by_bank" else DebitDeclined(**again, **why)


def ends_mandate(change: Change | None, decided: ProviderFact | None) -> bool:
    """A failure for a reason that will never pass ends the mandate (R-35)."""
    failed = isinstance(change, DebitDeclined | DebitReturned | DebitClaimed)
    return failed and decided is not None and decided.ends_mandate


def _review(debit: Debit, review: Review) -> DebitPutInReview | None:
    return None if debit.review == review else DebitPutInReview(review)


def state_of(
    debit: Debit, *, collected: bool = False, in_flight: bool = False, next_dates: NextDates = NEVER
) -> dict[str, Any]:
    """A debit as billing hears of it: absolute amounts of each item, under the next sequence (docs/decisions/0001)."""
    items = [
        DebitItem(
            instalment_id=item.instalment_id,
            attempt_no=item.attempt_no,
            collected_minor=item.amount_minor if collected else 0,
            in_flight_minor=item.amount_minor if in_flight else 0,
            final=False,
            next_attempt_date=next_dates.get(item.instalment_id),
        )
        for item in debit.items
    ]
    return {
        "debit_id": debit.debit_id,
        "sequence": debit.sequence + 1,
        "currency": debit.currency,
        "items": items,
    }


# What the provider's facts mean for a mandate

BECOMES: dict[str, MandateState] = {
    "mandate_active": "active",
    "mandate_suspended": "suspended",
    "mandate_cancelled": "cancelled",
    "mandate_failed": "failed",
    "mandate_expired": "expired",
}


REVIVES = frozenset({"reinstated"})
"""Only so an ended mandate lives again."""


def follow_mandate(mandate: Mandate, facts: Iterable[ProviderFact], *, another_is_active: bool) -> MandateBecame | None:
    """A mandate is what the newest of its facts says; one that was replaced, or that a decline ended, stays so.

    What comes back to life beside a newer mandate of the payer's is replaced by that.
    """
    told = [
        (fact.occurred_at, becomes in ENDED, fact.event_id, becomes, fact.action in REVIVES)
        for fact in facts
        if (becomes := BECOMES.get(fact.kind or ""))
    ]
    if not told or mandate.state == "replaced":
        return None
    *_, becomes, revives = max(told)
    if becomes == mandate.state or (mandate.state in ENDED and becomes not in ENDED and not revives):
        return None
    if becomes == "active" and another_is_active:
        return MandateBecame("replaced")
    return MandateBecame(becomes)
