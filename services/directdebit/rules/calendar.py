"""The days on which the bank moves money: not weekends, not the holidays of its scheme (R-35)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache

import holidays

DAY = timedelta(days=1)
SCHEMES: dict[str, tuple[tuple[str, str | None], ...]] = {
    "AUD": (("AU", "NSW"), ("AU", "VIC")),
    "CAD": (("CA", None),),
    "GBP": (("GB", "ENG"),),
    "NZD": (("NZ", None),),
    "USD": (("US", None),),
}
"""The calendars of a currency: closed is what all of them have. Australia's settlement system observes what New South
Wales and Victoria both do (Reserve Bank of Australia, RITS)."""


@cache
def _calendars(currency: str) -> tuple[holidays.HolidayBase, ...]:
    if currency == "EUR":
        return (holidays.financial_holidays("XECB"),)
    return tuple(holidays.country_holidays(country, subdiv=part) for country, part in SCHEMES.get(currency, ()))


def name_of(currency: str, day: date) -> str:
    """What is celebrated on a day on which the bank is closed, else nothing."""
    names = [calendar.get(day) for calendar in _calendars(currency)]
    return str(names[0]) if names and all(names) else ""


@dataclass(frozen=True)
class BankDays:
    """The bank days of a currency's scheme, as people have put them right: date → whether the bank is closed.

    One-off holidays are known to a library late, if at all: what a person has said counts.
    """

    currency: str
    corrected: Mapping[date, bool] = field(default_factory=dict)

    def is_open(self, day: date) -> bool:
        closed = self.corrected.get(day)
        if closed is None:
            closed = day.weekday() >= 5 or bool(name_of(self.currency, day))
        return not closed

    def on_or_after(self, day: date) -> date:
        """The first bank day that is not before this day."""
        while not self.is_open(day):
            day += DAY
        return day

    def after(self, day: date, count: int) -> date:
        """So many bank days later: the count-th bank day after this day."""
        for _ in range(count):
            day = self.on_or_after(day + DAY)
        return day

    def before(self, day: date, count: int) -> date:
        """The newest day from which so many bank days have gone by, this day included."""
        for _ in range(count):
            while not self.is_open(day):
                day -= DAY
            day -= DAY
        return day
