"""The days on which the bank moves money."""

import os
import re
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.directdebit.rules.calendar import BankDays

AUD = BankDays("AUD")


def test_australia_is_closed_when_both_sydney_and_melbourne_are() -> None:
    weekdays = (date(2026, 1, 1) + timedelta(days=count) for count in range(365))
    closed = [day for day in weekdays if day.weekday() < 5 and not AUD.is_open(day)]
    assert [f"{day:%d/%m}" for day in closed] == ["01/01", "26/01", "03/04", "06/04", "08/06", "25/12", "28/12"]


def test_what_people_have_put_right_counts() -> None:
    day = date(2022, 10, 3)
    assert AUD.is_open(day)
    assert BankDays("AUD", {day: True}).on_or_after(day) == date(2022, 10, 4)
    assert BankDays("AUD", {date(2022, 10, 1): False}).is_open(date(2022, 10, 1))


@pytest.mark.parametrize("currency", ["AUD", "CAD", "EUR", "GBP", "NZD", "USD", "JPY"])
def test_every_currency_has_weekends_at_least(currency: str) -> None:
    days = BankDays(currency)
    assert not days.is_open(date(2022, 10, 1))
    assert days.is_open(date(2022, 10, 4))


@given(st.dates(date(2015, 1, 1), date(2035, 1, 1)), st.integers(1, 12))
def test_counting_forward_and_back_agree(day: date, count: int) -> None:
    newest = AUD.before(day, count)
    assert AUD.after(newest, count) <= day < AUD.after(newest + timedelta(days=1), count)


@pytest.mark.parametrize(("file", "currency"), [("target.yml", "EUR"), ("becsnz.yml", "NZD")])
def test_the_provider_has_the_same_holidays(file: str, currency: str) -> None:
    folder = os.environ.get("THIRD_PARTY_TESTDATA")
    if not folder:
        # The calendars are other people's and are read where they lie; the holidays themselves are tested above.
        pytest.skip("THIRD_PARTY_TESTDATA names no folder with the provider's calendars")
    text = (Path(folder) / "directdebit" / "calendars" / file).read_text()
    listed = re.findall(r"- (\w+ \d+)(?:st|nd|rd|th),? (\d{4})", text.partition("holidays:")[2])
    days = [datetime.strptime(f"{day} {year}", "%B %d %Y").date() for day, year in listed]  # noqa: DTZ007
    assert len(days) > 20
    assert [day for day in days if BankDays(currency).is_open(day)] == []
