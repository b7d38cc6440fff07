"""Which lot a session is of, and how many are left for a date; pure, and the same in every order of booking."""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.packages.rules import holding, lots
from services.packages.rules.lots import Supply
from services.packages.tables import Lot, Package
from tests.packages.conftest import FORTNIGHTLY, TODAY, ask, package, terms

FIRST_DUE = date(2022, 9, 13)
SECOND, THIRD, FOURTH = date(2022, 9, 27), date(2022, 10, 11), date(2022, 10, 25)


def recurring(size: int = 6, **changes: Any) -> Package:
    """V-04: six a fortnight, sold on 9 September, first due on 13 September."""
    sold = terms(**(FORTNIGHTLY | {"session_count": size} | changes))
    return package(terms=sold, first_due_date=FIRST_DUE, allocated=size)


@dataclass
class Account:
    """What the rows would say while sessions are booked one after the other, and periods open."""

    of: Package
    booked: list[tuple[date, Literal["held", "ahead"]]] = field(default_factory=list)

    def supply(self, day: date) -> Supply:
        if not lots.resets(self.of):
            return Supply(ahead=tuple(on for on, state in self.booked if state == "ahead"))
        period = lots.period_on(self.of, day)
        if period is None:
            return Supply()
        taken = sum(lots.period_on(self.of, on) == period for on, _ in self.booked)
        return Supply(lots.lot_of(self.of, period) if period <= self.of.periods_opened else None, taken)

    def left(self, day: date) -> int:
        return lots.left(self.of, day, self.supply(day)).sessions or 0

    def book(self, day: date) -> bool:
        found = lots.left(self.of, day, self.supply(day))
        if found.is_short:
            return False
        self.booked.append((day, "ahead" if found.is_ahead else "held"))
        self.of.held += not found.is_ahead
        return True

    def open(self) -> None:
        self.of.periods_opened += 1
        self.of.allocated += self.of.terms.session_count or 0
        for number, (day, state) in enumerate(self.booked):
            if state == "ahead" and (lots.period_on(self.of, day) or 0) <= self.of.periods_opened:
                self.booked[number] = (day, "held")
                self.of.held += 1
        assert self.of.available >= 0, "what was held ahead always finds its session"


@pytest.mark.parametrize(
    ("day", "period", "last"),
    [
        (TODAY, 1, date(2022, 9, 26)),
        (SECOND - timedelta(days=1), 1, date(2022, 9, 26)),
        (SECOND, 2, date(2022, 10, 10)),
        (THIRD, 3, date(2022, 10, 24)),
    ],
)
def test_the_sessions_date_decides_its_lot(day: date, period: int, last: date) -> None:
    """R-12: the first lot is valid from the start until the second due date, each later one for its period."""
    row = recurring()
    assert lots.period_on(row, day) == period
    assert lots.left(row, day, Supply(lots.lot_of(row, 1))).last_date == last
    lot = lots.lot_of(row, period)
    assert lot.valid_from <= day
    assert lot.valid_to == last + timedelta(days=1)


def test_lots_of_add_and_of_a_single_sale_never_end() -> None:
    assert [lots.lot_of(recurring(rollover="add"), index).valid_to for index in (1, 2, 3)] == [None] * 3
    assert lots.lot_of(package(), 1).valid_to is None


def test_after_a_fixed_term_reset_has_no_period_and_add_uses_up_its_last() -> None:
    reset, add = recurring(term_weeks=4), recurring(term_weeks=4, rollover="add")
    assert [lots.period_on(reset, day) for day in (SECOND, THIRD)] == [2, None]
    assert [lots.period_on(add, day) for day in (SECOND, THIRD, date(2030, 1, 1))] == [2, 2, 2]
    assert lots.left(reset, THIRD, Supply()).is_short
    assert Account(add).left(THIRD) == 12


def test_a_date_at_the_end_of_the_calendar_is_still_in_a_period() -> None:
    assert lots.left(recurring(), date.max, Supply()).sessions == 6
    assert lots.left(recurring(frequency="monthly"), date.max, Supply()).sessions == 6


def test_six_are_booked_in_the_third_period_while_the_first_runs_and_a_seventh_is_refused() -> None:
    """R-13."""
    account = Account(recurring())
    assert [account.book(THIRD) for _ in range(7)] == [True] * 6 + [False]
    assert (account.left(TODAY), account.left(SECOND), account.of.available) == (6, 6, 6)


def test_under_add_what_is_booked_later_is_kept_for_it() -> None:
    account = Account(recurring(size=2, rollover="add"))
    assert [account.book(SECOND) for _ in range(3)] == [True] * 3
    assert (account.left(TODAY), account.left(SECOND), account.left(THIRD)) == (1, 1, 3)
    assert [account.book(TODAY) for _ in range(2)] == [True, False]


