"""What the provider tells becomes what we know of a debit, however often and in whatever order it tells it."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from shared.events.directdebit import DebitSettled, DebitSubmitted
from shared.ids import new_id
from tests.directdebit.conftest import OLD_SECRET, SECRET, Desk, Faulty

pytestmark = pytest.mark.servers


async def test_case_11_a_settled_debit_is_told_once_however_often_the_callback_comes(desk: Desk) -> None:
    wish, debit, callbacks = await desk.decided("settle")
    answers = await asyncio.gather(*(desk.call_back(body) for body in callbacks for _ in range(8)))
    assert {answer.status_code for answer in answers} == {204}
    await desk.until(wish, lambda debit: debit["state"] == "settled")
    told = await desk.facts(debit)
    assert [(type(fact), fact.sequence) for fact in told] == [(DebitSubmitted, 1), (DebitSettled, 2)]
    assert told[-1].items[0].collected_minor == 30000
    assert [fact["action"] for fact in await desk.told(debit)] == ["submitted", "confirmed"]


async def test_a_reason_that_never_passes_ends_the_mandate_and_a_new_one_collects(desk: Desk) -> None:
    wish, _, callbacks = await desk.decided("decline", cause="bank_account_closed")
    for body in callbacks:
        await desk.call_back(body)
    await desk.until(wish, lambda debit: debit["state"] == "declined")
    assert (await desk.get("mandates"))["items"][-1]["state"] == "cancelled"
    await desk.record(desk.provider.mandate())
    await desk.day(date(2022, 9, 28))
    again = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert again["items"][0]["attempt_no"] == 2


async def test_case_22_a_callback_that_overtakes_the_answer_identifies_the_debit(desk: Desk, faulty: Faulty) -> None:
    faulty.faults = ["answer lost"] + ["lost on the way"] * 50
    await desk.record(desk.provider.mandate("settle"))
    wish = desk.wish()
    await desk.collect(wish)
    debit = await desk.until(wish, lambda debit: debit["state"] == "unknown")
    (payment,) = desk.provider.payments(debit)
    for body in desk.provider.callbacks(payment["id"]):
        await desk.call_back(body)
    settled = await desk.until(wish, lambda debit: debit["state"] == "settled")
    assert settled["provider_ref"] == payment["id"]
    assert [type(fact) for fact in await desk.facts(debit)][-1] is DebitSettled


async def test_case_22_facts_that_name_only_the_payment_wait_until_it_is_known(desk: Desk, faulty: Faulty) -> None:
    faulty.faults = ["answer lost"]
    await desk.record(desk.provider.mandate("settle"))
    wish = desk.wish()
    await desk.collect(wish)
    debit = await desk.until(wish, lambda debit: debit["state"] == "unknown")
    (payment,) = desk.provider.payments(debit)
    for body in desk.provider.callbacks(payment["id"]):
        stripped = json.loads(body)
        del stripped["events"][0]["resource_metadata"]
        await desk.call_back(json.dumps(stripped).encode())
    await desk.until(wish, lambda debit: debit["state"] == "settled")


async def counts(desk: Desk) -> tuple[int, int]:
    async with desk.room.inside(desk.business_id) as db:
        row = await db.execute(text("select (select count(*) from deliveries), (select count(*) from provider_facts)"))
        deliveries, facts = row.one()
        return deliveries, facts


@pytest.mark.parametrize("header", ["", "x", "0" * 64, "é"])
async def test_case_04_an_unsigned_callback_is_refused_without_a_hint(desk: Desk, header: str) -> None:
    async with desk.room.http("") as http:
        path = f"providers/{desk.business_id}/callbacks"
        answers = [
            await http.post(path, content=b"{}", headers=[(b"Webhook-Signature", header.encode())]),
            await http.post(path, content=b"not json"),
            await http.post(f"providers/{new_id()}/callbacks", content=b"{}"),
        ]
    assert {answer.status_code for answer in answers} == {498}
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert len({answer.text for answer in answers}) == 1
    assert await counts(desk) == (0, 0)


async def test_case_05_each_secret_that_is_live_is_taken(desk: Desk) -> None:
    def counted(secret: str) -> float:
        return REGISTRY.get_sample_value("punchcard_callbacks_total", {"secret": secret}) or 0

    for secret, status, number in ((OLD_SECRET, 204, "1"), (SECRET, 204, "2"), ("a secret of last year", 498, "none")):
        before = counted(number)
        assert (await desk.call_back(b'{"events": []}', secret=secret)).status_code == status
        assert counted(number) == before + 1


@pytest.mark.parametrize("body", [b"not json", b'{"events": [NaN]}', b"[" * 10_000, b'{"a": 1, "a": 2}', b"\xff"])
async def test_case_09_a_signed_callback_that_cannot_be_read_is_kept_as_poison(desk: Desk, body: bytes) -> None:
    for _ in range(2):
        assert (await desk.call_back(body)).status_code == 204
    assert await counts(desk) == (1, 0)
    async with desk.room.inside(desk.business_id) as db:
        kept, trouble = (await db.execute(text("select body, trouble from deliveries"))).one()
    assert (kept, bool(trouble)) == (body, True)


async def test_a_callback_for_no_business_is_refused_like_one_that_is_not_signed(desk: Desk) -> None:
    stranger = Desk(desk.room, desk.provider, new_id(), desk.payer_id, desk.owner)
    assert (await stranger.call_back(b'{"events": []}')).status_code == 498


async def test_case_08_a_callback_is_read_no_further_than_two_mebibytes(desk: Desk) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64 * 1024 * 1024:
            sent += 65536
            yield b" " * 65536

    async with desk.room.http("") as http:
        answer = await http.post(f"providers/{desk.business_id}/callbacks", content=endless())
    assert answer.status_code == 413
    assert sent <= 2 * 1024 * 1024 + 2 * 65536
    fits = b'{"events": []}'.ljust(2 * 1024 * 1024)
    assert (await desk.call_back(fits)).status_code == 204
    assert (await desk.call_back(fits + b" ")).status_code == 413


async def test_case_18_another_business_gets_nothing_from_a_callback_about_our_debit(desk: Desk) -> None:
    wish, debit, callbacks = await desk.decided("settle")
    other = await desk.room.business()
    elsewhere = Desk(desk.room, desk.provider, other, desk.payer_id, desk.room.issuer.staff(other))
    await elsewhere.connect()
    for body in callbacks:
        assert (await elsewhere.call_back(body)).status_code == 204
    async with asyncio.timeout(10):
        states: list[str] = []
        while states != ["parked", "parked"]:
            await asyncio.sleep(0.05)
            async with desk.room.inside(other) as db:
                states = list(await db.scalars(text("select state from provider_facts")))
    assert (await desk.debits(wish))[-1]["state"] == "submitted"
    assert await desk.told(debit) == []
    async with desk.room.http(elsewhere.owner) as http:
        assert (await http.get(f"debits/{debit['debit_id']}")).status_code == 404


async def test_case_20_news_that_we_do_not_understand_is_stored_and_changes_nothing(desk: Desk) -> None:
    _, debit, (submitted, *_) = await desk.decided("settle")
    news = json.loads(submitted)
    odd = news["events"][0]
    news["events"] = [odd | {"id": f"EV{new_id()}", **change} for change in ({"action": "x"}, {"resource_type": "y"})]
    assert (await desk.call_back(json.dumps(news).encode())).status_code == 204
    assert await counts(desk) == (1, 2)
    assert await desk.told(debit) == []


async def test_reading_needs_a_permission(desk: Desk) -> None:
    for permission, status in (("debit.process", 200), ("billing.tab.access", 200), ("booking.manage", 403)):
        token = desk.room.issuer.staff(desk.business_id, permissions=[permission])
        async with desk.room.http(token) as http:
            assert (await http.get("debits")).status_code == status
            assert (await http.get("collections")).status_code == status
            assert (await http.get("mandates")).status_code == 403


@pytest.mark.parametrize(
    ("spoil", "invariant"),
    [
        ("update debit_items set live = false", "an item is live and its debit is not, or the other way round"),
        ("update debit_items set amount_minor = 1", "the items of a debit are not its amount"),
        ("update collections set target_minor = 1", "a debit took more than was asked for"),
        ("update debits set state = 'created'", "nobody sends a debit that waits to be sent"),
        (
            "update debits set state = 'unknown', sent_at = now() - interval '2 days'",
            "it is unknown for a day whether the provider has a debit",
        ),
        (
            "update provider_facts set state = 'received', received_at = now() - interval '11 minutes'",
            "a fact of the provider is not folded",
        ),
    ],
)
async def test_an_invariant_turns_red(desk: Desk, spoil: str, invariant: str) -> None:
    wish, _, callbacks = await desk.decided("settle")
    for body in callbacks:
        await desk.call_back(body)
    await desk.until(wish, lambda debit: debit["state"] == "settled")
    async with desk.room.inside(desk.business_id) as db:
        await db.execute(text(spoil))
        assert list(await db.execute(text(desk.room.running.service.invariants[invariant])))
        await db.rollback()
