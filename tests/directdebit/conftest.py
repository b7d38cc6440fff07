"""Directdebit alone, with its database and the practice bank; a test speaks for billing, and carries the callbacks."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from deploy.local.running import here
from deploy.practice_bank import running_bank
from deploy.practice_bank.courier import signature
from services.directdebit import workers
from services.directdebit.bank import Account
from services.directdebit.bank.gocardless import GoCardless
from services.directdebit.main import service
from shared.events.billing import CollectionRequested, DayBilled
from shared.events.catalog import BusinessChanged, ClientChanged
from shared.events.directdebit import DebitDeclined, DebitEvent
from shared.ids import new_id
from shared.settings import Settings
from tests.conftest import Rooms
from tests.harness.leaks import of_rows
from tests.harness.room import ZONE, Room

NOW = datetime(2022, 9, 26, 22, 0, tzinfo=UTC)
TODAY = date(2022, 9, 27)
SECRET, OLD_SECRET = "a secret of this test", "a secret of an older one"


@dataclass(frozen=True)
class Provider:
    """The practice bank, and the creditor that we are to it."""

    url: str
    token: str
    http: httpx.Client

    def mandate(self, behaviour: str = "manual", **why: str) -> str:
        """A mandate that a payer has given at the bank's page."""
        new = {"account_holder_name": "Ana", "account_number": "012345678", "branch_code": "082-082", "currency": "AUD"}
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.http.post("/practice/mandates", json={"mandates": new}, headers=headers)
        made: str = answer.json()["mandates"]["id"]
        self.http.post(f"/practice/mandates/{made}/behaviour", json={"payments": behaviour, **why})
        return made

    def payments(self, *debits: dict[str, Any]) -> list[dict[str, Any]]:
        """The bank's own log of what was debited for these."""
        ours = {debit["debit_id"] for debit in debits}
        log = self.http.get("/practice/log").json()["payments"]
        return [payment for payment in log if payment["metadata"].get("debit_id") in ours]

    def decide(self, payment: str, move: str, **why: str) -> None:
        self.http.post(f"/practice/payments/{payment}/{move}", json=why).raise_for_status()

    def callbacks(self, payment: str) -> list[bytes]:
        """The bodies that the bank sends about a payment, in the order in which it made them."""
        bodies = [each["body"] for each in self.http.get("/practice/callbacks").json()["callbacks"]]
        about = [body for body in bodies if body["events"][0]["links"].get("payment") == payment]
        about.sort(key=lambda body: body["events"][0]["created_at"])
        return [json.dumps(body).encode() for body in about]


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_bank(tmp_path_factory.mktemp("bank")) as url, here.client(base_url=url) as http:
        target = {"callback_url": "http://127.0.0.1:9/", "callback_secret": SECRET, "now": "2022-09-27T08:00:00+10:00"}
        made = http.post("/practice/creditors", json={"name": "Harbour Studio", **target}).json()["creditors"]
        yield Provider(url, made["access_token"], http)


