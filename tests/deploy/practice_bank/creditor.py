"""A creditor of the practice bank and its callback address, to test the bank from outside."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx

ACCOUNT_NUMBER = "987654321"
SECRET = "a secret of the callbacks"
SYDNEY = timezone(timedelta(hours=10))
TUESDAY = "2022-09-13T08:00:00+10:00"


class Receiver(ThreadingHTTPServer):
    """A creditor's callback address: keeps what it is sent, and answers what it was told to, else 204."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Receive)
        self.received: list[tuple[str, bytes]] = []
        self.answers: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/callbacks"

    def events(self) -> list[dict[str, Any]]:
        return sorted(
            (event for _, body in self.received for event in json.loads(body)["events"]),
            key=lambda event: str(event["created_at"]),
        )


class _Receive(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.headers["Webhook-Signature"], body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    with Receiver(port) as receiver:
        Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield receiver
        receiver.shutdown()


class Creditor:
    """A business that collects through the bank: `ask` as itself, `http` as whoever practises."""

    def __init__(self, http: httpx.Client, callback_url: str, *, now: str | None = TUESDAY) -> None:
        self.http = http
        self.reference = str(uuid4())
        new = {"name": "Harbour Studio", "callback_url": callback_url, "callback_secret": SECRET}
        opened = http.post("/practice/creditors", json=new | {"reference": self.reference, "now": now}).json()[
            "creditors"
        ]
        self.id, self.token = opened["id"], opened["access_token"]
        self.sign()

    def sign(self) -> None:
        """A payer signs at the bank's own page; from now on payments are made under this mandate."""
        self.mandate = self.ask("POST", "/practice/mandates", json=new_mandate()).json()["mandates"]["id"]

    def make(self, kind: str, *, key: str | None = None, **fields: Any) -> dict[str, Any]:
        """Create a thing, such as one of the `customers`."""
        made: dict[str, Any] = self.ask("POST", f"/{kind}", key=key, json={kind: fields}).raise_for_status().json()
        thing: dict[str, Any] = made[kind]
        return thing

    def ask(self, method: str, path: str, *, key: str | None = None, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        headers |= {} if key is None else {"Idempotency-Key": key}
        return self.http.request(method, path, headers=headers, **request)

    def pay(self, debit_id: str, key: str | None = None, **changes: object) -> httpx.Response:
        return self.ask("POST", "/payments", key=key, json=new_payment(self.mandate, debit_id, **changes))

    def paid(self, debit_id: str) -> str:
        return str(self.pay(debit_id).json()["payments"]["id"])

    def found(self, debit_id: str) -> list[dict[str, Any]]:
        payments = self.ask("GET", "/payments").json()["payments"]
        return [payment for payment in payments if payment["metadata"] == {"debit_id": debit_id}]

    def page(self, **filters: object) -> tuple[list[str], str | None]:
        """A page of the list of payments, by their own names for debits, and the cursor to the next one."""
        answer = self.ask("GET", "/payments", params=filters).json()
        return [payment["metadata"]["debit_id"] for payment in answer["payments"]], answer["meta"]["cursors"]["after"]

    def decide(self, payment_id: str, move: str, **because: str) -> httpx.Response:
        return self.http.post(f"/practice/payments/{payment_id}/{move}", json=because or None)

    def status(self, payment_id: str) -> str:
        return str(self.ask("GET", f"/payments/{payment_id}").json()["payments"]["status"])

    def behave(self, scenario: str, **why: str) -> None:
        path = f"/practice/mandates/{self.mandate}/behaviour"
        self.http.post(path, json={"payments": scenario, **why}).raise_for_status()

    def put_clock(self, now: str) -> httpx.Response:
        return self.http.put(f"/practice/creditors/{self.id}/clock", json={"now": now})

    def live_until(self, day: str) -> None:
        """Let the days pass up to the morning of this one, and wait for the callbacks that they bring."""
        self.put_clock(f"{day}T08:00:00+10:00").raise_for_status()
        eventually(self.all_sent)

    def history(self, payment_id: str) -> list[tuple[str, str]]:
        """What happened to a payment, each with its date in Sydney."""
        (logged,) = (payment for payment in self.log() if payment["id"] == payment_id)
        return [(event["action"], date_of(event)) for event in logged["history"]]

    def log(self) -> list[dict[str, Any]]:
        logged: list[dict[str, Any]] = self.http.get("/practice/log", params={"creditor": self.id}).json()["payments"]
        return logged

    def callbacks(self, state: str) -> list[dict[str, Any]]:
        answer = self.http.get("/practice/callbacks", params={"state": state, "creditor": self.id}).json()
        callbacks: list[dict[str, Any]] = answer["callbacks"]
        return callbacks

    def all_sent(self) -> bool:
        return not self.callbacks("unsent")


def new_account(customer_id: str, **changes: object) -> dict[str, Any]:
    account = {
        "account_holder_name": "Client One",
        "account_number": ACCOUNT_NUMBER,
        "branch_code": "062-000",
        "currency": "AUD",
        "links": {"customer": customer_id},
    }
    return account | changes


def registered(studio: Creditor) -> str:
    """The mandate of a new payer, made in the three steps of the provider."""
    account = studio.make("customer_bank_accounts", **new_account(studio.make("customers")["id"]))
    mandate: str = studio.make("mandates", links={"customer_bank_account": account["id"]})["id"]
    return mandate


def new_mandate(**changes: object) -> dict[str, Any]:
    mandate = {
        "account_holder_name": "Client <One>",
        "account_number": ACCOUNT_NUMBER,
        "branch_code": "062-000",
        "currency": "AUD",
        "metadata": {"mandate_id": "m-1"},
    }
    return {"mandates": mandate | changes}


def new_payment(mandate_id: str, debit_id: str, **changes: object) -> dict[str, Any]:
    payment = {
        "amount": 30000,
        "currency": "AUD",
        "charge_date": "2022-09-13",
        "metadata": {"debit_id": debit_id},
        "links": {"mandate": mandate_id},
    }
    return {"payments": payment | changes}


def date_of(event: dict[str, Any]) -> str:
    """The date of an event in Sydney."""
    return datetime.fromisoformat(event["created_at"]).astimezone(SYDNEY).date().isoformat()


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.01)
