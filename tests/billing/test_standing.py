"""How money owed stands, what the journal says of it, and how it reads; by properties, and case by case."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.rules import standing
from services.billing.tables.invoices import Instalment, Invoice, PaidByHand, Standing
from services.billing.tables.packages import BilledPackage
from services.billing.tables.payments import DebitFact
from shared.ids import new_id
from tests.harness.terms import FIRST_DUE

CLOSED = date(2022, 9, 20)


@pytest.mark.parametrize(
    ("form", "period_index", "position", "due_date", "falls_away"),
    [
        ("recurring", 2, 1, date(2022, 9, 21), True),
        ("recurring", 2, 1, CLOSED, False),
        ("recurring", 1, 2, date(2022, 10, 4), True),
        ("recurring", 1, 1, date(2022, 10, 4), False),
        ("recurring", None, 1, date(2022, 10, 4), False),
        ("instalments", 1, 2, date(2022, 10, 4), False),
    ],
)
def test_a_close_takes_back_what_would_bring_no_sessions(
    form: str, period_index: int | None, position: int, due_date: date, falls_away: bool
) -> None:
    """R-55."""
    package = BilledPackage(form=form, ended_date=CLOSED)
    part = instalment(position=position, due_date=due_date, invoice=Invoice(period_index=period_index))
    assert standing.falls_away(package, part) is falls_away


# What debits bring

OWED = 30000


def instalment(*facts: DebitFact, **changes: Any) -> Instalment:
    fields = {"instalment_id": new_id(), "amount_minor": OWED, "state": "due", "due_date": FIRST_DUE, "paid_minor": 0}
    return Instalment(**fields | changes, debit_facts=list(facts))


def fact(debit: int = 1, sequence: int = 1, state: str = "submitted", **amounts: Any) -> DebitFact:
    amounts = {"collected_minor": 0, "in_flight_minor": 0, "final": False, "attempt_no": debit} | amounts
    return DebitFact(debit_id=debit, sequence=sequence, state=state, **amounts)


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[DebitFact], list[DebitFact]]:
    """The facts of some debits in the order in which they became true, and in one in which they might come."""
    amounts = st.integers(0, OWED)
    told = [
        fact(
            debit,
            sequence,
            draw(st.sampled_from(["submitted", "settled", "declined", "returned", "claimed"])),
            collected_minor=draw(amounts),
            in_flight_minor=draw(amounts),
            final=draw(st.booleans()),
        )
        for debit in range(draw(st.integers(1, 3)))
        for sequence in range(1, draw(st.integers(1, 4)) + 1)
    ]
    again = draw(st.lists(st.sampled_from(told), max_size=4))
    return told, draw(st.permutations(told + again))


def hear(facts: Sequence[DebitFact]) -> tuple[Standing, int]:
    """How an instalment stands after facts came one by one, and the cash that was entered for it."""
    owed, cash = instalment(), 0
    for each in facts:
        if each not in owed.debit_facts:
            before = standing.brought(owed)
            owed.debit_facts.append(each)
            cash += standing.moves((OWED, before), (OWED, standing.brought(owed))).get("cash", 0)
            owed.apply(standing.stand(owed))
    return standing.stand(owed), cash


@given(arrivals())
def test_debits_end_the_same_in_any_order_and_however_often_told(
    arrivals: tuple[list[DebitFact], list[DebitFact]],
) -> None:
    told, came = arrivals
    assert hear(came) == hear(told)
    stands, cash = hear(came)
    last = {each.debit_id: each for each in told}.values()
    assert cash == sum(each.collected_minor for each in last)
    assert stands.open_minor == max(OWED - cash, 0)
    assert stands.in_flight_minor == sum(each.in_flight_minor for each in last)


def test_a_settled_debit_pays_and_its_loss_makes_due_again() -> None:
    settled = fact(1, 2, "settled", collected_minor=OWED)
    owed = instalment(fact(1, 1, in_flight_minor=OWED), settled)
    assert standing.stand(owed) == Standing("paid", FIRST_DUE, 0, 0, OWED)
    lost = fact(1, 3, "returned")
    owed.debit_facts.append(lost)
    assert standing.moves((OWED, OWED), (OWED, standing.brought(owed))) == {"receivable": OWED, "cash": -OWED}
    assert standing.stand(owed) == Standing("due", FIRST_DUE, OWED, 0, 0)


def test_a_void_instalment_stays_void_whatever_a_debit_brings() -> None:
    stands = standing.stand(instalment(fact(1, 1, "settled", collected_minor=OWED), state="void"))
    assert (stands.state, stands.open_minor) == ("void", 0)


# How it reads

YESTERDAY, TODAY, TOMORROW = (FIRST_DUE + timedelta(days=offset) for offset in (-1, 0, 1))


@pytest.mark.parametrize(
    ("state", "due", "open_minor", "in_flight", "provisional", "reads"),
    [
        ("scheduled", TOMORROW, 100, 0, 0, "scheduled"),
        ("due", TODAY, 100, 0, 0, "due"),
        ("due", YESTERDAY, 100, 0, 0, "overdue"),
        ("due", YESTERDAY, 100, 60, 0, "overdue"),
        ("due", YESTERDAY, 100, 100, 0, "paid_uncleared"),
        ("due", YESTERDAY, 60, 60, 40, "paid_uncleared"),
        ("paid", YESTERDAY, 0, 0, 100, "paid"),
        ("paid", YESTERDAY, 0, 0, 0, "paid_final"),
        ("void", YESTERDAY, 0, 0, 0, "void"),
        ("waived", YESTERDAY, 0, 0, 0, "void"),
    ],
)
def test_an_instalment_reads(
    state: Any, due: date, open_minor: int, in_flight: int, provisional: int, reads: str
) -> None:
    """R-33."""
    stands = Standing(state, due, open_minor, in_flight, provisional)
    assert standing.label([stands], today=TODAY) == reads


@pytest.mark.parametrize(
    ("standings", "reads"),
    [
        ([Standing("paid", YESTERDAY, 0, 0, 100), Standing("scheduled", TOMORROW, 100, 0, 0)], "scheduled"),
        ([Standing("due", YESTERDAY, 100, 0, 0), Standing("scheduled", TOMORROW, 100, 0, 0)], "overdue"),
        ([Standing("due", YESTERDAY, 100, 100, 0), Standing("due", TODAY, 100, 0, 0)], "due"),
        ([Standing("paid", YESTERDAY, 0, 0, 0), Standing("due", TODAY, 100, 100, 0)], "paid_uncleared"),
        ([Standing("paid", YESTERDAY, 0, 0, 0), Standing("paid", TODAY, 0, 0, 100)], "paid"),
        ([Standing("void", YESTERDAY, 0, 0, 0), Standing("paid", TODAY, 0, 0, 0)], "paid_final"),
        ([Standing("void", YESTERDAY, 0, 0, 0)], "void"),
    ],
)
def test_an_invoice_reads_by_what_presses_most(standings: list[Standing], reads: str) -> None:
    assert standing.label(standings, today=TODAY) == reads


# What is paid by hand


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6), st.integers(1, 7000))
def test_a_payment_covers_the_earliest_parts_and_never_more_than_is_open(amounts: list[int], paid: int) -> None:
    parts = [instalment(amount_minor=amount) for amount in amounts]
    if paid > sum(amounts):
        with pytest.raises(standing.MoreThanOwed):
            standing.pay(parts, paid)
        return
    covers = standing.pay(parts, paid)
    assert sum(covers.values()) == paid
    for each in parts:
        each.apply(PaidByHand(covers.get(each.instalment_id, 0)))
        each.apply(standing.stand(each))
    states = [each.state for each in parts]
    assert states == sorted(states, key=["paid", "due"].index)


def test_a_payment_is_not_recorded_before_it_is_made() -> None:
    with pytest.raises(standing.NotYetPaid):
        standing.paid_on(TOMORROW, today=TODAY)


# What the journal says

AMOUNTS = st.integers(0, 10**9)


@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_every_change_of_what_is_owed_and_brought_balances(owed: int, brought: int, then: int, more: int) -> None:
    moved = standing.moves((owed, brought), (then, more))
    assert sum(moved.values()) == 0
    assert moved.get("cash", 0) == more - brought
    assert 0 not in moved.values()


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ((0, 0), (300, 0), {"sales": -300, "receivable": 300}),
        ((300, 0), (300, 300), {"receivable": -300, "cash": 300}),
        ((300, 300), (300, 600), {"cash": 300, "account_balance": -300}),
        ((300, 300), (0, 300), {"sales": 300, "account_balance": -300}),
        ((300, 0), (0, 0), {"sales": 300, "receivable": -300}),
    ],
)
def test_what_is_brought_beyond_what_is_owed_is_the_payers(
    before: tuple[int, int], after: tuple[int, int], moved: dict[str, int]
) -> None:
    """R-37."""
    assert standing.moves(before, after) == moved
