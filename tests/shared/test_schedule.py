"""Due dates and periods, by the vectors of the design and by properties."""

from calendar import monthrange
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.schedule import Frequency, due_date, period_count, period_of


def test_monthly_dates_return_to_the_day_of_the_first() -> None:
    """V-14, R-06."""
    dates = [due_date(date(2023, 1, 31), "monthly", index) for index in range(1, 8)]
    assert [(d.day, d.month) for d in dates] == [(31, 1), (28, 2), (31, 3), (30, 4), (31, 5), (30, 6), (31, 7)]


@given(first=st.dates(date(2000, 1, 1), date(2100, 1, 1)), index=st.integers(1, 600))
def test_a_month_is_never_skipped_and_never_doubled(first: date, index: int) -> None:
    due = due_date(first, "monthly", index)
    assert (due.year - first.year) * 12 + due.month - first.month == index - 1
    assert due.day == min(first.day, monthrange(due.year, due.month)[1])


@given(first=st.dates(date(2000, 1, 1), date(2100, 1, 1)), index=st.integers(1, 600))
def test_weeks_are_counted_from_the_first_date(first: date, index: int) -> None:
    """R-05."""
    assert due_date(first, "weekly", index) == first + timedelta(days=7 * (index - 1))
    assert due_date(first, "fortnightly", index) == first + timedelta(days=14 * (index - 1))


@pytest.mark.parametrize(
    ("frequency", "term", "count"), [("weekly", 12, 12), ("fortnightly", 12, 6), ("monthly", 6, 6)]
)
def test_a_fixed_term_has_whole_periods(frequency: Frequency, term: int, count: int) -> None:
    assert period_count(frequency, term) == count


def test_a_term_with_a_part_of_a_period_is_none() -> None:
    """R-15."""
    with pytest.raises(ValueError):
        period_count("fortnightly", 13)


def test_a_term_of_nothing_never_ends() -> None:
    """OE-11."""
    assert period_count("fortnightly", 0) is None


@given(
    first=st.dates(date(2000, 1, 1), date(2090, 1, 1)),
    frequency=st.sampled_from(["weekly", "fortnightly", "monthly"]),
    days=st.integers(-400, 4000),
)
def test_every_day_lies_in_the_period_whose_dates_hold_it(first: date, frequency: Frequency, days: int) -> None:
    day = first + timedelta(days=days)
    index = period_of(first, frequency, day)
    assert day < due_date(first, frequency, index + 1)
    assert index == 1 or due_date(first, frequency, index) <= day
