"""How amounts, dates and times read in a message."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from shared.events.catalog import Frequency

THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
NO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"}
    | {"XAF", "XOF", "XPF"}
)
"""The currencies of ISO 4217 whose minor unit is not a hundredth."""

PERIODS: dict[Frequency, str] = {
    "weekly": "week",
    "fortnightly": "fortnight",
    "monthly": "month",
}


def money(amount_minor: int, currency: str) -> str:
    """An amount as people write it: 110000 AUD is `AUD 1,100.00`, 1100 JPY is `JPY 1,100` (R-01)."""
    places = 0 if currency in NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2
    whole, rest = divmod(abs(amount_minor), 10**places)
    sign = "-" if amount_minor < 0 else ""
    fraction = f".{rest:0{places}}" if places else ""
    return f"{currency} {sign}{whole:,}{fraction}"


def day(on: date) -> str:
    """A date with its weekday and no room for doubt: `Tuesday 13 September 2022` (R-54)."""
    return f"{on:%A} {on.day} {on:%B %Y}"


def moment(at: datetime, zone: str) -> str:
    """An instant as the clock at the business shows it."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{day(local.date())} at {local:%H:%M}"


def counted(number: int, thing: str) -> str:
    """`1 session`, `2 sessions`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
