"""The demo judges its input before it sends anything."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.demo import SCRIPT
from deploy.local.demo.columns import money
from deploy.local.demo.life import rounds
from deploy.local.demo.problems import BadScript
from deploy.local.demo.script import read_script
from tests.deploy.small_script import SMALL, written


def problems(folder: Path) -> list[str]:
    with pytest.raises(BadScript) as bad:
        read_script(folder)
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


# Script


def test_the_script_of_the_project_is_good() -> None:
    script = read_script(SCRIPT)
    outcomes = Counter(booking.outcome for booking in script.bookings)
    assert (len(script.clients), len(script.templates)) == (16, 9)
    assert 350 <= len(script.bookings) <= 450
    assert {"attended", "no_show", "cancelled", "refused", None} <= set(outcomes)
    assert (script.days[0], script.days[-1], len(script.days)) == (date(2022, 9, 9), date(2022, 12, 9), 92)


def test_a_good_script_is_read_with_amounts_exact_and_times_of_the_business(tmp_path: Path) -> None:
    script = read_script(written(tmp_path))
    assert [template.price for template in script.templates] == [50000, None, 5000]
    assert [sale.price for sale in script.sales] == [None, 45000, None]
    assert script.templates[1].tiers[0].rate == 6005
    first = script.bookings[0].starts_at
    assert script.business.at(first.date(), first.time()).isoformat() == "2022-09-09T09:00:00+10:00"


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    table = '\ufeffname , email\r\n"Ana, the elder",ana@clients.example\r\n\r\nBo,\r\n'
    others = {
        "payments_csv": SMALL["payments.csv"].split("Bo")[0],
        "mandates_csv": "client,starts_on,mandate,scenario\n",
        "sales_csv": SMALL["sales.csv"].split("A1")[0],
    }
    script = read_script(
        written(tmp_path, clients_csv=table, bookings_csv=SMALL["bookings.csv"].split("Ana")[0], **others)
    )
    assert [(client.name, client.email) for client in script.clients] == [
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
        (
            "mandates.csv",
            "collects,",
            "collects,other",
            "mandates.csv, row 2, cause: “other” is no cause that a bank gi",
        ),
        (
            "mandates.csv",
            "collects,",
            "collects,refer_to_payer",
            "mandates.csv, row 2, cause: “refer_to_payer” is for payments that fail, and collects has none; leave it",
        ),
        (
            "mandates.csv",
            "collects",
            "sunshine",
            "mandates.csv, row 2, scenario: “sunshine” is no scenario of the bank; write one of manual, settle, ",
        ),
        (
            "mandates.csv",
            "signed",
            "given",
            "mandates.csv, row 2, mandate: “given” will not do; write signed for a new",
        ),
        ("mandates.csv", "signed", "", "mandates.csv, row 2, mandate: Ana has none yet on 2022-09-09; write signed or"),
        (
            "mandates.csv",
            "400218730",
            "40021 8730",
            "mandates.csv, row 3, account_number: what is written is no account number; write 5 to 17 made-up digits",
        ),
        (
            "mandates.csv",
            "400218730",
            "",
            "mandates.csv, row 3, account_number: goes with the mandate registered; write both, or neither",
        ),
        (
            "mandates.csv",
            "2022-09-13",
            "2022-09-09",
            "mandates.csv, row 4, client: “Bo and 2022-09-09” is also in mandates.csv, row 3",
        ),
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
        (
            "sales.csv",
            "yes,2022-09-10",
            "yes,2022-09-10 soon",
            "sales.csv, row 2, close_on: “2022-09-10 soon” is not a d",
        ),
        (
            "sales.csv",
            "yes,2022-09-10",
            "yes,2022-09-12 2022-09-12",
            "sales.csv, row 2, close_on: 2022-09-12 is not after 2022-09-12; write each date once",
        ),
        (
            "sales.csv",
            "yes,2022-09-10",
            "no,2022-09-10 2022-09-12",
            "sales.csv, row 2, close_on: only a package that renews is closed again; write one date",
        ),
        (
            "sales.csv",
            "yes,,,yes",
            "yes,,2022-09-13,yes",
            "sales.csv, row 2, first_due_date: a post-billed package has",
        ),
        ("sales.csv", "2022-09-09,no", "2022-09-08,no", "sales.csv, row 4, first_due_date: 2022-09-08 lies before the"),
        (
            "sales.csv",
            "2022-09-09,no",
            "2022-09-17,no",
            "sales.csv, row 4, first_due_date: 2022-09-17 lies more than a period after the sale; write 2022-09-16 or",
        ),
        ("payments.csv", "Bo,B1", "Bob,", "payments.csv, row 2, client: “Bob” is not in clients.csv; write Bo"),
        ("payments.csv", "Bo,B1", "Ana,B1", "payments.csv, row 2, package: “B1” is Bo's; write a package of Ana's"),
        ("payments.csv", "cash", "cheque", "payments.csv, row 2, method: “cheque” will not do; write cash or card"),
        (
            "payments.csv",
            "2022-09-10",
            "2022-09-08",
            "payments.csv, row 2, paid_on: 2022-09-08 lies before the sale of",
        ),
        (
            "payments.csv",
            "Bo,B1,2022-09-10",
            "Ana,A1,2022-09-09",
            "payments.csv, row 2, paid_on: 2022-09-09 lies before the close of the package, 2022-09-10",
        ),
        (
            "payments.csv",
            "Bo,B2,2022-09-16,,card",
            "Bo,B1,2022-09-10,5,cash",
            "payments.csv, row 3, client: “Bo and B1 and 2022-09-10 and cash” is also in payments.csv, row 2",
        ),
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


def test_a_package_that_is_never_closed_is_not_paid_for_after_use(tmp_path: Path) -> None:
    sales = SMALL["sales.csv"].replace("yes,2022-09-10", "yes,")
    payments = SMALL["payments.csv"].replace("Bo,B1", "Ana,A1")
    (problem,) = problems(written(tmp_path, sales_csv=sales, payments_csv=payments))
    assert problem.startswith("payments.csv, row 2, package: “A1” is never closed, so nothing is owed for it")


def test_every_day_is_lived_from_the_first_on_which_something_happens_to_the_last(tmp_path: Path) -> None:
    days = read_script(written(tmp_path)).days
    assert days == [date(2022, 9, 9) + timedelta(days=count) for count in range(8)]


def test_bookings_made_at_once_want_different_clients_and_times_of_practitioners(tmp_path: Path) -> None:
    made = rounds(read_script(written(tmp_path)).bookings, {"Training": 60})
    assert [[booking.place.row for booking in together] for together in made] == [[2, 4], [3, 5], [6], [7]]
    script = read_script(SCRIPT)
    for together in rounds(script.bookings, {service.name: service.minutes for service in script.services}):
        wants = [(b.client, (b.practitioner, b.starts_at)) for b in together]
        assert all(len(set(each)) == len(together) for each in zip(*wants, strict=True))
