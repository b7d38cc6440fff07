"""What a wish makes of a debit that waits, what may be tried again, and what the provider's answer means."""

from datetime import date
from typing import Any

import pytest

from services.directdebit.rules import runs, sending
from services.directdebit.rules.calendar import BankDays
from services.directdebit.rules.errors import NothingToRetry, NotListed
from services.directdebit.tables.collections import CollectionDue, Run, RunCancelled, RunConfirmed
from services.directdebit.tables.debits import (
    DebitCancelled,
    DebitIdentified,
    DebitInDoubt,
    DebitPutInReview,
    DebitRevised,
    DebitSending,
)
from shared.events.directdebit import DebitDeclined, DebitItem, DebitSubmitted
from shared.ids import new_id
from tests.directdebit.rows import AT, INSTALMENT, a_collection, a_debit

DAYS = BankDays("AUD")
TODAY = date(2022, 9, 27)


# What waits


def test_a_wish_that_was_never_sent_is_due_from_its_date_on() -> None:
    assert sending.due_after_wish(a_collection(), []) == CollectionDue(TODAY)
    assert sending.due_after_wish(a_collection(), [a_debit("cancelled")]) == CollectionDue(TODAY)


@pytest.mark.parametrize("state", ["created", "unknown", "submitted", "settled", "declined", "refused", "claimed"])
def test_a_new_wish_for_what_was_sent_changes_no_date(state: str) -> None:
    assert sending.due_after_wish(a_collection(version=2), [a_debit(state)]) is None


def test_a_debit_that_is_not_yet_sent_follows_the_newest_wish() -> None:
    created = a_debit("created", None)
    assert sending.revise(created, a_collection()) is None
    assert sending.revise(created, a_collection(version=2, target_minor=100)) == DebitRevised(INSTALMENT, 2, 100)
    assert sending.revise(created, a_collection(version=2, target_minor=0)) == DebitCancelled()
    assert sending.revise(created, a_collection(version=2, payer_id=new_id())) == DebitCancelled()


def test_what_is_not_wanted_any_more_leaves_a_debit_of_several() -> None:
    other = new_id()
    created = a_debit("created", None, beside=[other])
    revised = sending.revise(created, a_collection(version=2, target_minor=0))
    assert revised == DebitRevised(INSTALMENT, 2, 0)
    created.apply(revised)
    assert ([item.instalment_id for item in created.items], created.amount_minor) == ([other], 30000)


@pytest.mark.parametrize("state", ["submitting", "unknown", "submitted", "settled"])
def test_from_the_moment_it_is_being_sent_a_debit_stays(state: str) -> None:
    assert sending.revise(a_debit(state), a_collection(version=2, target_minor=0)) is None


# What is tried again


@pytest.mark.parametrize(
    ("failed", "tries", "again"),
    [
        (date(2022, 9, 29), 1, date(2022, 10, 4)),
        (date(2022, 9, 30), 1, date(2022, 10, 5)),  # V-17: the Labour Day of New South Wales is a bank day
        (date(2022, 10, 4), 2, date(2022, 10, 13)),
        (date(2022, 9, 20), 1, date(2022, 9, 26)),  # the National Day of Mourning lies between
        (date(2026, 4, 1), 1, date(2026, 4, 8)),  # and here Easter
        (date(2022, 9, 29), 3, None),
    ],
)
def test_a_soft_failure_is_tried_again_after_3_and_then_7_bank_days(
    failed: date, tries: int, again: date | None
) -> None:
    assert sending.next_attempt_date(failed, tries, soft=True, new_mandate=False, days=DAYS) == again
    assert sending.next_attempt_date(failed, tries, soft=False, new_mandate=False, days=DAYS) is None


@pytest.mark.parametrize(
    ("debits", "changes"),
    [
        ([], {"target_minor": 0}),
        ([a_debit("settled")], {}),
        ([a_debit("declined"), a_debit("submitted")], {}),
        ([a_debit("in_review", review="two_payments")], {}),
        ([a_debit("declined")], {"next_date": TODAY}),
    ],
)
def test_nothing_is_tried_beside_what_may_bring_the_money(debits: list[Any], changes: dict[str, Any]) -> None:
    with pytest.raises(NothingToRetry):
        sending.try_again(a_collection(**changes), debits, today=TODAY)


def test_a_mandate_given_in_the_meantime_is_tried_on_the_next_bank_day_whatever_the_reason_was() -> None:
    for soft, tries in ((True, 3), (False, 1)):
        again = sending.next_attempt_date(date(2022, 9, 30), tries, soft=soft, new_mandate=True, days=DAYS)
        assert again == date(2022, 10, 3)


