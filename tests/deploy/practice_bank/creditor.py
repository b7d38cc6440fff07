"""A creditor of the practice bank and its callback address, to test the bank from outside."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx

ACCOUNT_NUMBER = "987654321"
SECRET = "a secret of the callbacks"


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

    def __init__(self, http: httpx.Client, callback_url: str) -> None:
        self.http = http
        new = {"name": "Harbour Studio", "callback_url": callback_url, "callback_secret": SECRET}
        opened = http.post("/practice/creditors", json=new).json()["creditors"]
        self.id, self.token = opened["id"], opened["access_token"]
        self.mandate = self.ask("POST", "/mandates", json=new_mandate()).json()["mandates"]["id"]

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

    def log(self) -> list[dict[str, Any]]:
        return self._mine(self.http.get("/practice/log").json()["payments"])

    def callbacks(self, state: str) -> list[dict[str, Any]]:
        return self._mine(self.http.get("/practice/callbacks", params={"state": state}).json()["callbacks"])

    def all_sent(self) -> bool:
        return not self.callbacks("unsent")

    def _mine(self, things: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [thing for thing in things if thing["links"]["creditor"] == self.id]


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


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.01)
