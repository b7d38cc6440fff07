"""What directdebit decides, without any server."""

import itertools
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.directdebit import rules
from services.directdebit.tables.callbacks import Kind, ProviderFact
from services.directdebit.tables.debits import (
    Collection,
    Debit,
    DebitCancelled,
    DebitIdentified,
    DebitInDoubt,
    DebitItem,
    DebitPutInReview,
    DebitSending,
    Mandate,
)
from shared.events.directdebit import DebitDeclined, DebitSettled, DebitSubmitted
from shared.ids import new_id

AT = datetime(2022, 9, 27, 0, 0, tzinfo=UTC)
INSTALMENT, PAYER = new_id(), new_id()


def a_mandate() -> Mandate:
    return Mandate(mandate_id=new_id(), payer_id=PAYER, provider_mandate="MD123", state="active")


def a_collection(**changes: Any) -> Collection:
    usual = {"instalment_id": INSTALMENT, "version": 1, "target_minor": 30000, "currency": "AUD", "payer_id": PAYER}
    return Collection(**usual | changes)


def a_debit(state: str = "submitted", provider_ref: str | None = "PM1", **changes: Any) -> Debit:
    debit_id = changes.pop("debit_id", new_id())
    item = DebitItem(debit_id=debit_id, instalment_id=INSTALMENT, amount_minor=30000, attempt_no=1, version=1)
    usual = {"amount_minor": 30000, "currency": "AUD", "charge_date": date(2022, 9, 27), "sequence": 1}
    debit = Debit(debit_id=debit_id, state=state, provider_ref=provider_ref, **usual | changes)
    debit.items.append(item)
    item.live = debit.live
    return debit


_numbers = itertools.count()


def a_fact(kind: Kind, seconds: int = 0, *, cause: str | None = None, ref: str = "PM1") -> ProviderFact:
    bad = kind in ("failed", "charged_back")
    return ProviderFact(
        fact_id=new_id(),
        event_id=f"EV{next(_numbers):06}",
        kind=kind,
        provider_ref=ref,
        cause=cause or ("insufficient_funds" if bad else None),
        reason_class="soft" if bad and cause is None else "hard" if bad else None,
        ends_mandate=cause == "bank_account_closed",
        occurred_at=AT + timedelta(seconds=seconds),
    )


def hear(debit: Debit, facts: Sequence[ProviderFact]) -> rules.Change | None:
    change = rules.follow(debit, facts, another_is_live=False)
    if change:
        debit.apply(change)
    return change


# What to send


def test_a_collection_with_a_mandate_is_debited_in_full() -> None:
    assert rules.collect(a_collection(), [], a_mandate(), new_mandate=False) == rules.Wanted(30000, 1)


def test_a_collection_without_a_mandate_waits() -> None:
    assert rules.collect(a_collection(), [], None, new_mandate=True) is None


def test_a_collection_that_was_withdrawn_is_not_debited() -> None:
    assert rules.collect(a_collection(target_minor=0), [], a_mandate(), new_mandate=True) is None


@pytest.mark.parametrize("state", ["created", "submitting", "unknown", "submitted", "settled", "in_review"])
@pytest.mark.parametrize("new_mandate", [False, True])
def test_nothing_is_debited_beside_a_debit_that_may_bring_the_money(state: str, new_mandate: bool) -> None:
    assert rules.collect(a_collection(), [a_debit(state)], a_mandate(), new_mandate=new_mandate) is None


@pytest.mark.parametrize("state", ["declined", "refused"])
def test_a_declined_collection_waits_for_a_mandate_and_then_is_the_next_attempt(state: str) -> None:
    earlier = [a_debit("cancelled"), a_debit(state)]
    assert rules.collect(a_collection(version=2), earlier, a_mandate(), new_mandate=False) is None
    assert rules.collect(a_collection(), earlier, a_mandate(), new_mandate=True) == rules.Wanted(30000, 2)


def test_a_debit_that_is_not_yet_sent_follows_the_newest_version_and_mandate() -> None:
    mandate = a_mandate()
    created = a_debit("created", None, mandate_id=mandate.mandate_id)
    assert rules.revise(created, a_collection(), mandate) is None
    assert rules.revise(created, a_collection(version=2), mandate) == DebitCancelled()
    assert rules.revise(created, a_collection(), a_mandate()) == DebitCancelled()
    assert rules.revise(created, a_collection(), None) == DebitCancelled()


