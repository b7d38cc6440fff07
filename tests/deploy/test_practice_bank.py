"""The practice bank, over HTTP: what it accepts, what becomes of it, whom it tells, and that it forgets nothing."""

import hashlib
import hmac
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from deploy.practice_bank import running

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
        answer = self.ask("GET", "/payments", params={"metadata[debit_id]": debit_id})
        return list(answer.json()["payments"])

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
        "reference": "D1",
        "metadata": {"debit_id": debit_id},
        "links": {"mandate": mandate_id},
    }
    return {"payments": payment | changes}


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.01)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bank")


@pytest.fixture(scope="module")
def http(state: Path) -> Iterator[httpx.Client]:
    """One bank for all these tests; each test is a creditor of its own."""
    with (
        running(state, first_pause=timedelta(milliseconds=1)) as url,
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        yield http


@pytest.fixture
def studio(http: httpx.Client, receiver: Receiver) -> Creditor:
    return Creditor(http, receiver.url)


@pytest.mark.parametrize(
    ("moves", "status"),
    [
        ([], "submitted"),
        (["settle"], "confirmed"),
        (["settle", "pay_out"], "paid_out"),
        (["decline"], "failed"),
        (["settle", "late_failure"], "failed"),
        (["settle", "pay_out", "late_failure"], "failed"),
        (["settle", "charge_back"], "charged_back"),
    ],
)
def test_a_payment_moves_by_legal_steps_and_tells_each(
    studio: Creditor, receiver: Receiver, moves: list[str], status: str
) -> None:
    accepted = studio.pay("d-1")
    assert accepted.status_code == 201
    assert accepted.json()["payments"]["status"] == "pending_submission"
    payment_id = accepted.json()["payments"]["id"]

    for move in moves:
        assert studio.decide(payment_id, move).status_code == 200

    assert studio.status(payment_id) == status
    eventually(studio.all_sent)
    told = [event["action"] for event in receiver.events()]
    (logged,) = studio.log()
    assert [event["action"] for event in logged["history"]] == ["created", *told]
    assert len(told) == 1 + len(moves)


@pytest.mark.parametrize(
    ("moves", "illegal"),
    [
        ([], "pay_out"),
        ([], "late_failure"),
        ([], "charge_back"),
        (["settle"], "settle"),
        (["settle"], "decline"),
        (["decline"], "settle"),
        (["decline"], "decline"),
        (["decline"], "late_failure"),
        (["settle", "charge_back"], "charge_back"),
        (["settle", "late_failure"], "settle"),
    ],
)
def test_any_other_step_is_refused_and_leaves_no_trace(studio: Creditor, moves: list[str], illegal: str) -> None:
    payment_id = studio.paid("d-1")
    for move in moves:
        studio.decide(payment_id, move)
    before = studio.log()

    refused = studio.decide(payment_id, illegal)

    assert refused.status_code == 409
    assert refused.json()["error"]["errors"][0]["reason"] == "illegal_move"
    assert studio.log() == before


def test_a_decline_says_why(studio: Creditor, receiver: Receiver) -> None:
    studio.decide(studio.paid("usual"), "decline")
    studio.decide(studio.paid("closed"), "decline", cause="bank_account_closed")
    studio.decide(studio.paid("odd"), "decline", cause="never_heard_of", reason_code="Z9", description="Odd.")

    eventually(studio.all_sent)
    failed = {
        event["resource_metadata"]["debit_id"]: event["details"]
        for event in receiver.events()
        if event["action"] == "failed"
    }
    assert failed["usual"] == {
        "origin": "bank",
        "cause": "insufficient_funds",
        "description": "The payer's account did not hold enough money.",
        "scheme": "becs",
        "reason_code": "6",
        "will_attempt_retry": False,
    }
    assert (failed["closed"]["cause"], failed["closed"]["reason_code"]) == ("bank_account_closed", "3")
    assert (failed["odd"]["cause"], failed["odd"]["reason_code"]) == ("never_heard_of", "Z9")
    assert failed["odd"]["description"] == "Odd."


@pytest.mark.parametrize(
    ("behaviour", "status"), [("settle", "confirmed"), ("decline", "failed"), ("manual", "submitted")]
)
def test_a_mandate_with_a_behaviour_decides_its_payments(studio: Creditor, behaviour: str, status: str) -> None:
    path = f"/practice/mandates/{studio.mandate}/behaviour"
    set_to = studio.http.post(path, json={"payments": behaviour, "cause": None})

    assert set_to.json()["behaviour"]["payments"] == behaviour
    assert studio.status(studio.paid("d-1")) == status
    assert studio.http.post("/practice/mandates/MD0/behaviour", json={"payments": "settle"}).status_code == 404


def test_a_repeated_key_makes_nothing_and_names_what_it_made(studio: Creditor) -> None:
    first = studio.pay("d-1", key="debit-1").json()["payments"]["id"]

    for key in ("debit-1", '"debit-1"'):
        repeat = studio.pay("d-1", key=key, amount=1)
        assert repeat.status_code == 409
        (error,) = repeat.json()["error"]["errors"]
        assert error["reason"] == "idempotent_creation_conflict"
        assert error["links"] == {"conflicting_resource_id": first}

    assert len(studio.log()) == 1
    assert studio.pay("d-2", key='"debit-1').status_code == 400
    assert studio.pay("d-2", key="debit-2").status_code == 201


def test_a_mandate_is_made_once_per_key(studio: Creditor) -> None:
    made = studio.ask("POST", "/mandates", key="m", json=new_mandate()).json()["mandates"]["id"]
    repeat = studio.ask("POST", "/mandates", key="m", json=new_mandate())

    assert repeat.json()["error"]["errors"][0]["links"] == {"conflicting_resource_id": made}
    assert studio.ask("GET", f"/mandates/{made}").json()["mandates"]["status"] == "active"


def test_a_payment_is_found_by_our_own_reference(studio: Creditor) -> None:
    payment_id = studio.paid("d-1")
    studio.paid("d-2")

    assert [payment["id"] for payment in studio.found("d-1")] == [payment_id]
    assert studio.found("d-1")[0] == studio.ask("GET", f"/payments/{payment_id}").json()["payments"]
    assert studio.found("none") == []
    assert studio.ask("GET", "/payments").status_code == 422


def test_a_creditor_sees_only_its_own(studio: Creditor, receiver: Receiver) -> None:
    payment_id = studio.pay("d-1", key="k").json()["payments"]["id"]
    other = Creditor(studio.http, receiver.url)

    assert other.ask("GET", f"/payments/{payment_id}").status_code == 404
    assert other.ask("GET", f"/mandates/{studio.mandate}").status_code == 404
    assert other.found("d-1") == []
    assert other.pay("d-1", links={"mandate": studio.mandate}).status_code == 422
    assert other.pay("d-1", key="k").status_code == 201


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic wrong"])
def test_without_its_token_nobody_collects(studio: Creditor, authorization: str) -> None:
    body = new_payment(studio.mandate, "d-1")
    answer = studio.http.post("/payments", json=body, headers={"Authorization": authorization})

    assert answer.status_code == 401
    assert studio.log() == []


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"amount": 0}, "/payments/amount"),
        ({"amount": 10.5}, "/payments/amount"),
        ({"amount": 10**10}, "/payments/amount"),
        ({"amount": "30000"}, "/payments/amount"),
        ({"currency": "XXX"}, "/payments/currency"),
        ({"currency": "GBP"}, "/payments/currency"),
        ({"charge_date": "13/9/2022"}, "/payments/charge_date"),
        ({"reference": "R" * 31}, "/payments/reference"),
        ({"links": {"mandate": "MD0"}}, "/payments/links/mandate"),
        ({"links": {}}, "/payments/links/mandate"),
        ({"metadata": {"a": "1", "b": "2", "c": "3", "d": "4"}}, "/payments/metadata"),
        ({"retry_if_possible": True}, "/payments/retry_if_possible"),
        ({"surprise": 1}, "/payments/surprise"),
    ],
)
def test_a_wrong_field_is_named(studio: Creditor, changes: dict[str, object], pointer: str) -> None:
    refused = studio.pay("d-1", key="k", **changes)

    assert refused.status_code == 422
    assert refused.json()["error"]["type"] == "validation_failed"
    (error,) = refused.json()["error"]["errors"]
    assert (error["request_pointer"], error["field"]) == (pointer, pointer.rpartition("/")[2])
    assert studio.pay("d-1", key="k").status_code == 201, "a refused request uses no key"


