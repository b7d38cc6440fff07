"""The log shows everything but the account number, only grows, and survives the bank being killed."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.local.running import here
from deploy.practice_bank.ledger.file import LAYOUT
from tests.deploy.practice_bank.creditor import (
    ACCOUNT_NUMBER,
    Creditor,
    eventually,
    new_account,
    new_mandate,
    receiving,
    registered,
)


def test_the_page_shows_the_log_escaped(studio: Creditor) -> None:
    studio.decide(studio.pay("<d>").json()["payments"]["id"], "decline")
    eventually(studio.all_sent)

    page = studio.http.get("/").text
    for shown in ("Client &lt;One&gt;", "&lt;d&gt;", "300.00 AUD", "insufficient_funds, code 6", "204"):
        assert shown in page


def test_the_account_number_is_found_nowhere(studio: Creditor, state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = studio.ask("POST", "/practice/mandates", json=new_mandate())
    assert made.json()["mandates"]["account_number_ending"] == "21"
    customer = studio.make("customers", given_name="Ana", email="ana@clients.example")["id"]
    account = {"customer_bank_accounts": new_account(customer)}
    answers = [
        studio.ask("POST", "/customer_bank_accounts", key="k", json=account),
        studio.ask("POST", "/customer_bank_accounts", key="k", json=account),
    ]
    assert [answer.status_code for answer in answers] == [201, 409]
    wrong = {"customer_bank_accounts": new_account(customer, account_number=ACCOUNT_NUMBER + "x", surprise=1)}
    refused = [
        studio.ask("POST", "/customer_bank_accounts", json=wrong),
        studio.ask("POST", "/customer_bank_accounts", json={"customer_bank_accounts": new_account("CU0")}),
        studio.ask("POST", "/practice/mandates", json=new_mandate(account_number=ACCOUNT_NUMBER + "x")),
        studio.ask("POST", "/practice/mandates", json=new_mandate(account_number=int(ACCOUNT_NUMBER))),
        studio.ask("POST", "/practice/mandates", json=new_mandate(currency="XXX")),
    ]
    assert {answer.status_code for answer in refused} == {422}
    studio.mandate = registered(studio)
    studio.paid("d-1")
    pages = [studio.http.get(path) for path in ("/", "/practice/log", "/practice/callbacks", "/practice/creditors")]

    said = "".join(answer.text for answer in [made, *answers, *refused, *pages]) + "".join(capfd.readouterr())
    assert ACCOUNT_NUMBER not in said
    files = list(state.iterdir())
    assert files
    for file in files:
        kept = file.read_bytes()
        assert ACCOUNT_NUMBER.encode() not in kept
        assert studio.token.encode() not in kept


def test_the_log_only_grows(studio: Creditor, state: Path) -> None:
    studio.decide(studio.paid("d-1"), "settle")
    eventually(studio.all_sent)
    before = studio.log()

    with closing(sqlite3.connect(state / "bank.sqlite3")) as books:
        for table, column in (("payment", "amount"), ("event", "action"), ("answer", "outcome")):
            for change in (f"update {table} set {column} = 1", f"delete from {table}"):
                with pytest.raises(sqlite3.IntegrityError, match="final"):
                    books.execute(change)

    assert studio.log() == before


def test_it_survives_being_killed(tmp_path: Path) -> None:
    with receiving() as gone:
        port = gone.server_port

    with bank_process(tmp_path) as (process, http):
        assert "No payments yet." in http.get("/").text
        studio = Creditor(http, f"http://127.0.0.1:{port}/callbacks")
        payment_id = studio.pay("d-1", key="k").json()["payments"]["id"]
        studio.decide(payment_id, "settle")
        process.kill()

    with receiving(port) as receiver, bank_process(tmp_path) as (process, http):
        studio.http = http
        assert studio.status(payment_id) == "confirmed"
        assert studio.pay("d-1", key="k").status_code == 409
        eventually(lambda: {event["action"] for event in receiver.events()} == {"submitted", "confirmed"})
        process.terminate()
        assert process.wait(timeout=5) in (0, -signal.SIGTERM)


def test_days_pass_in_real_time_also_while_the_bank_is_not_open(tmp_path: Path) -> None:
    with receiving() as receiver:
        with bank_process(tmp_path) as (_, http):
            studio = Creditor(http, receiver.url, now=None)
            studio.behave("collects")
            payment_id = studio.pay("d-1", charge_date="2099-01-05").json()["payments"]["id"]
        with closing(sqlite3.connect(tmp_path / "bank.sqlite3")) as books, books:
            planned = books.execute("select day from planned order by day").fetchall()
            assert planned == [("2099-01-07",), ("2099-01-08",)]
            books.execute("update planned set day = '2022-09-15' where move = 'settle'")
        with bank_process(tmp_path) as (_, http):
            studio.http = http
            eventually(lambda: studio.status(payment_id) == "confirmed")
            eventually(lambda: {event["action"] for event in receiver.events()} == {"submitted", "confirmed"})


def test_books_of_an_older_layout_are_set_aside(tmp_path: Path) -> None:
    for count in (1, 2):
        with closing(sqlite3.connect(tmp_path / "bank.sqlite3")) as books, books:
            books.execute("pragma user_version = 0")
            books.execute("create table if not exists creditor (id text)")
        with bank_process(tmp_path) as (_, http):
            assert "No payments yet." in http.get("/").text
        assert len(list(tmp_path.glob("bank.sqlite3.layout-0.*"))) == count

    with closing(sqlite3.connect(tmp_path / "bank.sqlite3")) as books:
        assert books.execute("pragma user_version").fetchone() == (LAYOUT,)


@contextmanager
def bank_process(state: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    command = [sys.executable, "-m", "deploy.practice_bank", "--port", "0", "--state", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            with here.client(base_url=process.stdout.readline().strip()) as http:
                yield process, http
        finally:
            process.kill()
