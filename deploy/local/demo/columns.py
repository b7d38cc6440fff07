"""What people may write into a field of the demo's files, and what it means. Pure; a wrong text raises ValueError."""

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, SecretStr

AMOUNT = re.compile(r"(\d{1,8})(?:\.(\d\d))?", re.ASCII)
DAY = re.compile(r"20\d\d-\d\d-\d\d", re.ASCII)
MOMENT = re.compile(r"20\d\d-\d\d-\d\d [0-2]\d:[0-5]\d", re.ASCII)
MINUTES = re.compile(r"\d{1,4}", re.ASCII)
ACCOUNT = re.compile(r"\d{5,17}", re.ASCII)
ANSWERS = {"yes": True, "no": False}


def money(written: object) -> int:
    """An amount as people write it, in minor units: `500` and `500.00` are 50000. Exact, for no float is made."""
    found = AMOUNT.fullmatch(str(written))
    if found is None:
        raise ValueError("is not an amount")
    return int(found[1]) * 100 + int(found[2] or 0)


def day(written: object) -> date:
    """A date of this century: `2022-09-09`."""
    if not DAY.fullmatch(str(written)):
        raise ValueError("is not a date")
    try:
        return date.fromisoformat(str(written))
    except ValueError:
        raise ValueError("is not in the calendar") from None


def days(written: object) -> tuple[date, ...]:
    """Some dates, with spaces between: `2022-09-23`, or `2022-10-31 2022-11-30`."""
    return tuple(day(each) for each in str(written).split())


def moment(written: object) -> datetime:
    """A date and a time on the clock of the business, which gives it its zone: `2022-09-09 17:30`."""
    if not MOMENT.fullmatch(str(written)):
        raise ValueError("is not a date and a time")
    try:
        return datetime.fromisoformat(str(written))
    except ValueError:
        raise ValueError("is not in the calendar") from None


def answer(written: object) -> bool:
    """`yes` or `no`."""
    if written not in ANSWERS:
        raise ValueError("is neither yes nor no")
    return ANSWERS[str(written)]


def number(written: object) -> int:
    """A whole number from 1 on."""
    if not MINUTES.fullmatch(str(written)) or not int(str(written)):
        raise ValueError("is not a whole number from 1 to 9999")
    return int(str(written))


def account(written: object) -> SecretStr:
    """The number of a bank account, in digits; what was written is never shown again."""
    if not ACCOUNT.fullmatch(str(written)):
        raise ValueError("is no account number")
    return SecretStr(str(written))


def several(written: object) -> list[Any]:
    """A list, as JSON has them."""
    if not isinstance(written, list):
        raise ValueError("is not a list")
    return written


Money = Annotated[int, BeforeValidator(money)]
Day = Annotated[date, BeforeValidator(day)]
Days = Annotated[tuple[date, ...], BeforeValidator(days)]
Moment = Annotated[datetime, BeforeValidator(moment)]
YesNo = Annotated[bool, BeforeValidator(answer)]
Account = Annotated[SecretStr, BeforeValidator(account)]
Number = Annotated[int, BeforeValidator(number)]