def test_a_body_that_is_no_json_is_a_bad_request(studio: Creditor) -> None:
    answer = studio.ask("POST", "/payments", content=b"{")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_api_usage")


def test_a_callback_is_signed_over_its_exact_bytes(studio: Creditor, receiver: Receiver) -> None:
    payment_id = studio.paid("d-1")
    eventually(studio.all_sent)

    ((signature, body),) = receiver.received
    assert signature == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    told = json.loads(body)
    assert told["meta"]["webhook_id"].startswith("WB")
    (event,) = told["events"]
    assert event["id"].startswith("EV")
    assert (event["resource_type"], event["action"]) == ("payments", "submitted")
    assert event["links"] == {"payment": payment_id}
    assert event["resource_metadata"] == {"debit_id": "d-1"}


def test_a_callback_is_repeated_until_it_is_taken_and_again_on_request(studio: Creditor, receiver: Receiver) -> None:
    receiver.answers = [500, 302, 204]
    studio.paid("d-1")
    eventually(studio.all_sent)

    (callback,) = studio.callbacks("delivered")
    assert [answer["outcome"] for answer in callback["answers"]] == ["500", "302", "204"]

    resent = studio.http.post(f"/practice/callbacks/{callback['id']}/resend")
    assert resent.status_code == 202
    eventually(lambda: len(receiver.received) == 4)
    assert len(set(receiver.received)) == 1
    assert studio.http.post("/practice/callbacks/WB0/resend").status_code == 404


