"""A payer is registered with the provider from here: no form is sent, and the account is not kept (CC-20)."""

from hashlib import sha256
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import text

from shared.events.catalog import ERASED_CLIENT, ClientChanged
from shared.ids import new_id
from tests.directdebit.conftest import Desk, Faulty

pytestmark = pytest.mark.servers

NUMBER, BRANCH = "987654321", "082-082"


def details(desk: Desk, **changes: Any) -> dict[str, Any]:
    usual = {"account_holder": "Ana Reyes", "branch_code": BRANCH, "account_number": NUMBER}
    return {"payer_id": str(desk.payer_id)} | usual | changes


async def test_a_registered_payer_is_debited_and_the_account_is_forgotten(desk: Desk) -> None:
    answer = await desk.post("mandates/register", details(desk))
    assert (answer.status_code, answer.json()["state"], answer.json()["account_ending"]) == (201, "active", "21")
    assert answer.json()["provider_mandate"].startswith("MD")
    async with desk.room.http(desk.owner) as http:
        assert (await http.get(f"http://punchcard.test{answer.headers['Location']}")).json() == answer.json()
    async with desk.room.inside(desk.business_id) as db:
        assert await db.scalar(text("select sealed_account from mandates")) is None
    _, debit = await desk.sent()
    (payment,) = desk.provider.payments(debit)
    assert payment["links"]["mandate"] == answer.json()["provider_mandate"]


async def test_while_the_provider_is_away_the_account_lies_sealed(desk: Desk, faulty: Faulty) -> None:
    faulty.faults = ["lost on the way"] * 40
    answer = await desk.post("mandates/register", details(desk))
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    async with desk.room.inside(desk.business_id) as db:
        sealed = await db.scalar(text("select sealed_account from mandates"))
        rows = "".join(map(str, await db.scalars(text("select m::text from mandates m"))))
        work = "".join(map(str, await db.scalars(text("select w::text from work w"))))
    assert NUMBER.encode() not in bytes(sealed)
    assert NUMBER not in rows + work + answer.text
    faulty.faults = []
    async with desk.room.inside(desk.business_id) as db:
        await db.execute(text("update work set due_at = now() where kind = 'register'"))
    await desk.room.idle(desk.business_id)
    assert (await desk.get("mandates"))["items"][-1]["state"] == "active"


async def test_an_erased_payer_is_not_registered_any_more_and_their_account_is_gone(desk: Desk, faulty: Faulty) -> None:
    await desk.post("mandates/register", details(desk))
    faulty.faults = ["lost on the way"] * 40
    await desk.post("mandates/register", details(desk))
    neutral = {"name": ERASED_CLIENT, "email": None, "active": False, "erased": True}
    gone = ClientChanged(client_id=desk.payer_id, sequence=9, **neutral)
    await desk.room.hear(desk.business_id, gone, gone)
    faulty.faults = []
    async with desk.room.inside(desk.business_id) as db:
        await db.execute(text("update work set due_at = now() where kind = 'register'"))
    await desk.room.idle(desk.business_id)
    mandates = (await desk.get("mandates"))["items"]
    assert [(mandate["state"], mandate["account_ending"]) for mandate in mandates] == [
        ("active", "00"),
        ("failed", "00"),
    ]
    async with desk.room.inside(desk.business_id) as db:
        assert await db.scalar(text("select count(*) from mandates where sealed_account is not null")) == 0


async def test_an_answer_that_was_lost_makes_no_second_mandate(desk: Desk, faulty: Faulty) -> None:
    faulty.faults = ["", "", "answer lost"]
    await desk.post("mandates/register", details(desk))
    async with desk.room.inside(desk.business_id) as db:
        await db.execute(text("update work set due_at = now() where kind = 'register'"))
    await desk.room.idle(desk.business_id)
    assert [mandate["state"] for mandate in (await desk.get("mandates"))["items"]] == ["active"]
    _, debit = await desk.sent()
    assert len(desk.provider.payments(debit)) == 1


async def test_a_repeat_is_known_again_by_nothing_from_which_an_account_could_be_guessed(desk: Desk) -> None:
    async with desk.room.http(desk.owner) as http:
        key = {"Idempotency-Key": str(new_id())}
        answers = [await http.post("mandates/register", json=details(desk), headers=key) for _ in range(2)]
        other = await http.post("mandates/register", json=details(desk, account_number="98765432"), headers=key)
    assert answers[0].json()["mandate_id"] == answers[1].json()["mandate_id"]
    assert other.status_code == 422
    async with desk.room.inside(desk.business_id) as db:
        fingerprint = await db.scalar(
            text("select fingerprint from idempotency where key = :key"), {"key": key["Idempotency-Key"]}
        )
    body = orjson.dumps(details(desk), option=orjson.OPT_SORT_KEYS)
    guesses = [
        b"\0".join((b"POST", path, body)) for path in (b"/v1/mandates/register", b"/directdebit/v1/mandates/register")
    ]
    assert fingerprint not in [sha256(guess).hexdigest() for guess in guesses]


@pytest.mark.parametrize(
    ("field", "value"),
    [("account_number", "1234"), ("account_number", "12345678x"), ("branch_code", "08"), ("account_holder", "")],
)
async def test_what_is_no_account_is_refused_and_not_quoted(desk: Desk, field: str, value: str) -> None:
    answer = await desk.post("mandates/register", details(desk, **{field: value}))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert NUMBER not in answer.text
    assert not value or f'"{value}"' not in answer.text


async def test_the_mandate_before_stays_until_the_new_one_is_there(desk: Desk, faulty: Faulty) -> None:
    await desk.record(desk.provider.mandate())
    faulty.faults = ["lost on the way"] * 40
    await desk.post("mandates/register", details(desk))
    states = [mandate["state"] for mandate in (await desk.get("mandates"))["items"]]
    assert states == ["active", "pending"]
    faulty.faults = []
    async with desk.room.inside(desk.business_id) as db:
        await db.execute(text("update work set due_at = now() where kind = 'register'"))
    await desk.room.idle(desk.business_id)
    assert [mandate["state"] for mandate in (await desk.get("mandates"))["items"]] == ["replaced", "active"]


async def test_a_client_registers_their_own_account_and_nobody_elses(desk: Desk) -> None:
    async with desk.room.http(desk.room.issuer.client(desk.business_id, desk.payer_id)) as http:
        own = await http.post("mandates/register", json=details(desk))
        assert own.status_code == 201
        other: httpx.Response = await http.post("mandates/register", json=details(desk, payer_id=str(new_id())))
        assert other.status_code == 404
