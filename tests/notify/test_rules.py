"""What notify says, without any server."""

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify import rules
from shared.events.billing import CollectionFailed, InvoiceIssued
from shared.events.booking import BookingCancelled, BookingConfirmed
from shared.ids import new_id
from tests.harness.terms import sold
from tests.notify.letters import cancelled, confirmed, failed, invoiced

NAMES = {"name": "Ana", "business": "Harbour Studio"}


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (110000, "AUD", "AUD 1,100.00"),
        (5, "AUD", "AUD 0.05"),
        (0, "EUR", "EUR 0.00"),
        (-1250, "AUD", "AUD -12.50"),
        (1100, "JPY", "JPY 1,100"),
        (1234567, "KWD", "KWD 1,234.567"),
        (10**15 + 1, "AUD", "AUD 10,000,000,000,000.01"),
    ],
)
def test_money_reads_by_its_currency(amount_minor: int, currency: str, text: str) -> None:
    assert rules.money(amount_minor, currency) == text


@given(st.integers(-(10**18), 10**18), st.sampled_from(["AUD", "JPY", "KWD"]))
def test_no_digit_of_an_amount_is_lost(amount_minor: int, currency: str) -> None:
    assert int(re.sub(r"[A-Z ,.]", "", rules.money(amount_minor, currency))) == amount_minor


def test_a_date_says_its_weekday_and_its_month() -> None:
    assert rules.day(date(2022, 9, 3)) == "Saturday 3 September 2022"


def test_a_time_is_that_of_the_business() -> None:
    before, after = datetime(2022, 10, 1, 0, 0, tzinfo=UTC), datetime(2022, 10, 2, 0, 0, tzinfo=UTC)
    assert rules.moment(before, "Australia/Sydney") == "Saturday 1 October 2022 at 10:00"
    assert rules.moment(after, "Australia/Sydney") == "Sunday 2 October 2022 at 11:00"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "It holds 10 sessions. The price is AUD 500.00."),
        ({"session_count": 1}, "It holds 1 session. "),
        (
            {"form": "recurring", "frequency": "fortnightly", "session_count": 6, "price_minor": 30000},
            "It holds 6 sessions each fortnight. The price is AUD 300.00 each fortnight.",
        ),
        (
            {"billing_mode": "post_bill", "form": None, "session_count": None, "price_minor": None},
            "You pay for the sessions you have used, once the package is closed.",
        ),
    ],
)
def test_a_purchase_says_what_it_holds_and_costs(changes: dict[str, Any], says: str) -> None:
    letter = rules.purchase_confirmed(sold(new_id(), **changes), **NAMES)
    assert letter.subject == "Your package: 10 sessions"
    assert letter.body.startswith("Hello Ana,\n\n")
    assert says in letter.body
    assert "from Friday 9 September 2022 on" in letter.body
    assert letter.body.endswith("\n\nHarbour Studio\n")


def test_a_subject_is_one_line_whatever_the_name_of_a_package() -> None:
    event = sold(new_id(), name="10\r\nBcc: all@x.example\n sessions")
    assert rules.purchase_confirmed(event, **NAMES).subject == "Your package: 10 Bcc: all@x.example sessions"


def test_a_booking_says_when() -> None:
    event = BookingConfirmed.model_validate(confirmed(new_id()))
    letter = rules.booking_confirmed(event, **NAMES, zone="Australia/Sydney")
    assert letter.subject == "Booked: Thursday 15 September 2022 at 10:00"


@pytest.mark.parametrize(("returns", "says"), [(True, "is back in your package"), (False, "counts as used")])
def test_a_cancellation_says_what_became_of_the_session(returns: bool, says: str) -> None:
    event = BookingCancelled.model_validate(cancelled(new_id(), returns_session=returns))
    assert says in rules.booking_cancelled(event, **NAMES).body


def test_an_invoice_says_its_lines_and_due_dates() -> None:
    letter = rules.invoice_issued(InvoiceIssued.model_validate(invoiced(new_id())), **NAMES)
    assert letter.subject == "Invoice 7: AUD 1,100.00"
    assert "10 sessions: AUD 1,100.00" in letter.body
    assert "Due:\nTuesday 13 September 2022: AUD 550.00\nTuesday 27 September 2022: AUD 550.00" in letter.body


@pytest.mark.parametrize(
    ("reason_class", "final", "payer", "staff"),
    [
        ("soft", False, "It will be tried again.", "may pass by itself. It will be tried again."),
        ("soft", True, "another way to pay", "may pass by itself. Nothing more is tried automatically."),
        ("hard", True, "new direct debit", "will not pass by itself. Nothing more is tried automatically."),
    ],
)
def test_a_failed_debit_says_what_to_do(reason_class: str, final: bool, payer: str, staff: str) -> None:
    event = CollectionFailed.model_validate(failed(new_id(), reason_class=reason_class, final=final))
    letter = rules.collection_failed(event, **NAMES)
    assert "We could not collect AUD 300.00 for invoice 7" in letter.body
    assert payer in letter.body
    assert staff in rules.collection_failed_for_staff(event, payer="Ana", business="Harbour Studio").body