def declined(next_date: date | None) -> DebitDeclined:
    item = DebitItem(instalment_id=INSTALMENT, attempt_no=1, collected_minor=0, in_flight_minor=0, final=False)
    item = item.model_copy(update={"next_attempt_date": next_date})
    return DebitDeclined(debit_id=new_id(), sequence=2, currency="AUD", items=[item], code="other", reason_class="soft")


@pytest.mark.parametrize(
    ("fact", "due"),
    [
        (DebitCancelled(), CollectionDue(TODAY)),
        (DebitRevised(INSTALMENT, 2, 0), CollectionDue(TODAY)),
        (DebitRevised(INSTALMENT, 2, 100), None),
        (DebitRevised(new_id(), 2, 0), None),
        (declined(date(2022, 10, 4)), CollectionDue(date(2022, 10, 4))),
        (declined(None), CollectionDue(None)),
        (DebitPutInReview("contradiction"), CollectionDue(None)),
    ],
)
def test_what_happens_to_a_debit_says_when_its_instalments_are_due(fact: object, due: CollectionDue | None) -> None:
    assert sending.due_after(fact, a_collection(), tried_since=False) == due
    assert sending.due_after(fact, a_collection(), tried_since=True) is None


def test_a_debit_whose_date_is_over_is_called_off_and_made_anew() -> None:
    assert sending.refuse(a_debit("submitting", None), "charge_date", too_late=True) == DebitCancelled()
    assert sending.refuse(a_debit("submitted"), "charge_date", too_late=True) is None


def test_a_person_may_have_it_tried_whatever_the_reason_was() -> None:
    assert sending.try_again(a_collection(), [a_debit("declined")], today=TODAY) == CollectionDue(TODAY)
    assert sending.try_again(a_collection(), [a_debit("claimed")], today=TODAY) == CollectionDue(TODAY)
    later = a_collection(next_date=date(2022, 10, 4))
    assert sending.try_again(later, [a_debit("declined")], today=TODAY) == CollectionDue(TODAY)


def test_only_a_list_is_confirmed_or_cancelled() -> None:
    run = Run(run_id=new_id(), state="listed")
    assert runs.cancel(run) == RunCancelled()
    run.apply(runs.confirm(run, by="staff:kim"))
    assert run.state == "confirmed"
    for act in (lambda: runs.confirm(run, by="staff:bo"), lambda: runs.cancel(run)):
        with pytest.raises(NotListed):
            act()
    assert RunConfirmed("staff:kim").confirmed_by == run.confirmed_by


# What the answer means


@pytest.mark.parametrize("state", ["created", "submitting", "unknown"])
def test_an_accepted_debit_is_told_as_in_flight_and_not_as_money(state: str) -> None:
    debit = a_debit(state, None, sequence=0)
    identified, told = sending.accept(debit, "PM1")
    assert identified == DebitIdentified("PM1")
    assert isinstance(told, DebitSubmitted)
    (item,) = told.items
    assert (told.sequence, item.in_flight_minor, item.collected_minor, item.final) == (1, 30000, 0, False)


def test_an_answer_after_the_callback_is_no_news() -> None:
    assert sending.accept(a_debit("settled"), "PM1") == ()


def test_the_provider_says_when_it_charges() -> None:
    later = date(2022, 9, 28)
    identified, _ = sending.accept(a_debit("submitting", None), "PM1", later)
    assert identified == DebitIdentified("PM1", later)
    debit = a_debit("submitted")
    (told,) = sending.accept(debit, "PM1", later)
    debit.apply(told)
    assert debit.charge_date == later


def test_a_second_payment_for_one_debit_goes_to_a_person() -> None:
    assert sending.accept(a_debit("submitted"), "PM2") == (DebitPutInReview("two_payments"),)


def test_a_refused_debit_is_told_as_a_hard_decline_and_frees_the_instalment() -> None:
    debit = a_debit("submitting", None, sequence=0)
    told = sending.refuse(debit, "mandate")
    assert isinstance(told, DebitDeclined)
    assert (told.code, told.reason_class, told.sequence) == ("mandate", "hard", 1)
    debit.apply(told)
    assert (debit.state, debit.items[0].live) == ("refused", False)


def test_doubt_keeps_the_item_live() -> None:
    debit = a_debit("created", None)
    debit.apply(DebitSending("{}", TODAY, AT))
    debit.apply(DebitInDoubt())
    assert (debit.state, debit.items[0].live) == ("unknown", True)
    assert sending.doubt(a_debit("settled")) is None
    assert sending.refuse(a_debit("settled"), "late") is None