@pytest.mark.parametrize("state", ["submitting", "unknown", "submitted", "settled"])
def test_from_the_moment_it_is_being_sent_a_debit_stays(state: str) -> None:
    assert rules.revise(a_debit(state), a_collection(version=2, target_minor=0), a_mandate()) is None


# What the answer means


@pytest.mark.parametrize("state", ["created", "submitting", "unknown"])
def test_an_accepted_debit_is_told_as_in_flight_and_not_as_money(state: str) -> None:
    debit = a_debit(state, None, sequence=0)
    identified, told = rules.accept(debit, "PM1")
    assert identified == DebitIdentified("PM1")
    assert isinstance(told, DebitSubmitted)
    (item,) = told.items
    assert (told.sequence, item.in_flight_minor, item.collected_minor, item.final) == (1, 30000, 0, False)


def test_an_answer_after_the_callback_is_no_news() -> None:
    assert rules.accept(a_debit("settled"), "PM1") == ()


def test_a_second_payment_for_one_debit_goes_to_a_person() -> None:
    assert rules.accept(a_debit("submitted"), "PM2") == (DebitPutInReview("two_payments"),)


def test_a_refused_debit_is_told_as_a_hard_decline_and_frees_the_instalment() -> None:
    debit = a_debit("submitting", None, sequence=0)
    told = rules.refuse(debit, "mandate")
    assert isinstance(told, DebitDeclined)
    assert (told.code, told.reason_class, told.sequence) == ("mandate", "hard", 1)
    debit.apply(told)
    assert (debit.state, debit.items[0].live) == ("refused", False)


def test_doubt_keeps_the_item_live() -> None:
    debit = a_debit("created", None)
    debit.apply(DebitSending("{}", AT))
    debit.apply(DebitInDoubt())
    assert (debit.state, debit.items[0].live) == ("unknown", True)
    assert rules.doubt(a_debit("settled")) is None
    assert rules.refuse(a_debit("settled"), "late") is None


# What the facts mean


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
        assert rules.fold(arrived)[0] == state


def test_bad_news_of_the_same_moment_wins() -> None:
    assert rules.fold([a_fact("failed"), a_fact("settled")])[0] == "returned_by_bank"


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


@pytest.mark.parametrize(("kind", "review"), [("failed", "returned_by_bank"), ("charged_back", "claimed")])
def test_money_that_goes_back_after_it_was_settled_goes_to_a_person(kind: Kind, review: str) -> None:
    debit = a_debit("settled")
    hear(debit, [a_fact("settled"), a_fact(kind, 1)])
    assert (debit.state, debit.review, debit.items[0].live) == ("in_review", review, False)


def test_a_withdrawn_claim_makes_it_settled_again() -> None:
    debit, facts = a_debit(), [a_fact("settled"), a_fact("charged_back", 1)]
    hear(debit, facts)
    told = hear(debit, [*facts, a_fact("claim_withdrawn", 2)])
    assert isinstance(told, DebitSettled)
    assert (debit.state, debit.review) == ("settled", None)


@pytest.mark.parametrize("state", ["cancelled", "refused"])
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
    assert rules.follow(debit, facts, another_is_live=True) == DebitPutInReview("another_is_live")
    assert isinstance(rules.follow(debit, facts, another_is_live=False), DebitSubmitted)


def test_only_a_reason_that_never_passes_ends_the_mandate() -> None:
    for cause, ends in (("bank_account_closed", True), ("insufficient_funds", False), ("a_new_cause", False)):
        facts = [a_fact("failed", cause=cause)]
        assert rules.ends_mandate(hear(a_debit(), facts), facts) is ends


KINDS: list[Kind] = [*rules.RANK]


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


@given(lives())
def test_what_is_told_is_never_more_than_the_debit(life: tuple[list[ProviderFact], list[ProviderFact]]) -> None:
    change = hear(a_debit(sequence=0), life[0])
    if change and not isinstance(change, DebitPutInReview):
        assert sum(item.collected_minor + item.in_flight_minor for item in change.items) in (0, 30000)
