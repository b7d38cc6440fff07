"""What the provider's facts mean, whatever came when."""

import itertools
from collections.abc import Sequence
from datetime import date
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.directdebit.rules import folding
from services.directdebit.tables.callbacks import Kind, MandateKind, ProviderFact
from services.directdebit.tables.debits import Debit, DebitPutInReview
from services.directdebit.tables.mandates import MandateState
from shared.events.directdebit import DebitClaimed, DebitDeclined, DebitReturned, DebitSettled, DebitSubmitted
from tests.directdebit.rows import INSTALMENT, a_debit, a_fact, a_mandate


def hear(debit: Debit, facts: Sequence[ProviderFact]) -> folding.Change | None:
    change = folding.follow(debit, facts, another_is_live=False)
    if change:
        debit.apply(change)
    return change


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        ([], "submitted"),
        (["noted", "submitted"], "submitted"),
        (["noted", "submitted", "settled"], "settled"),
        (["submitted", "settled", "settled"], "settled"),
        (["submitted", "failed"], "declined"),
        (["settled", "failed"], "returned_by_bank"),
        (["settled", "charged_back"], "claimed"),
        (["settled", "charged_back", "claim_withdrawn"], "settled"),
        (["failed", "resubmitted", "submitted", "settled"], "settled"),
        (["settled", "failed", "resubmitted", "settled"], "settled"),
        (["failed", "settled"], "in_review"),
        (["failed", "settled", "settled"], "in_review"),
        (["settled", "submitted"], "in_review"),
        (["claim_withdrawn"], "in_review"),
    ],
)
def test_the_facts_in_the_providers_order_make_the_state(kinds: list[Kind], state: str) -> None:
    facts = [a_fact(kind, second) for second, kind in enumerate(kinds)]
    for arrived in itertools.permutations(facts):
        assert folding.fold(arrived)[0] == state


def test_bad_news_of_the_same_moment_wins() -> None:
    assert folding.fold([a_fact("failed"), a_fact("settled")])[0] == "returned_by_bank"


def test_a_settled_debit_is_money_and_no_longer_in_flight() -> None:
    told = hear(a_debit(), [a_fact("settled")])
    assert isinstance(told, DebitSettled)
    assert (told.sequence, told.items[0].collected_minor, told.items[0].in_flight_minor) == (2, 30000, 0)


def test_a_decline_says_why_and_frees_the_instalment() -> None:
    debit = a_debit()
    told = hear(debit, [a_fact("submitted"), a_fact("failed", 1)])
    assert isinstance(told, DebitDeclined)
    assert (told.code, told.reason_class, told.items[0].in_flight_minor) == ("insufficient_funds", "soft", 0)
    assert not debit.items[0].live


def test_the_same_facts_again_are_no_news() -> None:
    debit, facts = a_debit(), [a_fact("submitted"), a_fact("failed", 1)]
    hear(debit, facts)
    assert hear(debit, facts) is None


def test_money_that_goes_back_is_told_with_the_reason() -> None:
    debit = a_debit("settled", final=True)
    told = hear(debit, [a_fact("settled"), a_fact("failed", 1)])
    assert isinstance(told, DebitReturned)
    assert (told.code, told.reason_class, told.items[0].collected_minor) == ("insufficient_funds", "soft", 0)
    assert (debit.state, debit.items[0].live, debit.final) == ("returned_by_bank", False, False)


def test_a_claim_takes_the_money() -> None:
    debit = a_debit("settled")
    told = hear(debit, [a_fact("settled"), a_fact("charged_back", 1, cause="authorisation_disputed")])
    assert isinstance(told, DebitClaimed)
    assert (told.code, told.items[0].collected_minor) == ("authorisation_disputed", 0)
    assert (debit.state, debit.items[0].live) == ("claimed", False)


def test_a_failure_says_when_each_instalment_is_tried_again() -> None:
    debit = a_debit("submitted")
    told = folding.follow(debit, [a_fact("failed")], another_is_live=False, next_dates={INSTALMENT: date(2022, 10, 4)})
    assert isinstance(told, DebitDeclined)
    assert told.items[0].next_attempt_date == date(2022, 10, 4)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("said_submitted", "submitted"),
        ("said_settled", "settled"),
        ("said_failed", "declined"),
        ("said_charged_back", "claimed"),
    ],
)
def test_what_the_provider_answers_ends_a_contradiction_and_nothing_else(answer: Kind, state: str) -> None:
    contradiction = [a_fact("failed"), a_fact("settled", 2)]
    assert folding.fold([*contradiction, a_fact(answer, 2)])[0] == state
    assert folding.fold([*contradiction, a_fact(answer, 2), a_fact("resubmitted", 1)])[0] == "settled"
    assert folding.fold([a_fact("settled"), a_fact(answer, 1)])[0] == "settled"


def test_a_withdrawn_claim_makes_it_settled_again() -> None:
    debit, facts = a_debit(), [a_fact("settled"), a_fact("charged_back", 1)]
    hear(debit, facts)
    told = hear(debit, [*facts, a_fact("claim_withdrawn", 2)])
    assert isinstance(told, DebitSettled)
    assert (debit.state, debit.review) == ("settled", None)


