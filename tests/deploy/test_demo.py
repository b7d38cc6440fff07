"""The demo judges its input before it sends anything, and its own end without mercy."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from deploy.local.demo import BOOKS
from deploy.local.demo.books import read_books
from deploy.local.demo.columns import money
from deploy.local.demo.life import Refusal, rounds
from deploy.local.demo.outcome import Seen, ties
from deploy.local.demo.problems import BadBooks
from deploy.local.demo.shapes import Place
from deploy.local.demo.summary import conclude
from deploy.local.servers import ROOT

SMALL = {
    "business.json": '{"name": "Studio", "zone": "Australia/Sydney", "currency": "AUD", "email": "desk@studio.test"}',
    "staff.csv": "name,practitioner,seller\nKim,yes,yes\nSam,no,no\n",
    "services.csv": "name,minutes\nTraining,60\n",
    "templates.json": """[
  {"name": "Ten", "billing_mode": "pre_bill", "form": "paid_in_full", "services": ["Training"], "session_count": 10,
   "price": 500.00},
  {"name": "After use", "billing_mode": "post_bill", "services": ["Training"], "late_cancel_hours": 24,
   "tiers": [{"at_least": 1, "rate": "60.05"}]}
]""",
    "clients.csv": "name,email\nAna,ana@clients.example\nBo,bo@clients.example\n",
    "mandates.csv": (
        "client,signed_on,payments,cause\nAna,2022-09-09,settle,\nBo,2022-09-09,decline,insufficient_funds\n"
    ),
    "sales.csv": (
        "package,client,template,sold_on,sold_by,auto_pay,price,close_on\n"
        "A1,Ana,After use,2022-09-09,Kim,yes,,2022-09-10\n"
        "B1,Bo,Ten,2022-09-09,,yes,450.00,\n"
    ),
    "bookings.csv": (
        "client,package,service,practitioner,booked_on,booked_by,starts_at,outcome,cancelled_on\n"
        "Ana,A1,Training,Kim,2022-09-09,client,2022-09-09 09:00,attended,\n"
        "Ana,A1,Training,Kim,2022-09-09,client,2022-09-10 09:00,cancelled,2022-09-10\n"
        "Bo,B1,Training,Kim,2022-09-09,desk,2022-09-09 10:00,no_show,\n"
        "Bo,B1,Training,Kim,2022-09-09,desk,2022-09-12 10:00,cancelled,2022-09-10\n"
        "Bo,,Training,Kim,2022-09-09,client,2022-09-12 11:00,,\n"
        "Ana,A1,Training,Kim,2022-09-10,desk,2022-09-12 11:30,refused,\n"
    ),
}
ANA, BO = "01a20000-0000-7000-8000-00000000000a", "01a20000-0000-7000-8000-00000000000b"


def written(folder: Path, **changes: str | bytes | None) -> Path:
    """A folder of the small books, some of its files changed or left out; a name is written with `_` for the dot."""
    for file, text in SMALL.items():
        content = changes.get(file.replace(".", "_"), text)
        if content is not None:
            (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def problems(folder: Path) -> list[str]:
    with pytest.raises(BadBooks) as bad:
        read_books(folder)
    return [str(problem) for problem in bad.value.problems]


# Money


@given(st.integers(0, 10**10 - 1))
def test_an_amount_is_read_to_the_cent(amount_minor: int) -> None:
    whole, cents = divmod(amount_minor, 100)
    assert money(f"{whole}.{cents:02}") == amount_minor
    assert money(str(whole)) == whole * 100


@given(st.one_of(st.text(max_size=14), st.from_regex(r"-?\d{0,9}[.,]?\d{0,3}", fullmatch=True)))
def test_what_is_no_amount_is_refused_and_never_rounded(text: str) -> None:
    try:
        read = money(text)
    except ValueError:
        return
    try:
        assert Decimal(text) * 100 == read
    except InvalidOperation:
        pytest.fail(f"{text!r} was read as {read}")


# Books


def test_the_books_of_the_project_are_good() -> None:
    books = read_books(BOOKS)
    outcomes = Counter(booking.outcome for booking in books.bookings)
    assert (len(books.clients), len(books.templates)) == (12, 4)
    assert {"attended", "no_show", "cancelled", "refused", None} <= set(outcomes)
    assert books.days[0] == date(2022, 9, 9)


def test_good_books_are_read_with_amounts_exact_and_times_of_the_business(tmp_path: Path) -> None:
    books = read_books(written(tmp_path))
    assert [template.price for template in books.templates] == [50000, None]
    assert [sale.price for sale in books.sales] == [None, 45000]
    assert books.templates[1].tiers[0].rate == 6005
    first = books.bookings[0].starts_at
    assert books.business.at(first.date(), first.time()).isoformat() == "2022-09-09T09:00:00+10:00"


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    table = '\ufeffname , email\r\n"Ana, the elder",ana@clients.example\r\n\r\nBo,\r\n'
    others = {"mandates_csv": "client,signed_on,payments\n", "sales_csv": SMALL["sales.csv"].split("A1")[0]}
    books = read_books(
        written(tmp_path, clients_csv=table, bookings_csv=SMALL["bookings.csv"].split("Ana")[0], **others)
    )
    assert [(client.name, client.email) for client in books.clients] == [
        ("Ana, the elder", "ana@clients.example"),
        ("Bo", None),
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("business.json", "Australia/Sydney", "Sydney", "business.json, zone: “Sydney” is no time zone; write"),
        (
            "business.json",
            '"AUD"',
            '"EUR"',
            "business.json, currency: “EUR” is not collected by the practice bank; wri",
        ),
        ("business.json", "{", "", "business.json is not JSON: line 1, column 7"),
        ("staff.csv", "yes,yes", "yes,y", "staff.csv, row 2, seller: “y” is neither yes nor no; write yes or no"),
        ("services.csv", "60", "an hour", "services.csv, row 2, minutes: “an hour” is not a whole number"),
        ("services.csv", "name,minutes", "name;minutes", "services.csv, row 1 has no commas; save it as CSV"),
        (
            "clients.csv",
            "ana@",
            "ana",
            "clients.csv, row 2, email: “anaclients.example” will not do; write a mail addr",
        ),
        ("clients.csv", "name,email", "name,mail", "clients.csv, row 1, mail: is no column of this file; its columns"),
        (
            "clients.csv",
            "Bo,",
            "Ana,\nBo,",
            "clients.csv, row 3, name: “Ana” is also in clients.csv, row 2; leave one out",
        ),
        ("clients.csv", "Ana,", "Ana,1,", "clients.csv, row 2 has 3 cells for 2 columns; put quotes around"),
        ("mandates.csv", "settle,", "settle,other", "mandates.csv, row 2, cause: “other” is no cause that a bank give"),
        ("mandates.csv", "Ana", "Anna", "mandates.csv, row 2, client: “Anna” is not in clients.csv; write Ana"),
        (
            "mandates.csv",
            "Ana",
            "Zoe",
            "mandates.csv, row 2, client: “Zoe” is not in clients.csv; write one of Ana, Bo",
        ),
        ("templates.json", "500.00", "-5", "templates.json, template 1, price: “-5” is not an amount; write"),
        ("templates.json", '"60.05"', "60.5", "templates.json, template 2, tiers.0.rate: “60.5” is not an amount"),
        (
            "templates.json",
            '"session_count": 10,',
            "",
            "templates.json, template 1, session_count: the form paid_in_fu",
        ),
        ("templates.json", '"form"', '"shape"', "templates.json, template 1, shape: is no field of this; the fields"),
        (
            "sales.csv",
            "2022-09-09,Kim",
            "9/9/22,Kim",
            "sales.csv, row 2, sold_on: “9/9/22” is not a date; write a date",
        ),
        ("sales.csv", "2022-09-09,Kim", "2022-09-31,Kim", "sales.csv, row 2, sold_on: “2022-09-31” is not in the cal"),
        (
            "sales.csv",
            "450.00",
            "$450",
            "sales.csv, row 3, price: “$450” is not an amount; write an amount such as 450",
        ),
        ("sales.csv", "Kim,yes,,", "Kim,yes,60,", "sales.csv, row 2, price: a post-billed package has none; leave it"),
        ("sales.csv", "Kim", "Sam", "sales.csv, row 2, sold_by: “Sam” is no seller in staff.csv; write one who is"),
        ("sales.csv", ",2022-09-10", ",2022-09-01", "sales.csv, row 2, close_on: 2022-09-01 lies before the sale, 2"),
        ("sales.csv", "Ten", "", "sales.csv, row 3, template: is empty; write a name of templates.json"),
        ("bookings.csv", "no_show", "noshow", "bookings.csv, row 4, outcome: “noshow” will not do; write attended, no"),
        ("bookings.csv", "2022-09-09 09:00", "9am", "bookings.csv, row 2, starts_at: “9am” is not a date and a time"),
        ("bookings.csv", "09 10:00", "09 22:00", "bookings.csv, row 4, starts_at: 22:00 is not between 06:00 and 21"),
        ("bookings.csv", "Bo,B1", "Bo,A1", "bookings.csv, row 4, package: “A1” is Ana's; write a package of Bo's"),
        ("bookings.csv", "cancelled,2022-09-10", "cancelled,", "bookings.csv, row 3, cancelled_on: goes with the outc"),
        ("bookings.csv", "cancelled,2022-09-10", "cancelled,2022-09-11", "bookings.csv, row 3, cancelled_on: 2022-09"),
        ("bookings.csv", "Kim,2022-09-09", "Sam,2022-09-09", "bookings.csv, row 2, practitioner: “Sam” takes no book"),
        ("bookings.csv", "2022-09-09,client", "2022-09-08,client", "bookings.csv, row 2, booked_on: 2022-09-08 lies b"),
        ("bookings.csv", "booked_by", "booker", "bookings.csv, row 1, booker: is no column of this file"),
    ],
)
def test_a_mistake_is_named_with_file_row_and_field_and_what_to_write(
    tmp_path: Path, file: str, old: str, new: str, told: str
) -> None:
    assert old in SMALL[file]
    changes: dict[str, Any] = {file.replace(".", "_"): SMALL[file].replace(old, new, 1)}
    (problem,) = problems(written(tmp_path, **changes))
    assert problem.startswith(told)


def test_a_file_that_is_missing_or_not_text_is_named_once(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"staff_csv": None, "clients_csv": b"name\nJos\xe9\n"}
    assert problems(written(tmp_path, **changes)) == [
        "staff.csv is missing; copy the one of deploy/demo and change it",
        "clients.csv is not UTF-8 text; save it as “CSV UTF-8”",
    ]


def test_all_mistakes_are_told_at_once_and_a_bad_row_still_bears_its_name(tmp_path: Path) -> None:
    clients = SMALL["clients.csv"].replace("ana@", "ana")
    sales = SMALL["sales.csv"].replace("450.00", "much").replace("Kim,yes", "Kim,perhaps")
    told = problems(written(tmp_path, clients_csv=clients, sales_csv=sales))
    assert [problem.split(":")[0] for problem in told] == [
        "clients.csv, row 2, email",
        "sales.csv, row 2, auto_pay",
        "sales.csv, row 3, price",
    ]


def test_bookings_made_at_once_want_different_clients_and_practitioners(tmp_path: Path) -> None:
    made = rounds(read_books(written(tmp_path)).bookings)
    assert [[booking.place.row for booking in together] for together in made] == [[n] for n in range(2, 8)]
    for together in rounds(read_books(BOOKS).bookings):
        assert len({booking.client for booking in together}) == len({b.practitioner for b in together}) == len(together)


# The end


def seen(**changes: Any) -> Seen:
    """A business in which Ana used one session, paid for after use."""
    package = {"package_id": "p", "client_id": ANA, "name": "After use", "billing_mode": "post_bill", "state": "closed"}
    counts = {"purchased": "POST", "available": "POST", "consumed": 1, "held": 0}
    part = {"label": "paid", "open_minor": 0}
    bill = {"total_minor": 6005, "open_minor": 0, "in_flight_minor": 0, "payer_id": ANA, "instalments": [part]}
    good = Seen(
        names={ANA: "Ana"},
        packages=[package | counts],
        bookings=[{"state": "attended", "package_id": "p"}],
        history=[{"kind": "held"}, {"kind": "consumed"}],
        invoices=[bill | {"lines": [{"booking_id": "b"}]}],
        debits=[{"state": "settled", "amount_minor": 6005, "code": None}],
        payments=[{"status": "confirmed", "amount": 6005}],
        messages=[{"state": "sent", "key": "invoice_issued:i", "recipient": ANA}],
        delivered=["m"],
        violations={},
        refusals=[Refusal(Place("bookings.csv", 9), "book", "no sessions left", True)],
    )
    return replace(good, **changes)


def concluded(tmp_path: Path, what: Seen) -> tuple[list[str], str]:
    console = Console(width=80, record=True, file=(tmp_path / "page").open("w"))
    return conclude(console, read_books(written(tmp_path)), what), console.export_text()


def test_where_all_books_say_the_same_nothing_is_wrong(tmp_path: Path) -> None:
    assert all(tie.holds for tie in ties(seen()))
    wrong, page = concluded(tmp_path, seen())
    assert wrong == []
    assert "1 booking refused, as the files expect: no sessions left" in page


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"payments": [{"status": "confirmed", "amount": 6004}]},
            "collected: directdebit 60.05, bank 60.04, billing 60.",
        ),
        ({"payments": []}, "debits: directdebit 1, bank 0"),
        ({"debits": []}, "debits: directdebit 0, bank 1"),
        ({"history": [{"kind": "held"}]}, "sessions used: booking 1, packages 0"),
        ({"invoices": []}, "sessions billed after use: booking 1, packages 1, billing 0"),
        ({"delivered": []}, "mails: notify 1, mail server 0"),
        ({"violations": {"booking: a place has no session": [("b",)]}}, "booking: a place has no session: 1 row"),
    ],
)
def test_a_cent_a_session_or_a_mail_that_is_lost_is_told(tmp_path: Path, changes: Any, told: str) -> None:
    wrong, _ = concluded(tmp_path, seen(**changes))
    assert [each for each in wrong if each.startswith(told)]


def test_a_row_that_was_refused_against_the_files_is_listed(tmp_path: Path) -> None:
    refusal = Refusal(Place("sales.csv", 3), "sell", "the client is inactive", False)
    _, page = concluded(tmp_path, seen(refusals=[refusal]))
    assert "sales.csv, row 3: sell: the client is inactive" in page


# The whole


def demo(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.local", "demo", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_bad_books_end_the_demo_before_it_begins(tmp_path: Path) -> None:
    folder = written(tmp_path, staff_csv=None)
    ended = demo("--input", folder, "--state", tmp_path / "state")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "1 thing to put right" in ended.stderr
    assert "staff.csv is missing" in ended.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.servers
@pytest.mark.xdist_group("embedded")
@pytest.mark.timeout(180)
def test_the_demo_lives_through_its_books_and_every_sum_ties(tmp_path: Path, postgres_url: str) -> None:
    folder = written(tmp_path)
    ended = demo("--embedded", "--input", folder, "--state", tmp_path / "state", PUNCHCARD_POSTGRES_URL=postgres_url)
    page = [" ".join(line.split()) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Every session and every cent is accounted for." in page
    assert "Ana After use, closed POST 2 0 POST" in page
    assert "Bo Ten 10 1 1 8" in page
    assert "Ana 120.10 120.10" in page
    assert "Bo 450.00 450.00" in page
    assert "all 570.10 120.10 0.00 450.00 0.00" in page
    assert "settled 1 120.10 1 120.10 ok" in page
    assert "declined 1 450.00 1 450.00 ok" in page
    assert [line for line in page if line.endswith("invariants checked, 0 broken")]
    assert (tmp_path / "state" / "business").exists()
