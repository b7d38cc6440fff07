"""What notify says, without any server."""

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.rules import letters, wording
from services.notify.rules.kinds import KINDS, KindName
from services.notify.rules.letters import Fields
from services.notify.rules.templates import Letter, write
from shared.events.billing import CollectionFailed
from shared.events.booking import BookingCancelled
from shared.ids import new_id
from tests.harness.terms import sold
from tests.notify.letters import cancelled, failed, fields_of_each_kind

CLIENT = {"client": "Ana", "business": "Harbour Studio"}
PAYER = {"payer": "Ana", "business": "Harbour Studio"}


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
    assert wording.money(amount_minor, currency) == text


@given(st.integers(-(10**18), 10**18), st.sampled_from(["AUD", "JPY", "KWD"]))
def test_no_digit_of_an_amount_is_lost(amount_minor: int, currency: str) -> None:
    """R-01."""
    assert int(re.sub(r"[A-Z ,.]", "", wording.money(amount_minor, currency))) == amount_minor


def test_a_date_says_its_weekday_and_its_month() -> None:
    """R-54."""
    assert wording.day(date(2022, 9, 3)) == "Saturday 3 September 2022"


def test_a_time_is_that_of_the_business() -> None:
    before, after = datetime(2022, 10, 1, 0, 0, tzinfo=UTC), datetime(2022, 10, 2, 0, 0, tzinfo=UTC)
    assert wording.moment(before, "Australia/Sydney") == "Saturday 1 October 2022 at 10:00"
    assert wording.moment(after, "Australia/Sydney") == "Sunday 2 October 2022 at 11:00"


GOLDEN: dict[KindName, Letter] = {
    "purchase_confirmed": Letter(
        "Your package: 10 sessions",
        """\
Hello Ana,

Thank you for your purchase: 10 sessions.

It holds 10 sessions. The price is AUD 500.00.

You can use it from Friday 9 September 2022 on.

Harbour Studio
""",
    ),
    "booking_confirmed": Letter(
        "Booked: Thursday 15 September 2022 at 10:00",
        """\
Hello Ana,

Your session is booked for Thursday 15 September 2022 at 10:00.

Harbour Studio
""",
    ),
    "booking_cancelled": Letter(
        "Cancelled: Thursday 15 September 2022",
        """\
Hello Ana,

Your booking on Thursday 15 September 2022 is cancelled. Its session is back in your package.

Harbour Studio
""",
    ),
    "invoice_issued": Letter(
        "Invoice 7: AUD 1,100.00",
        """\
Hello Ana,

This is invoice 7 for AUD 1,100.00.

10 sessions: AUD 1,100.00

Due:
Tuesday 13 September 2022: AUD 550.00
Tuesday 27 September 2022: AUD 550.00

Harbour Studio
""",
    ),
    "collection_failed": Letter(
        "Invoice 7: payment declined",
        """\
Hello Ana,

We could not collect AUD 300.00 for invoice 7 by direct debit. It will not be tried again by itself. \
Please ask us for another way to pay.

Harbour Studio
""",
    ),
    "collection_failed_for_staff": Letter(
        "Debit declined: Ana, invoice 7",
        """\
Hello Harbour Studio,

Attempt 1 to collect AUD 300.00 from Ana for invoice 7 failed. \
Nothing more is tried automatically. Please agree on another way to pay with Ana.

Harbour Studio
""",
    ),
    "instalment_overdue": Letter(
        "Invoice 7: AUD 220.00 is overdue",
        """\
Hello Ana,

AUD 220.00 of invoice 7 was due on Tuesday 13 September 2022, and we have not received it.

Please pay it, or ask us for another way to pay. If you have paid in the meantime, you need not do anything.

Harbour Studio
""",
    ),
}


def letter(kind: KindName, fields: Fields) -> Letter:
    return write(KINDS[kind].default, fields)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_reads_as_it_should(kind: KindName) -> None:
    assert letter(kind, fields_of_each_kind()[kind]) == GOLDEN[kind]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "It holds 10 sessions. The price is AUD 500.00.\n"),
        ({"session_count": 1}, "It holds 1 session. "),
        ({"price_minor": None}, "\n\nIt holds 10 sessions.\n\n"),
        ({"session_count": None, "price_minor": None}, "10 sessions.\n\nYou can use it"),
        (
            {"form": "recurring", "frequency": "fortnightly", "session_count": 6, "price_minor": 30000},
            "It holds 6 sessions each fortnight. The price is AUD 300.00 each fortnight.",
        ),
        (
            {"billing_mode": "post_bill", "form": None, "session_count": None, "price_minor": None},
            "\n\nYou pay for the sessions you have used, once the package is closed.\n\n",
        ),
    ],
)
def test_a_purchase_says_what_it_holds_and_costs(changes: dict[str, Any], says: str) -> None:
    assert says in letter("purchase_confirmed", letters.purchase_confirmed(sold(new_id(), **changes), **CLIENT)).body


