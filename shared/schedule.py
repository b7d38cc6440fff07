"""When periods and instalments fall due: reckoned from the first date, never from the one before (R-05, R-06)."""

from calendar import monthrange
from datetime import date, timedelta
from typing import Literal

Frequency = Literal["weekly", "fortnightly", "monthly"]
WEEKS: dict[Frequency, int] = {"weekly": 1, "fortnightly": 2}


def due_date(first: date, frequency: Frequency, index: int) -> date:
    """The date on which the `index`-th period or part falls due, reckoned from the first date (R-05, R-06).

    The first has the index 1. Monthly: the same day of the month, or the last day of a month that is too short.
    """
    if frequency == "monthly":
        years, month = divmod(first.month - 1 + index - 1, 12)
        year = first.year + years
        return date(year, month + 1, min(first.day, monthrange(year, month + 1)[1]))
    return first + timedelta(weeks=WEEKS[frequency] * (index - 1))


def period_count(frequency: Frequency, term: int) -> int | None:
    """How many periods a term has, None for the endless term 0; a term is in weeks, a monthly one in months (R-15).

    Raises ValueError where the last period would be a part of one.
    """
    count, rest = divmod(term, WEEKS.get(frequency, 1))
    if rest:
        raise ValueError(f"{term} weeks are not a whole number of {frequency} periods")
    return count or None


def period_of(first: date, frequency: Frequency, day: date) -> int:
    """The period in which a day lies; what lies before the second due date is in the first (R-12)."""
    if frequency == "monthly":
        index = (day.year - first.year) * 12 + day.month - first.month + 1
        index -= day < due_date(first, frequency, max(index, 1))
    else:
        index = (day - first).days // (7 * WEEKS[frequency]) + 1
    return max(index, 1)
