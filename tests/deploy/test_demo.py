"""The demo judges its own end without mercy."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy.local.demo.outcome import Seen, ties
from deploy.local.demo.people import Refusal
from deploy.local.demo.script import read_script
from deploy.local.demo.shapes import Place
from deploy.local.demo.summary import conclude
from deploy.local.demo.timeline import bar, plot
from deploy.local.servers import ROOT
from tests.deploy.small_script import written

ANA, BO = "01a20000-0000-7000-8000-00000000000a", "01a20000-0000-7000-8000-00000000000b"


# The end


def seen(**changes: Any) -> Seen:
    """A business in which Ana used one session, paid for after use; and bought two, of which she forfeited one."""
    after_use = {"package_id": "p", "client_id": ANA, "billing_mode": "post_bill", "state": "closed"}
    counted = after_use | {"package_id": "q", "billing_mode": "pre_bill", "state": "active", "predecessor_id": None}
    none = {"held": 0, "ahead": 0, "forfeited": 0, "consumed": 0, "predecessor_id": None}
    bill = {"total_minor": 6005, "open_minor": 0, "in_flight_minor": 0, "payer_id": ANA, "issued_date": "2022-09-10"}
    part = {"instalment_id": "i", "label": "paid", "open_minor": 0, "in_flight_minor": 0}
    fact = {"debit_id": "d", "instalment_id": "i", "sequence": 2, "collected_minor": 6005, "code": None}
    paid = {"method": "cash", "amount_minor": 1000, "paid_date": "2022-09-10"}
    bought = bill | {"total_minor": 2000, "open_minor": 1000, "period_index": 1, "lines": [{"booking_id": None}]}
    entries = [("allocated", 2, None), ("forfeited", -1, None), ("held", -1, "b"), ("consumed", 0, "b")]
    good = Seen(
        zone="Australia/Sydney",
        days=[date(2022, 9, 9), date(2022, 9, 10)],
        billed=["2022-09-09", "2022-09-10"],
        names={ANA: "Ana"},
        packages=[
            none | after_use | {"purchased": "POST", "available": "POST", "consumed": 1},
            none | counted | {"purchased": 2, "available": 1, "forfeited": 1},
        ],
        lots=[{"period_index": 1, "size": 2, "adjusted": 0, "forfeited": 1}],
        bookings=[{"booking_id": "b", "state": "attended", "package_id": "p", "starts_at": "2022-09-09T00:00:00Z"}],
        history=[{"kind": kind, "sessions": sessions, "booking_id": of} for kind, sessions, of in entries],
        invoices=[
            bill
            | {"period_index": None, "lines": [{"booking_id": "b"}], "instalments": [part], "payments": []}
            | {"debits": [fact]},
            bought | {"instalments": [part | {"label": "due", "open_minor": 1000}], "payments": [paid], "debits": []},
        ],
        journal=[entry(7005, "2022-09-10")],
        debits=[debit()],
        payments=[payment()],
        messages=[{"state": "sent", "key": "invoice_issued:i", "recipient": ANA}],
        delivered=["m"],
        violations=[],
        refusals=[Refusal(Place("bookings.csv", 9), "book", "no sessions left", True)],
    )
    return replace(good, **changes)


def entry(cash_minor: int, entry_date: str) -> dict[str, Any]:
    postings = [{"account": "cash", "amount_minor": cash_minor}, {"account": "sales", "amount_minor": -1}]
    return {"entry_date": entry_date, "postings": postings}


def debit(state: str = "settled", *, attempt_no: int = 1, **changes: Any) -> dict[str, Any]:
    item = {"instalment_id": "i", "amount_minor": 6005, "attempt_no": attempt_no}
    usual = {"debit_id": "d", "payer_id": ANA, "state": state, "amount_minor": 6005, "final": False, "code": None}
    return usual | {"items": [item]} | changes


def payment(end: str = "settled", *actions: str, **changes: Any) -> dict[str, Any]:
    history = [{"action": action} for action in ("submitted", *(actions or ("confirmed",)))]
    return {"payer_id": ANA, "end": end, "amount": 6005, "history": history} | changes


def concluded(tmp_path: Path, what: Seen) -> tuple[list[str], str]:
    console = Console(width=110, record=True, file=(tmp_path / "page").open("w"))
    return conclude(console, read_script(written(tmp_path)), what), console.export_text()


def test_where_all_books_say_the_same_nothing_is_wrong(tmp_path: Path) -> None:
    assert all(tie.holds for tie in ties(seen()))
    wrong, page = concluded(tmp_path, seen())
    assert wrong == []
    lines = [" ".join(line.split()) for line in page.splitlines()]
    assert "1 booking refused, as the files expect: no sessions left" in lines
    assert "Ana 2 2 1 1 1" in lines
    assert "Ana 80.05 70.05 10.00" in lines
    assert "Paid at the desk: 1 by cash, 10.00" in lines
    assert "5 No debit failed" in lines
    assert "collected 1 confirmed 1 60.05 1 60.05 60.05 ok" in lines
    assert "ok collected of each payer 1 payer, in directdebit, bank, billing" in lines
    assert [line for line in page.splitlines() if line != line.rstrip()] == []


def test_debits_that_failed_and_were_tried_again_are_told_with_what_came_of_it(tmp_path: Path) -> None:
    lost = [
        debit("declined", debit_id="a", code="insufficient_funds"),
        debit("returned_by_bank", debit_id="b", code="refer_to_payer"),
        debit("claimed", debit_id="c", code="authorisation_disputed"),
    ]
    payments = [
        payment("declined", "failed"),
        payment("returned_by_bank", "confirmed", "paid_out", "failed"),
        payment("claimed", "confirmed", "charged_back"),
        payment("settled", "confirmed", "paid_out"),
    ]
    told = [
        {"state": "sent", "key": f"{kind}:i", "recipient": recipient}
        for kind, recipient in [
            ("collection_failed", ANA),
            ("collection_failed", "business"),
            ("instalment_overdue", ANA),
        ]
    ]
    debits = [*lost, debit(attempt_no=2, final=True)]
    wrong, page = concluded(tmp_path, seen(debits=debits, payments=payments, messages=told, delivered=["m", "n", "o"]))
    assert wrong == []
    said = " ".join(page.split())
    for words in (
        "4 debits sent, one per payer and day: 1 collected, 60.05 (1 final, 60.05); 0 still under way, 0.00;",
        "1 tried again what had failed, and brought 60.05 in the end",
        "1 declined (insufficient funds), 60.05; 1 returned (refer to payer), 60.05;",
        "1 claimed (authorisation disputed), 60.05: owed again, and 0.00 of it still is;",
        "1 mail to clients, 1 to the desk",
        "3 mails: 1 reminders, 2 failed debits",
        "collected 1 paid out 1 60.05 1 60.05 60.05 ok",
        "declined 1 failed after submitted 1 60.05 1 60.05 ok",
        "returned 1 failed after paid out 1 60.05 1 60.05 ok",
        "claimed 1 charged back after confirmed 1 60.05 1 60.05 ok",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"payments": [payment(amount=6004)]},
            "collected: directdebit 60.05, bank 60.04, billing 60.",
        ),
        ({"payments": []}, "debits collected: directdebit 1, bank 0"),
        ({"debits": []}, "debits collected: directdebit 0, bank 1"),
        ({"payments": [payment("returned_by_bank")]}, "debits returned: directdebit 0, bank 1"),
        ({"debits": [debit("claimed")]}, "claimed: directdebit 60.05, bank 0.00"),
        ({"debits": [debit("submitted")]}, "in flight: directdebit 60.05, bank 0.00, billing 0.00"),
        ({"payments": [payment(payer_id=BO)]}, "collected of Ana: directdebit 60.05, bank 0.00, billing 60.05"),
        ({"debits": [debit(payer_id=BO)]}, "collected of nobody we know: directdebit 60.05, bank 0.00, billing 0.00"),
        ({"history": []}, "sessions allocated: packages 2, their lots 2, their ledger 0"),
        ({"lots": []}, "sessions forfeited: packages 1, their lots 0, their ledger 1"),
        ({"bookings": []}, "sessions used: booking 0, packages 1"),
        ({"invoices": []}, "sessions billed after use: booking 1, packages 1, billing 0"),
        ({"journal": []}, "paid in all: desk and debits 70.05, invoices 70.05, journal 0.00"),
        ({"billed": ["2022-09-10"]}, "days billed: the clock 2, billing 1, each once 1"),
        ({"delivered": []}, "mails: notify 1, mail server 0"),
        ({"violations": ["broken   an invariant (booking), booking_id=b"]}, "broken   an invariant (booking)"),
    ],
)
def test_a_cent_a_session_or_a_mail_that_is_lost_is_told(tmp_path: Path, changes: Any, told: str) -> None:
    wrong, _ = concluded(tmp_path, seen(**changes))
    assert [each for each in wrong if each.startswith(told)]


def test_a_row_that_was_refused_against_the_files_is_listed(tmp_path: Path) -> None:
    refusal = Refusal(Place("sales.csv", 3), "sell", "the client is inactive", False)
    _, page = concluded(tmp_path, seen(refusals=[refusal]))
    assert "sales.csv, row 3: sell: the client is inactive" in page


# The plot


def test_a_week_shows_what_was_used_invoiced_and_paid_in_it() -> None:
    head, *weeks = [" ".join(line.plain.split()) for line in plot(seen(), mark="#", width=99)]
    assert head == "week of sessions used invoiced paid"
    assert weeks == [f"5 Sep 1 {'#' * 20} 80.05 {'#' * 20} 70.05 {'#' * 18}"]


def test_money_that_is_taken_back_counts_in_the_week_in_which_it_is(tmp_path: Path) -> None:
    moves = [
        entry(7005, "2022-09-10"),
        entry(6005, "2022-09-12"),
        entry(-6005, "2022-09-12"),
        entry(-150, "2022-09-19"),
    ]
    days = [date(2022, 9, 9), date(2022, 9, 19)]
    _, *weeks = [line.plain.split() for line in plot(seen(days=days, journal=moves), mark="#", width=99)]
    assert weeks == [
        ["5", "Sep", "1", "#" * 20, "80.05", "#" * 20, "70.05", "#" * 18],
        ["19", "Sep", "0", "0.00", "-1.50"],
    ]


def test_a_week_in_which_nothing_happened_has_a_row_too() -> None:
    days = [date(2022, 9, 9), date(2022, 9, 19)]
    assert [line.plain.split()[:3] for line in plot(seen(days=days), mark="#", width=99)][2:] == [["19", "Sep", "0"]]


@pytest.mark.parametrize(("value", "long"), [(0, 0), (1, 1), (499, 10), (1000, 20)])
def test_the_greatest_value_has_the_longest_bar_and_the_least_can_be_seen(value: int, long: int) -> None:
    assert bar(value, 1000, 20) == long


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
    assert "Ana 2 2" in page
    assert "Bo 2 14 1 1 1 11" in page
    assert "Ana 120.10 120.10" in page
    assert "Bo 550.00 200.00 350.00" in page
    assert "all 670.10 320.10 350.00 0.00 0.00" in page
    assert "collected 1 paid out 1 120.10 1 120.10 120.10 ok" in page
    assert "declined 1 failed after submitted 1 350.00 1 350.00 ok" in page
    assert "in flight 1 submitted 1 350.00 1 350.00 350.00 ok" in page, "tried again 3 bank days later"
    assert [line for line in page if "1 mandate signed, 1 mandate registered" in line]
    assert [line for line in page if line.endswith("and all services and the bank compared: 0 findings")]
    assert (tmp_path / "state" / "business").exists()
