"""Work that does not get done, and what the provider told that a person has to look at, are listed and counted."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from deploy.local.running.issuer import Issuer
from deploy.practice_bank.courier import signature
from services.directdebit.main import service
from shared.events.catalog import ClientChanged
from shared.ids import new_id
from tests.harness.databases import Databases
from tests.harness.room import Room, room
from tests.operating.hand import Hand, hand

pytestmark = pytest.mark.servers

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
SECRET, NEW_SECRET = "a callback secret in use", "a callback secret that is new"
IN_REVIEW = text(
    "insert into debits (debit_id, business_id, payer_id, mandate_id, amount_minor, currency, charge_date, state,"
    "  review, provider_ref, sequence, final, created_date)"
    " select :id, business_id, payer_id, mandate_id, 100, 'AUD', '2022-09-09', 'in_review', 'two_payments', 'PM7', 1,"
    "  false, '2022-09-09' from mandates"
)


@dataclass
class Desk:
    """Directdebit with a provider that is away, a business, and the hand of its operator."""

    room: Room
    do: Hand
    business_id: UUID

    async def connect(self, *secrets: str) -> httpx.Response:
        account = {"access_token": "a-token-of-the-provider", "callback_secrets": secrets}
        async with self.room.http(self.room.issuer.staff(self.business_id)) as http:
            return await http.put("provider", json=account)

    async def call_back(self, body: Any) -> None:
        raw = json.dumps(body).encode()
        async with self.room.http("") as http:
            path = f"providers/{self.business_id}/callbacks"
            answer = await http.post(path, content=raw, headers={"Webhook-Signature": signature(SECRET, raw)})
        assert answer.status_code == 204

    async def register(self) -> UUID:
        """A mandate that the provider does not take in, for it is away."""
        payer_id = new_id()
        payer = ClientChanged(client_id=payer_id, sequence=1, name="Ana", email=None, active=True)
        await self.room.hear(self.business_id, payer)
        account = {"account_holder": "Ana Reyes", "branch_code": "082-082", "account_number": "987654321"}
        async with self.room.http(self.room.issuer.staff(self.business_id)) as http:
            answer = await http.post("mandates/register", json={"payer_id": str(payer_id)} | account)
        assert answer.status_code == 202
        return UUID(answer.json()["mandate_id"])

    async def late(self) -> list[str]:
        """What the metrics say of late work."""
        transport = httpx.ASGITransport(self.room.running.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://punchcard.test") as http:
            lines = (await http.get("metrics")).text.splitlines()
        return [line for line in lines if line.startswith("punchcard_work_late{")]

    async def query(self, sql: str) -> None:
        async with self.room.inside(self.business_id) as db:
            await db.execute(text(sql))

    async def waiting(self) -> list[list[str]]:
        """The lines about people's work of this business, in words, without service and business."""
        lines = [line.split() for line in (await self.do("waiting", "directdebit")).splitlines()]
        return [line[2:] for line in lines if line[1:2] == [str(self.business_id)]]


@pytest.fixture
async def desk(databases: Databases, issuer: Issuer) -> AsyncIterator[Desk]:
    await databases.make("waiting")
    url = databases.url("waiting")
    do = hand({"directdebit": service}, {"directdebit": url}, issuer)
    async with room(service, url, issuer, provider_url="http://127.0.0.1:9", encryption_keys=[KEY]) as opened:
        desk = Desk(opened, do, await opened.business())
        assert (await desk.connect(SECRET)).status_code == 200
        yield desk
        await desk.query("delete from work")


async def test_work_that_fails_is_listed_with_its_error_and_counted_until_it_is_done(desk: Desk) -> None:
    mandate_id = await desk.register()
    async with asyncio.timeout(20):
        while not (late := await desk.late()):
            pass
    assert late == ['punchcard_work_late{kind="register",service="directdebit"} 1.0']
    head, line = [each.split() for each in (await desk.do("waiting")).splitlines()]
    assert head == ["service", "work", "pieces", "attempts", "due", "first_id", "error"]
    assert [*line[:3], *line[6:]] == ["directdebit", "register", "1", str(mandate_id), "StillUnknown:", "ConnectError"]
    await desk.query("delete from work")
    assert await desk.late() == []


async def test_what_nobody_took_is_late_though_it_has_not_failed(desk: Desk) -> None:
    insert = "insert into work (kind, subject_id, business_id, context, due_at) select 'unheard_of', gen_random_uuid(),"
    await desk.query(f"{insert} business_id, '{{}}', now() - interval '2 minutes' from business limit 1")
    await desk.query(f"{insert} business_id, '{{}}', now() from business limit 1")
    assert await desk.late() == ['punchcard_work_late{kind="unheard_of",service="directdebit"} 1.0']


async def test_what_the_provider_told_and_nobody_can_place_is_listed(desk: Desk) -> None:
    debit_id = new_id()
    event: dict[str, Any] = {
        "id": "EV1",
        "resource_type": "payments",
        "action": "confirmed",
        "created_at": "2022-09-09T00:00:00Z",
    }
    event |= {"links": {"payment": "PM9"}, "resource_metadata": {"debit_id": str(debit_id)}}
    later = event | {"id": "EV2", "action": "paid_out", "created_at": "2022-09-10T00:00:00Z"}
    await desk.call_back({"events": [event, later]})
    await desk.room.idle(desk.business_id)
    ((what, _, since, *about),) = await desk.waiting()
    assert (what, since) == ("parked", "2022-09-09")
    assert " ".join(about) == f"payments PM9 for {debit_id} confirmed, paid_out"


async def test_a_callback_that_could_not_be_read_and_a_debit_in_review_are_listed(desk: Desk) -> None:
    await desk.call_back({"events": "none"})
    await desk.register()
    debit_id = new_id()
    async with desk.room.inside(desk.business_id) as db:
        await db.execute(IN_REVIEW, {"id": debit_id})
    in_review, unread = await desk.waiting()
    assert in_review[:5] == ["in_review", str(debit_id), "2022-09-09", "two_payments", "PM7"]
    assert [unread[0], *unread[3:]] == ["unread", "no", "list", "of", "events"]


async def test_how_far_back_to_send_again_is_an_interval(desk: Desk) -> None:
    with pytest.raises(SystemExit, match="'tomorrow' is no interval"):
        await desk.do("replay", "directdebit", "--since", "tomorrow")
    assert (await desk.do("replay", "directdebit", "--since", "26 hours")).startswith("directdebit: ")


async def test_a_new_callback_secret_goes_first(desk: Desk) -> None:
    """Else the old one is counted as the first, and is taken out while the provider still signs with it."""
    refused = await desk.connect(SECRET, NEW_SECRET)
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:punchcard:problem:new-secret-first"
    for secrets in [(NEW_SECRET, SECRET), (NEW_SECRET, SECRET), (SECRET, NEW_SECRET), (NEW_SECRET,), (SECRET,)]:
        assert (await desk.connect(*secrets)).status_code == 200