@dataclass
class Desk:
    """A business that collects, with one payer."""

    room: Room
    provider: Provider
    business_id: UUID
    payer_id: UUID
    owner: str

    async def get(self, path: str, **params: Any) -> Any:
        async with self.room.http(self.owner) as http:
            answer = await http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def connect(self) -> None:
        """The business has an account with the provider."""
        account = {"access_token": self.provider.token, "callback_secrets": [OLD_SECRET, SECRET]}
        async with self.room.http(self.owner) as http:
            assert (await http.put("provider", json=account)).status_code == 200

    async def record(self, mandate: str, **changes: Any) -> httpx.Response:
        body = {"payer_id": str(self.payer_id), "provider_mandate": mandate, "account_ending": "78"} | changes
        async with self.room.http(self.owner) as http:
            return await http.post("mandates", json=body)

    def wish(self, **changes: Any) -> CollectionRequested:
        """Billing wants an instalment collected."""
        usual = {
            "instalment_id": new_id(),
            "version": 1,
            "target_minor": 30000,
            "currency": "AUD",
            "collect_date": TODAY,
            "payer_id": self.payer_id,
        }
        return CollectionRequested.model_validate(usual | changes)

    async def hear(self, *wishes: CollectionRequested) -> None:
        """Billing asks; nothing goes out before a day is billed."""
        await self.room.hear(self.business_id, *wishes, on=TODAY)

    async def day(self, on: date = TODAY, announced: int = 0, **changes: Any) -> None:
        """Billing has billed a day: what is due goes out."""
        usual = {"business_id": self.business_id, "since_date": on, "business_date": on, "current": True}
        told = usual | {"collections_requested": announced} | changes
        await self.room.hear(self.business_id, DayBilled.model_validate(told), on=on)

    async def collect(self, *wishes: CollectionRequested) -> None:
        """Billing asks for something, and has billed the day."""
        await self.hear(*wishes)
        await self.day()

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        async with self.room.http(self.owner) as http:
            return await http.post(path, json=body)

    async def debits(self, wish: CollectionRequested) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get("debits", instalment_id=wish.instalment_id))["items"]
        return found

    async def until(self, wish: CollectionRequested, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The newest debit of an instalment, once it is as wanted."""
        async with asyncio.timeout(20):
            while not ((debits := await self.debits(wish)) and wanted(debits[-1])):  # noqa: ASYNC110 — it is in the database
                await asyncio.sleep(0.02)
        return debits[-1]

    async def sent(self, **changes: Any) -> tuple[CollectionRequested, dict[str, Any]]:
        """A wish whose debit the bank has."""
        wish = self.wish(**changes)
        await self.collect(wish)
        return wish, await self.until(wish, lambda debit: debit["state"] == "submitted")

    async def call_back(self, body: bytes, *, secret: str = SECRET, **headers: str) -> httpx.Response:
        async with self.room.http("") as http:
            path = f"providers/{self.business_id}/callbacks"
            signed = {"Webhook-Signature": signature(secret, body)} | headers
            return await http.post(path, content=body, headers=signed)

    async def bring(
        self, debit: dict[str, Any], order: Sequence[int] | None = None, *, failed: date | None = None
    ) -> None:
        """Deliver all that the bank has to say of a debit, in an order of its own, each twice.

        This bank stands still; that the debit failed it may say of another date.
        """
        bodies = [_dated(body, failed) for body in self.provider.callbacks(debit["provider_ref"])]
        for number in order or range(len(bodies)):
            for _ in range(2):
                assert (await self.call_back(bodies[number])).status_code == 204
            await self.room.idle(self.business_id)

    async def decline(self, debit: dict[str, Any], on: date | None = None, **why: Any) -> date | None:
        """The bank declines a debit; when it is tried again."""
        self.provider.decide(debit["provider_ref"], "decline", **why)
        await self.bring(debit, failed=on)
        told = (await self.facts(debit))[-1]
        assert isinstance(told, DebitDeclined)
        return told.items[0].next_attempt_date

    def event_of(self, debit: dict[str, Any], like: str, **changes: Any) -> dict[str, Any]:
        """An event like one that the bank has told of a debit, a little later and otherwise as given."""
        bodies = [json.loads(body)["events"][0] for body in self.provider.callbacks(debit["provider_ref"])]
        (event,) = (event for event in bodies if event["action"] == like)
        own: dict[str, Any] = {"id": f"EV{new_id()}", "created_at": "2022-09-27T23:00:00.000000Z"}
        return {**event, **own, **changes}

    async def told(self, debit: dict[str, Any]) -> list[dict[str, Any]]:
        """What the provider told of a debit, folded or not."""
        facts: list[dict[str, Any]] = (await self.get(f"debits/{debit['debit_id']}"))["facts"]
        return facts

    async def facts(self, debit: dict[str, Any]) -> list[DebitEvent]:
        """What we have told billing of a debit, in order."""
        facts = await self.room.facts(self.business_id, DebitEvent)
        return [fact for fact in facts if isinstance(fact, DebitEvent) and str(fact.debit_id) == debit["debit_id"]]

    async def decided(self, move: str, **why: str) -> tuple[CollectionRequested, dict[str, Any], list[bytes]]:
        """A debit that the bank has, a move of the bank, and the callbacks about it."""
        await self.record(self.provider.mandate())
        wish, debit = await self.sent()
        self.provider.decide(debit["provider_ref"], move, **why)
        return wish, debit, self.provider.callbacks(debit["provider_ref"])


async def clock_to(desk: Desk, on: date) -> None:
    """The business's test clock has moved on."""
    profile = {"name": "Harbour Studio", "zone": ZONE, "currency": "AUD", "email": "desk@studio.example"}
    moved = NOW + (on - TODAY)
    told = BusinessChanged(business_id=desk.business_id, sequence=2, test_now=moved, **profile)
    await desk.room.hear(desk.business_id, told)


def _dated(body: bytes, failed: date | None) -> bytes:
    content = json.loads(body)
    if failed and content["events"][0]["action"] == "failed":
        content["events"][0]["created_at"] = f"{failed}T02:00:00.000000Z"
    return json.dumps(content).encode()


def callback(*events: dict[str, Any]) -> bytes:
    return json.dumps({"events": events, "meta": {"webhook_id": str(new_id())}}).encode()


@pytest.fixture
async def desk(rooms: Rooms, provider: Provider) -> AsyncIterator[Desk]:
    room = await rooms(service, provider_url=provider.url, encryption_keys=[b64encode(bytes(32)).decode()])
    business_id = await room.business(test_now=NOW)
    payer_id = new_id()
    await room.hear(
        business_id, ClientChanged(client_id=payer_id, sequence=1, name="Ana", email="ana@x.example", active=True)
    )
    desk = Desk(room, provider, business_id, payer_id, room.issuer.staff(business_id))
    await desk.connect()
    yield desk
    assert await room.violations(business_id) == {}
    async with room.inside(business_id) as db:
        assert await of_rows(db) == []


class Faulty(httpx.AsyncHTTPTransport):
    """The way to the bank, with a fault at the first payments asked for."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__()
        self.faults = faults
        self.bodies: list[bytes] = []
        self.late: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        fault = self.faults.pop(0) if request.method == "POST" and self.faults else ""
        if request.method == "POST":
            self.bodies.append(request.content)
        if fault == "lands late":
            self.late.append(request)
            raise httpx.ReadTimeout("late", request=request)
        if fault == "too late":
            error = {"type": "validation_failed", "errors": [{"field": "charge_date", "message": "is over"}]}
            return httpx.Response(422, json={"error": error}, request=request)
        if fault == "lost on the way":
            raise httpx.ConnectTimeout("lost", request=request)
        answer = await super().handle_async_request(request)
        if request.method == "POST" and self.late:
            late = self.late.pop()
            self.bodies.append(late.content)
            await (await super().handle_async_request(late)).aread()
        if fault == "answer lost":
            await answer.aread()
            raise httpx.ReadTimeout("lost", request=request)
        return httpx.Response(500, text="sorry") if fault == "500 and done" else answer


@pytest.fixture
async def faulty(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Faulty]:
    transport = Faulty([])

    class Watched(GoCardless):
        @classmethod
        def of(cls, settings: Settings, account: Account) -> GoCardless:  # type: ignore[override]
            usual = GoCardless.of(settings, account)
            return GoCardless(usual.url, usual.token, usual.secrets, transport)

    monkeypatch.setattr(workers, "GoCardless", Watched)
    yield transport
    await transport.aclose()
