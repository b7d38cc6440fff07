"""Callbacks are the provider's when the very bytes are signed; samples of the provider's own where there are any."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from deploy.practice_bank.courier import signature
from tests.directdebit.conftest import SECRET, Desk

pytestmark = pytest.mark.servers

FOLDER = os.environ.get("THIRD_PARTY_TESTDATA")
needs_testdata = pytest.mark.skipif(
    FOLDER is None, reason="THIRD_PARTY_TESTDATA names no folder with samples of others"
)
SAMPLES = Path(FOLDER or ".") / "directdebit"
ITS_SECRET = "ED7D658C-D8EB-4941-948B-3973214F2D49"
ITS_SIGNATURE = "2693754819d3e32d7e8fcb13c729631f316c6de8dc1cf634d6527f1c07276e7e"

EVENT = {"created_at": "2022-09-27T01:00:00Z", "resource_type": "payments", "action": "confirmed"}
TWO_EVENTS = json.dumps({"events": [{"id": f"EV{n}", **EVENT, "links": {"payment": f"PM{n}"}} for n in (1, 2)]})


async def stored(desk: Desk) -> int:
    async with desk.room.inside(desk.business_id) as db:
        count: int = (await db.execute(text("select count(*) from provider_facts"))).scalar_one()
    return count


async def deliver(desk: Desk, body: bytes, signed: str) -> int:
    return (await desk.call_back(body, **{"Webhook-Signature": signed})).status_code


async def test_case_01_a_signed_callback_is_stored_before_it_is_answered(desk: Desk) -> None:
    body = TWO_EVENTS.encode()
    assert await deliver(desk, body, signature(SECRET, body)) == 204
    assert await stored(desk) == 2
    await desk.room.idle(desk.business_id)


@pytest.mark.parametrize("twin", [TWO_EVENTS + "\n", json.dumps(json.loads(TWO_EVENTS), indent=2)])
async def test_case_02_and_03_other_bytes_are_not_signed(desk: Desk, twin: str) -> None:
    assert await deliver(desk, twin.encode(), signature(SECRET, TWO_EVENTS.encode())) == 498
    assert await stored(desk) == 0


@needs_testdata
async def test_case_01_to_04_with_the_providers_own_samples(desk: Desk) -> None:
    account = {"access_token": desk.provider.token, "callback_secrets": [ITS_SECRET]}
    async with desk.room.http(desk.owner) as http:
        assert (await http.put("provider", json=account)).status_code == 200
    body = (SAMPLES / "gocardless/webhook_body.json").read_bytes()
    pretty = (SAMPLES / "gocardless/webhook_body.pretty.nodejs.json").read_bytes()
    for twin in (body.strip() + b"\n", pretty):
        assert await deliver(desk, twin, ITS_SIGNATURE) == 498
    hostile: list[Any] = json.loads((SAMPLES / "signatures/hostile_headers.json").read_text())["gocardless"]
    assert hostile
    async with desk.room.http("") as http:
        for header in hostile:
            headers = [] if header is None else [(b"Webhook-Signature", str(header).encode())]
            path = f"providers/{desk.business_id}/callbacks"
            answer = await http.post(path, content=body.strip(), headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (498, "application/problem+json"), header
    assert await stored(desk) == 0
    assert await deliver(desk, body.strip(), ITS_SIGNATURE) == 204
    assert await stored(desk) == 2
    await desk.room.idle(desk.business_id)
    await desk.connect()


@pytest.mark.parametrize("secrets", [[], [""], ["short"], [SECRET, ""], [SECRET] * 3, ["\ud800" * 20]])
async def test_case_06_a_weak_secret_is_never_taken(desk: Desk, secrets: list[str]) -> None:
    """Secrets belong to a business and come by its door, which refuses such a one: no endpoint ever has it."""
    async with desk.room.http(desk.owner) as http:
        account = json.dumps({"access_token": desk.provider.token, "callback_secrets": secrets})
        answer = await http.put("provider", content=account, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["field"].split(".")[0]) == (422, "callback_secrets")
    assert await deliver(desk, b"{}", signature("", b"{}")) == 498
