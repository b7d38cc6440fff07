"""When a payer is told that a debit has failed, when it is tried again, and who is reminded; by the rules alone."""

from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.rules import standing
from services.billing.tables.invoices import Instalment, Invoice
from services.billing.tables.payments import DebitFact
from shared.events.billing import CollectionFailed
from shared.ids import new_id
from tests.billing.test_standing import OWED, fact, instalment
from tests.harness.terms import FIRST_DUE

INVOICE = Invoice(invoice_id=new_id(), number=7, client_id=new_id(), payer_id=new_id(), currency="AUD")
RETRY = date(2022, 10, 5)
FAILURES = ("declined", "returned", "claimed")


def hear(owed: Instalment, *facts: DebitFact) -> list[CollectionFailed]:
    """What is told when facts of debits come one by one."""
    told = []
    for each in facts:
        owed.debit_facts.append(each)
        if failed := standing.fail(INVOICE, owed, each):
            each.apply(failed)
            told.append(failed)
    return told


def story(debit_id: Any, states: list[str]) -> list[DebitFact]:
    """The facts of one debit, as they became true; only what is settled has brought money."""
    return [
        fact(
            debit_id,
            sequence,
            state,
            attempt_no=2,
            collected_minor=OWED if state == "settled" else 0,
            in_flight_minor=OWED if state == "submitted" else 0,
            reason_class="soft" if state in ("declined", "returned") else None,
        )
        for sequence, state in enumerate(states, start=1)
    ]


@given(st.lists(st.sampled_from(["submitted", "settled", *FAILURES]), min_size=1, max_size=6), st.data())
def test_a_debit_that_failed_is_told_once_if_that_is_news(states: list[str], data: st.DataObject) -> None:
    facts = story(new_id(), states)
    came = data.draw(st.permutations(facts))
    told = hear(instalment(), *came)
    newest, news = 0, []
    for each in came:
        if each.sequence > newest:
            newest = each.sequence
            news += [each.state] if each.state in FAILURES else []
    assert [each.what for each in told] == news[:1]
    assert [each.told for each in facts].count(True) == len(told)
    assert told or facts[-1].state not in FAILURES, "a debit that ends as failed has been told of"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_return_is_told_in_whatever_order_it_is_heard(order: tuple[int, ...]) -> None:
    facts = story(new_id(), ["submitted", "settled", "returned"])
    (failed,) = hear(instalment(), *(facts[position] for position in order))
    assert (failed.what, failed.reason_class, failed.amount_minor, failed.invoice_number) == (
        "returned",
        "soft",
        OWED,
        7,
    )


def test_what_was_made_good_before_it_was_heard_is_not_told() -> None:
    claimed, withdrawn = story(new_id(), ["submitted", "settled", "claimed", "settled"])[2:]
    assert hear(instalment(), withdrawn, claimed) == []
    declined = story(new_id(), ["submitted", "declined"])[1]
    assert hear(instalment(paid_minor=OWED, state="paid"), declined) == [], "it was paid by hand"


def test_a_claim_is_hard_and_nothing_follows_by_itself() -> None:
    (failed,) = hear(instalment(), *story(new_id(), ["submitted", "claimed"]))
    assert (failed.what, failed.reason_class, failed.final, failed.next_attempt_date) == ("claimed", "hard", True, None)


def test_a_failure_says_when_it_is_tried_again() -> None:
    facts = story(new_id(), ["submitted", "returned"])
    facts[1].next_attempt_date = RETRY
    owed = instalment(target_minor=OWED)
    (failed,) = hear(owed, *facts)
    assert (failed.final, failed.next_attempt_date) == (False, RETRY)
    assert standing.next_attempt(owed) == RETRY


@pytest.mark.parametrize(
    ("changes", "then"),
    [
        ({"target_minor": 0}, []),
        ({"paid_minor": OWED}, []),
        ({"state": "void"}, []),
        ({}, ["submitted"]),
        ({}, ["submitted", "settled"]),
        ({}, ["submitted", "declined"]),
    ],
)
def test_nothing_is_tried_again_where_nothing_is_asked_for_or_another_debit_came(
    changes: dict[str, Any], then: list[str]
) -> None:
    failed = fact(1, 2, "declined", next_attempt_date=RETRY, attempt_no=1)
    later = story(2, then)
    owed = instalment(failed, *later, **{"target_minor": OWED} | changes)
    assert standing.next_attempt(owed) is None
    assert standing.next_attempt(instalment(target_minor=OWED)) is None


@pytest.mark.parametrize(
    ("days", "changes", "facts", "amount"),
    [
        (2, {}, [], None),
        (3, {}, [], OWED),
        (40, {}, [], OWED),
        (7, {"target_minor": OWED}, [], None),
        (8, {"target_minor": OWED}, [], OWED),
        (3, {"paid_minor": 10000}, [], 20000),
        (3, {"paid_minor": OWED, "state": "paid"}, [], None),
        (3, {"state": "scheduled"}, [], None),
        (3, {"state": "void"}, [], None),
        (9, {"reminded_date": FIRST_DUE + timedelta(days=3)}, [], None),
        (9, {}, ["submitted"], None),
        (9, {}, ["submitted", "declined"], None),
        (9, {}, ["submitted", "settled", "returned"], None),
    ],
)
def test_who_is_reminded(days: int, changes: dict[str, Any], facts: list[str], amount: int | None) -> None:
    owed = instalment(*story(new_id(), facts), **changes)
    reminder = standing.remind(INVOICE, owed, today=FIRST_DUE + timedelta(days=days))
    assert (reminder and reminder.amount_minor) == amount
