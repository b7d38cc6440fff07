"""The bank's calendar: on which days money moves in each currency, and how to count such days."""

from datetime import date, timedelta
from functools import cache

from holidays import HolidayBase, country_holidays

REGIONS: dict[str, tuple[tuple[str, str | None], ...]] = {
    "AUD": (("AU", "NSW"), ("AU", "VIC")),
    "GBP": (("GB", "ENG"),),
    "NZD": (("NZ", None),),
    "USD": (("US", None),),
}
"""Country and part of it, by currency. A bank holiday is one that all of them have: in Australia New South Wales and
Victoria, since payments there rest only when both do."""

SATURDAY = 5
ONE_DAY = timedelta(days=1)


@cache
def _calendars(currency: str) -> tuple[HolidayBase, ...]:
    return tuple(country_holidays(country, subdiv=part) for country, part in REGIONS[currency])


def is_bank_day(day: date, currency: str) -> bool:
    """Whether the banks of this currency work on that day."""
    return day.weekday() < SATURDAY and not all(day in calendar for calendar in _calendars(currency))


def rolled_forward(day: date, currency: str) -> date:
    """The day itself if it is a bank day, else the next one."""
    while not is_bank_day(day, currency):
        day += ONE_DAY
    return day


def bank_days_after(day: date, count: int, currency: str) -> date:
    """So many bank days later."""
    for _ in range(count):
        day = rolled_forward(day + ONE_DAY, currency)
    return day