@pytest.mark.parametrize("state", ["created", "cancelled", "refused"])
def test_a_payment_for_a_debit_that_was_never_sent_goes_to_a_person_for_good(state: str) -> None:
    debit = a_debit(state)
    hear(debit, [a_fact("submitted")])
    assert (debit.state, debit.review) == ("in_review", "not_sent")
    assert hear(debit, [a_fact("submitted"), a_fact("settled", 1)]) is None


def test_facts_of_two_payments_for_one_debit_go_to_a_person() -> None:
    debit = a_debit()
    hear(debit, [a_fact("submitted"), a_fact("submitted", ref="PM2")])
    assert (debit.state, debit.review) == ("in_review", "two_payments")


def test_a_resubmission_beside_another_live_debit_goes_to_a_person() -> None:
    debit = a_debit("declined")
    facts = [a_fact("failed"), a_fact("resubmitted", 1)]
    assert folding.follow(debit, facts, another_is_live=True) == DebitPutInReview("another_is_live")
    assert isinstance(folding.follow(debit, facts, another_is_live=False), DebitSubmitted)


def test_only_a_reason_that_never_passes_ends_the_mandate() -> None:
    for cause, ends in (("bank_account_closed", True), ("insufficient_funds", False), ("a_new_cause", False)):
        facts = [a_fact("failed", cause=cause)]
        assert folding.ends_mandate(hear(a_debit(), facts), facts[0]) is ends


KINDS: list[Kind] = list(get_args(Kind))


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[ProviderFact], list[ProviderFact]]:
    """A set of facts, and an order of arrival in which each comes at least once."""
    kinds = draw(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 4)), max_size=6))
    causes = draw(st.lists(st.sampled_from([None, "bank_account_closed", "other"]), min_size=6, max_size=6))
    refs = draw(st.lists(st.sampled_from(["PM1", "PM1", "PM1", "PM2"]), min_size=6, max_size=6))
    facts = [
        a_fact(kind, seconds, cause=cause if kind == "failed" else None, ref=ref)
        for (kind, seconds), cause, ref in zip(kinds, causes, refs, strict=False)
    ]
    again = draw(st.lists(st.sampled_from(facts), max_size=6)) if facts else []
    return facts, draw(st.permutations(facts + again))


def standing(debit: Debit) -> tuple[Any, ...]:
    return debit.state, debit.review, debit.code, debit.reason_class, [item.live for item in debit.items]


@given(lives(), st.sampled_from(["created", "submitting", "unknown", "submitted", "refused"]))
def test_every_order_with_any_duplicates_ends_in_the_same_state(
    life: tuple[list[ProviderFact], list[ProviderFact]], state: str
) -> None:
    """R-39."""
    facts, arrivals = life
    at_once, one_by_one = a_debit(state, sequence=0), a_debit(state, sequence=0)
    if facts:
        hear(at_once, facts)
    known: dict[UUID, ProviderFact] = {}
    told = []
    for fact in arrivals:
        known[fact.fact_id] = fact
        told.append(hear(one_by_one, list(known.values())))
    assert standing(one_by_one) == standing(at_once)
    sequences = [change.sequence for change in told if change and not isinstance(change, DebitPutInReview)]
    assert sequences == list(range(1, len(sequences) + 1))


# Mandates


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (["mandate_noted", "mandate_active"], "active"),
        (["mandate_active", "mandate_suspended"], "suspended"),
        (["mandate_suspended", "mandate_active"], "active"),
        (["mandate_active", "mandate_cancelled"], "cancelled"),
        (["mandate_failed"], "failed"),
        (["mandate_active", "mandate_expired"], "expired"),
    ],
)
def test_a_mandate_is_what_the_newest_of_its_facts_says(kinds: list[MandateKind], state: MandateState) -> None:
    facts = [a_fact(kind, second) for second, kind in enumerate(kinds)]
    for arrived in itertools.permutations(facts):
        mandate = a_mandate()
        for known in range(1, len(arrived) + 1):
            if change := folding.follow_mandate(mandate, arrived[:known], another_is_active=False):
                mandate.apply(change)
        assert mandate.state == state


def test_a_mandate_that_has_ended_lives_again_only_where_the_provider_reinstates_it() -> None:
    cancelled = a_fact("mandate_cancelled")
    active, reinstated = a_fact("mandate_active", 1), a_fact("mandate_active", 1, action="reinstated")
    ended = a_mandate("cancelled")
    assert folding.follow_mandate(ended, [cancelled, active], another_is_active=False) is None
    revived = folding.follow_mandate(ended, [cancelled, reinstated], another_is_active=False)
    assert revived and revived.state == "active"
    replaced = folding.follow_mandate(ended, [cancelled, reinstated], another_is_active=True)
    assert replaced and replaced.state == "replaced"
    assert folding.follow_mandate(a_mandate("replaced"), [reinstated], another_is_active=False) is None