def test_a_subject_is_one_line_whatever_the_name_of_a_package() -> None:
    event = sold(new_id(), name="10\r\nBcc: all@x.example\n sessions")
    written = letter("purchase_confirmed", letters.purchase_confirmed(event, **CLIENT))
    assert written.subject == "Your package: 10 Bcc: all@x.example sessions"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"returns_session": True}, "is cancelled. Its session is back in your package.\n\nHarbour"),
        ({"returns_session": False}, "too late for the session to return, so the session counts as used."),
        ({"had_session": False}, "It had taken no session from a package yet."),
        ({"reason": "Kim is ill"}, "back in your package.\n\nReason: Kim is ill\n\nHarbour Studio\n"),
    ],
)
def test_a_cancellation_says_what_became_of_the_session_and_why(changes: dict[str, Any], says: str) -> None:
    event = BookingCancelled.model_validate(cancelled(new_id(), **changes))
    assert says in letter("booking_cancelled", letters.booking_cancelled(event, **CLIENT)).body


AGAIN = {"final": False, "next_attempt_date": "2022-10-05"}


@pytest.mark.parametrize(
    ("changes", "payer", "staff"),
    [
        (
            AGAIN,
            "It will be tried again on Wednesday 5 October 2022. Please see that your account can pay it by then.",
            "may pass by itself. It will be tried again on Wednesday 5 October 2022.\n",
        ),
        (
            {"final": True},
            "It will not be tried again by itself. Please ask us for another way to pay.",
            "for invoice 7 failed. Nothing more is tried automatically. Please agree on another way to pay with Ana.",
        ),
        (
            {"reason_class": "hard"},
            "Please set up a new direct debit, or ask us for another way to pay.",
            "will not pass by itself. Nothing more is tried automatically. Please ask Ana for a new mandate, or for",
        ),
        (
            {"what": "returned", **AGAIN},
            (
                "The bank took back the payment of AUD 300.00 for invoice 7, which we had collected by direct debit."
                " It will be tried again on Wednesday 5 October 2022."
            ),
            (
                "The bank took back AUD 300.00 that attempt 1 had collected from Ana for invoice 7."
                " The reason may pass by itself. It will be tried again on Wednesday 5 October 2022."
            ),
        ),
        (
            {"what": "returned", "reason_class": "hard"},
            "which we had collected by direct debit. Please set up a new direct debit",
            "from Ana for invoice 7. The reason will not pass by itself. Nothing more is tried",
        ),
    ],
)
def test_a_failed_debit_says_what_happened_and_what_to_do(changes: dict[str, Any], payer: str, staff: str) -> None:
    event = CollectionFailed.model_validate(failed(new_id(), **changes))
    assert letters.concerns_payer(event)
    assert payer in letter("collection_failed", letters.collection_failed(event, **PAYER)).body
    for_staff = letters.collection_failed_for_staff(event, **PAYER)
    assert staff in letter("collection_failed_for_staff", for_staff).body


def test_a_returned_debit_is_not_called_declined() -> None:
    event = CollectionFailed.model_validate(failed(new_id(), what="returned"))
    to_payer = letter("collection_failed", letters.collection_failed(event, **PAYER))
    to_staff = letter("collection_failed_for_staff", letters.collection_failed_for_staff(event, **PAYER))
    assert (to_payer.subject, to_staff.subject) == ("Invoice 7: payment returned", "Debit returned: Ana, invoice 7")


def test_a_claimed_debit_is_for_staff_to_decide() -> None:
    event = CollectionFailed.model_validate(failed(new_id(), what="claimed", reason_class="hard"))
    assert not letters.concerns_payer(event)
    assert letter("collection_failed_for_staff", letters.collection_failed_for_staff(event, **PAYER)) == Letter(
        "Debit claimed: Ana, invoice 7",
        "Hello Harbour Studio,\n\n"
        "Ana had the bank take back AUD 300.00 that attempt 1 had collected for invoice 7."
        " Nothing more is tried automatically, and Ana was not written to. Please decide what happens next.\n\n"
        "Harbour Studio\n",
    )