def test_v_20_two_sessions_in_both_orders_are_of_the_same_lots() -> None:
    for days in itertools.permutations([date(2022, 9, 15), date(2022, 9, 29)]):
        account = Account(recurring())
        assert all(account.book(day) for day in days)
        assert (account.left(TODAY), account.left(SECOND)) == (5, 5)
        account.open()
        assert (account.of.available, account.of.held) == (10, 2)


DAYS = st.lists(st.integers(0, 60).map(lambda n: TODAY + timedelta(days=n)), max_size=12)


def could_be_booked(row: Package, days: list[date]) -> int:
    """How many of these sessions anybody could give: period after period, keeping what Add keeps."""
    wanted = Counter(lots.period_on(row, day) for day in days)
    given_out = kept = 0
    for period in range(1, 8):
        kept = (kept if row.terms.rollover == "add" else 0) + (row.terms.session_count or 0)
        now = min(kept, wanted[period])
        given_out, kept = given_out + now, kept - now
    return given_out


@given(DAYS, st.randoms(use_true_random=False), st.integers(1, 4), st.sampled_from(["reset", "add"]))
def test_the_order_of_booking_never_changes_the_outcome(
    days: list[date], random: Any, size: int, rollover: str
) -> None:
    """R-12: as many as can be are booked, in any order, whether periods open before, between or after.

    What nobody booked before the next period opened is not part of it under Add: then it takes what has come since.
    """
    account = Account(recurring(size, rollover=rollover))
    moments: list[date | None] = [*days, None, None, None, None, None]
    random.shuffle(moments)
    booked = 0
    while moments:
        moment = moments.pop()
        past = [day for day in moments if day and (lots.period_on(account.of, day) or 0) <= account.of.periods_opened]
        if moment is not None:
            booked += account.book(moment)
        elif rollover == "add" and past:
            moments.remove(past[0])
            moments += [None, past[0]]
        else:
            account.open()
    assert booked == could_be_booked(account.of, days)
    assert account.of.available == 6 * size - booked


@given(DAYS, st.randoms(use_true_random=False), st.integers(1, 4))
def test_under_reset_each_period_gives_its_own_number_whoever_comes_first(
    days: list[date], random: Any, size: int
) -> None:
    wanted = Counter(lots.period_on(recurring(), day) for day in days)
    random.shuffle(days)
    account = Account(recurring(size))
    taken = Counter(lots.period_on(account.of, day) for day in days if account.book(day))
    assert taken == Counter({period: min(size, number) for period, number in wanted.items()})


@given(DAYS, st.integers(-30, 30), st.integers(1, 4), st.sampled_from(["reset", "add"]))
def test_an_adjustment_never_takes_what_is_held_in_any_period(
    days: list[date], sessions: int, size: int, rollover: str
) -> None:
    account = Account(recurring(size, rollover=rollover))
    for day in days:
        account.book(day)
    try:
        fact = lots.adjust(account.of, account.supply(TODAY), sessions=sessions, today=TODAY)
    except lots.BelowNothing:
        assert sessions < 0
        return
    assert fact.period_index == (1 if rollover == "reset" else None)
    account.of.adjusted += fact.sessions
    for _ in range(5):
        account.open()


def test_nothing_is_adjusted_where_no_lot_of_today_is_there() -> None:
    ended = recurring(term_weeks=4)
    for supply in (Supply(), Supply(Lot(size=6, adjusted=0, forfeited=6, ended=True))):
        with pytest.raises(lots.NoPeriod):
            lots.adjust(ended, supply, sessions=1, today=THIRD)


@given(st.integers(0, 9), st.integers(0, 5), st.integers(0, 9), st.integers(0, 20))
def test_an_ended_lot_loses_what_was_neither_held_nor_used_and_no_more(
    size: int, adjusted: int, forfeited: int, taken: int
) -> None:
    lot = Lot(size=size, adjusted=adjusted, forfeited=min(forfeited, size + adjusted))
    lost = lots.lost(lot, taken)
    assert lost >= 0
    assert lost == 0 or lost + taken + lot.forfeited == size + adjusted


@given(st.integers(0, 5), st.integers(1, 9), st.sampled_from([None, SECOND, THIRD]))
def test_a_period_opens_once_and_never_after_the_close(opened: int, index: int, closed: date | None) -> None:
    row = package(terms=terms(**FORTNIGHTLY), periods_opened=opened, closed_date=closed)
    opens = lots.opens(row, period_index=index, due_date=THIRD)
    assert opens == (index > opened and closed != SECOND)


def test_of_two_packages_the_lot_that_ends_first_gives_the_session() -> None:
    endless, resetting, expiring = package(), recurring(), package(expiry_date=date(2022, 9, 20))
    supplies = ((endless, Supply()), (resetting, Supply(lots.lot_of(resetting, 1))), (expiring, Supply()))
    candidates = [(row, lots.left(row, TODAY, supply)) for row, supply in supplies]
    first = holding.choose(candidates, ask(), today=TODAY)
    second = holding.choose(candidates[:2], ask(), today=TODAY)
    assert first is not None and first[0] is expiring
    assert second is not None and second[0] is resetting