def test_a_callback_never_taken_is_given_up_after_eight_repeats(studio: Creditor, receiver: Receiver) -> None:
    receiver.answers = [503] * 9
    studio.paid("d-1")
    eventually(studio.all_sent)

    (callback,) = studio.callbacks("given_up")
    assert (callback["state"], callback["tries"], len(callback["answers"])) == ("given_up", 9, 9)

    studio.http.post(f"/practice/callbacks/{callback['id']}/resend")
    eventually(lambda: len(receiver.received) == 10)


def test_callbacks_follow_their_creditor_to_a_new_address_and_secret(studio: Creditor, receiver: Receiver) -> None:
    with receiving() as moved:
        target = {"callback_url": moved.url, "callback_secret": "another secret, as long"}
        answer = studio.http.put(f"/practice/creditors/{studio.id}", json=target)
        assert answer.json()["creditors"]["callback_url"] == moved.url
        studio.paid("d-1")
        eventually(lambda: len(moved.received) == 1)

    ((signature, body),) = moved.received
    assert signature == hmac.new(b"another secret, as long", body, hashlib.sha256).hexdigest()
    assert receiver.received == []
    assert studio.http.put("/practice/creditors/CR0", json=target).status_code == 404


def test_the_page_shows_the_log_escaped(studio: Creditor) -> None:
    studio.decide(studio.pay("<d>", reference="<R1>").json()["payments"]["id"], "decline")
    eventually(studio.all_sent)

    page = studio.http.get("/").text
    for shown in ("Client &lt;One&gt;", "&lt;R1&gt;", "&lt;d&gt;", "300.00 AUD", "insufficient_funds, code 6", "204"):
        assert shown in page


def test_the_account_number_is_found_nowhere(studio: Creditor, state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = studio.ask("POST", "/mandates", json=new_mandate())
    assert made.json()["mandates"]["account_number_ending"] == "21"
    refused = [
        studio.ask("POST", "/mandates", json=new_mandate(account_number=ACCOUNT_NUMBER + "x")),
        studio.ask("POST", "/mandates", json=new_mandate(account_number=int(ACCOUNT_NUMBER))),
        studio.ask("POST", "/mandates", json=new_mandate(currency="XXX")),
    ]
    assert {answer.status_code for answer in refused} == {422}
    studio.paid("d-1")
    pages = [studio.http.get(path) for path in ("/", "/practice/log", "/practice/callbacks")]

    said = "".join(answer.text for answer in [made, *refused, *pages]) + "".join(capfd.readouterr())
    assert ACCOUNT_NUMBER not in said
    files = list(state.iterdir())
    assert files
    for file in files:
        kept = file.read_bytes()
        assert ACCOUNT_NUMBER.encode() not in kept
        assert studio.token.encode() not in kept


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


@contextmanager
def bank_process(state: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    command = [sys.executable, "-m", "deploy.practice_bank", "--port", "0", "--state", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            with httpx.Client(base_url=process.stdout.readline().strip(), trust_env=False) as http:
                yield process, http
        finally:
            process.kill()
