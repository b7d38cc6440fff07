"""Directdebit's doors on PostgreSQL, with the practice bank as the judge of what was debited."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.directdebit import workers
from services.directdebit.bank import Absent, Account
from services.directdebit.bank.gocardless import GoCardless
from shared.events.catalog import ClientChanged
from shared.events.directdebit import DebitDeclined, DebitEvent, DebitSettled, DebitSubmitted
from shared.ids import new_id
from shared.settings import Settings
from tests.directdebit.conftest import OLD_SECRET, SECRET, Desk

pytestmark = pytest.mark.servers


async def facts_of(desk: Desk, debit: dict[str, Any]) -> list[DebitEvent]:
    facts = await desk.room.facts(desk.business_id, DebitSubmitted, DebitSettled, DebitDeclined)
    return [fact for fact in facts if isinstance(fact, DebitEvent) and str(fact.debit_id) == debit["debit_id"]]


async def decided_by(desk: Desk, move: str, **why: str) -> tuple[Any, dict[str, Any], list[bytes]]:
    """A debit that the bank has, a move of the bank, and the callbacks about it."""
    await desk.record(desk.provider.mandate())
    wish, debit = await desk.sent()
    desk.provider.decide(debit["provider_ref"], move, **why)
    return wish, debit, desk.provider.callbacks(debit["provider_ref"])


# Mandates


async def test_a_mandate_shows_only_the_ending_and_replaces_the_one_before(desk: Desk) -> None:
    first = (await desk.record(desk.provider.mandate())).json()
    second = await desk.record(desk.provider.mandate(), account_ending="1234")
    assert second.status_code == 201
    listed = (await desk.get("mandates", payer_id=desk.payer_id))["items"]
    assert [(each["mandate_id"], each["state"]) for each in listed] == [
        (first["mandate_id"], "replaced"),
        (second.json()["mandate_id"], "active"),
    ]
    assert second.json()["account_ending"] == "1234"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_ending", "1"),
        ("account_ending", "12345"),
        ("account_ending", "١٢"),
        ("provider_mandate", "082-082 012345678"),
        ("account_number", "012345678"),
        ("payer_id", "Ana"),
    ],
)
async def test_nothing_more_of_an_account_gets_in(desk: Desk, field: str, value: str) -> None:
    answer = await desk.record("MD123", **{field: value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert value not in answer.text


async def test_an_unknown_payer_gets_no_mandate(desk: Desk) -> None:
    assert (await desk.record("MD123", payer_id=str(new_id()))).status_code == 409


async def test_one_mandate_of_the_provider_belongs_to_one_payer(desk: Desk) -> None:
    mandate = desk.provider.mandate()
    await desk.record(mandate)
    assert (await desk.record(mandate, account_ending="99")).status_code == 201
    other = Desk(desk.room, desk.provider, desk.business_id, new_id(), desk.owner)
    await desk.room.hear(
        desk.business_id, ClientChanged(client_id=other.payer_id, sequence=1, name="Bo", email=None, active=True)
    )
    answer = await other.record(mandate)
    assert (answer.status_code, answer.json()["field"]) == (422, "provider_mandate")


async def test_a_client_sees_their_own_mandates_and_records_none(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    for client_id, count in ((desk.payer_id, 1), (new_id(), 0)):
        async with desk.room.http(desk.room.issuer.client(desk.business_id, client_id)) as http:
            listed = await http.get("mandates", params={"payer_id": str(desk.payer_id)})
            refused = await http.post("mandates", json={})
        assert len(listed.json()["items"]) == count
        assert refused.status_code == 403


# Collecting


async def test_a_collection_is_debited_at_once_and_told(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    _, debit = await desk.sent()
    (payment,) = desk.provider.payments(debit)
    assert (payment["id"], payment["amount"], payment["currency"]) == (debit["provider_ref"], 30000, "AUD")
    assert payment["idempotency_key"] == debit["debit_id"]
    (fact,) = await facts_of(desk, debit)
    assert isinstance(fact, DebitSubmitted)
    assert (fact.sequence, fact.items[0].in_flight_minor, fact.items[0].attempt_no) == (1, 30000, 1)


async def test_without_a_mandate_it_waits_visibly_and_goes_out_with_one(desk: Desk) -> None:
    wishes = [desk.wish(), desk.wish()]
    await desk.hear(*wishes)
    waiting = (await desk.get("collections", waiting=True))["items"]
    assert {each["instalment_id"] for each in waiting} == {str(wish.instalment_id) for wish in wishes}
    assert [each["remaining_minor"] for each in waiting] == [30000, 30000]
    await desk.record(desk.provider.mandate())
    for wish in wishes:
        await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert (await desk.get("collections", waiting=True))["items"] == []


async def test_the_newest_version_wins_in_every_order(desk: Desk) -> None:
    wish = desk.wish()
    versions = [wish.model_copy(update={"version": n, "target_minor": n * 100}) for n in (1, 2, 3)]
    for order in itertools.permutations(versions):
        instalment_id = new_id()
        await desk.hear(*(each.model_copy(update={"instalment_id": instalment_id}) for each in order))
        async with desk.room.inside(desk.business_id) as db:
            row = text("select version, target_minor from collections where instalment_id = :id")
            assert tuple((await db.execute(row, {"id": instalment_id})).one()) == (3, 300)


async def test_the_same_wish_many_times_at_once_is_one_debit(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish = desk.wish()
    await asyncio.gather(*(desk.hear(wish, wish) for _ in range(8)))
    debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert len(await desk.debits(wish)) == 1
    assert len(desk.provider.payments(debit)) == 1


async def test_a_mandate_and_a_wish_at_once_always_meet(desk: Desk) -> None:
    for _ in range(5):
        wish, mandate = desk.wish(), desk.provider.mandate()
        await asyncio.gather(desk.hear(wish), desk.record(mandate))
        await desk.until(wish, lambda debit: debit["state"] == "submitted")


async def test_the_database_refuses_a_second_live_item(desk: Desk) -> None:
    await desk.record(desk.provider.mandate())
    wish, debit = await desk.sent()
    copy = text(
        "insert into debits select (jsonb_populate_record(d, jsonb_build_object('debit_id', cast(:new as text),"
        " 'provider_ref', null, 'state', 'created'))).* from debits d where debit_id = :old"
    )
    item = text(
        "insert into debit_items select"
        " (jsonb_populate_record(i, jsonb_build_object('debit_id', cast(:new as text)))).*"
        " from debit_items i where debit_id = :old"
    )
    with pytest.raises(IntegrityError, match="one_live_item"):
        async with desk.room.inside(desk.business_id) as db:
            for statement in (copy, item):
                await db.execute(statement, {"new": str(new_id()), "old": debit["debit_id"]})
    assert len(await desk.debits(wish)) == 1


# Sending


async def test_a_debit_that_the_provider_refuses_is_told_and_waits(desk: Desk) -> None:
    await desk.record("MD0NOSUCHMANDATE")
    wish = desk.wish()
    await desk.hear(wish)
    debit = await desk.until(wish, lambda debit: debit["state"] == "refused")
    assert desk.provider.payments(debit) == []
    (fact,) = await facts_of(desk, debit)
    assert isinstance(fact, DebitDeclined)
    assert (fact.reason_class, fact.code, fact.items[0].in_flight_minor) == ("hard", "mandate", 0)
    await desk.record(desk.provider.mandate())
    again = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert again["items"][0]["attempt_no"] == 2


class Faulty(httpx.AsyncHTTPTransport):
    """The way to the bank, with a fault at the first payments asked for."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__()
        self.faults = faults
        self.bodies: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        fault = self.faults.pop(0) if request.method == "POST" and self.faults else ""
        if request.method == "POST":
            self.bodies.append(request.content)
        if fault == "lost on the way":
            raise httpx.ConnectTimeout("lost", request=request)
        answer = await super().handle_async_request(request)
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


@pytest.mark.parametrize("fault", ["lost on the way", "answer lost", "500 and done"])
async def test_a_debit_in_doubt_is_asked_again_and_made_once(desk: Desk, faulty: Faulty, fault: str) -> None:
    faulty.faults = [fault]
    await desk.record(desk.provider.mandate())
    wish = desk.wish()
    await desk.hear(wish)
    await desk.until(wish, lambda debit: debit["state"] == "unknown")
    assert await desk.room.facts(desk.business_id, DebitEvent) == []
    await desk.hear(wish.model_copy(update={"version": 2, "target_minor": 100}))
    debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert len(await desk.debits(wish)) == 1
    assert [payment["id"] for payment in desk.provider.payments(debit)] == [debit["provider_ref"]]
    assert len(set(faulty.bodies)) == 1


async def test_the_same_key_makes_one_payment_though_the_look_up_finds_none(
    desk: Desk, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.faults = ["answer lost"]

    async def blind(*_: Any) -> Absent:
        return Absent()

    monkeypatch.setattr(GoCardless, "look_up", blind)
    await desk.record(desk.provider.mandate())
    wish = desk.wish()
    await desk.hear(wish)
    debit = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert [payment["id"] for payment in desk.provider.payments(debit)] == [debit["provider_ref"]]
    assert len(faulty.bodies) == 2


# Callbacks


async def test_a_settled_debit_is_told_once_however_often_the_callback_comes(desk: Desk) -> None:
    wish, debit, callbacks = await decided_by(desk, "settle")
    answers = await asyncio.gather(*(desk.call_back(body) for body in callbacks for _ in range(8)))
    assert {answer.status_code for answer in answers} == {204}
    await desk.until(wish, lambda debit: debit["state"] == "settled")
    told = await facts_of(desk, debit)
    assert [(type(fact), fact.sequence) for fact in told] == [(DebitSubmitted, 1), (DebitSettled, 2)]
    assert told[-1].items[0].collected_minor == 30000
    assert [fact["action"] for fact in await desk.told(debit)] == ["submitted", "confirmed"]


async def test_a_decline_frees_the_instalment_and_nothing_is_tried_again(desk: Desk) -> None:
    wish, _, callbacks = await decided_by(desk, "decline")
    for body in callbacks:
        await desk.call_back(body)
    declined = await desk.until(wish, lambda debit: debit["state"] == "declined")
    assert (declined["code"], declined["reason_class"]) == ("insufficient_funds", "soft")
    await desk.hear(wish.model_copy(update={"version": 2}))
    assert len(await desk.debits(wish)) == 1
    assert len((await desk.get("collections", waiting=True))["items"]) == 1
    assert (await desk.get("mandates"))["items"][-1]["state"] == "active"


async def test_a_reason_that_never_passes_ends_the_mandate_and_a_new_one_collects(desk: Desk) -> None:
    wish, _, callbacks = await decided_by(desk, "decline", cause="bank_account_closed")
    for body in callbacks:
        await desk.call_back(body)
    await desk.until(wish, lambda debit: debit["state"] == "declined")
    assert (await desk.get("mandates"))["items"][-1]["state"] == "cancelled"
    await desk.record(desk.provider.mandate())
    again = await desk.until(wish, lambda debit: debit["state"] == "submitted")
    assert again["items"][0]["attempt_no"] == 2


async def test_money_taken_back_after_it_was_settled_waits_for_a_person(desk: Desk) -> None:
    wish, debit, _ = await decided_by(desk, "settle")
    desk.provider.decide(debit["provider_ref"], "late_failure")
    callbacks = desk.provider.callbacks(debit["provider_ref"])
    random.shuffle(callbacks)
    for body in callbacks:
        await desk.call_back(body)
    seen = await desk.until(wish, lambda debit: debit["review"] == "returned_by_bank")
    assert seen["state"] == "in_review"
    await desk.record(desk.provider.mandate())
    assert len(await desk.debits(wish)) == 1
    assert [each["debit_id"] for each in (await desk.get("debits", state="in_review"))["items"]] == [debit["debit_id"]]


async def test_a_callback_that_overtakes_the_answer_identifies_the_debit(desk: Desk, faulty: Faulty) -> None:
    faulty.faults = ["answer lost"] + ["lost on the way"] * 50
    await desk.record(desk.provider.mandate("settle"))
    wish = desk.wish()
    await desk.hear(wish)
    debit = await desk.until(wish, lambda debit: debit["state"] == "unknown")
    (payment,) = desk.provider.payments(debit)
    for body in desk.provider.callbacks(payment["id"]):
        await desk.call_back(body)
    settled = await desk.until(wish, lambda debit: debit["state"] == "settled")
    assert settled["provider_ref"] == payment["id"]
    assert [type(fact) for fact in await facts_of(desk, debit)][-1] is DebitSettled


async def test_facts_that_name_only_the_payment_wait_until_it_is_known(desk: Desk, faulty: Faulty) -> None:
    faulty.faults = ["answer lost"]
    await desk.record(desk.provider.mandate("settle"))
    wish = desk.wish()
    await desk.hear(wish)
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
async def test_an_unsigned_callback_is_refused_without_a_hint(desk: Desk, header: str) -> None:
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


async def test_each_secret_that_is_live_is_taken(desk: Desk) -> None:
    assert (await desk.call_back(b'{"events": []}', secret=OLD_SECRET)).status_code == 204
    assert (await desk.call_back(b'{"events": []}', secret="a secret of last year")).status_code == 498


@pytest.mark.parametrize("body", [b"not json", b'{"events": [NaN]}', b"[" * 10_000, b'{"a": 1, "a": 2}', b"\xff"])
async def test_a_signed_callback_that_cannot_be_read_is_kept_as_poison(desk: Desk, body: bytes) -> None:
    for _ in range(2):
        assert (await desk.call_back(body)).status_code == 204
    assert await counts(desk) == (1, 0)
    async with desk.room.inside(desk.business_id) as db:
        kept, trouble = (await db.execute(text("select body, trouble from deliveries"))).one()
    assert (kept, bool(trouble)) == (body, True)


async def test_a_callback_for_no_business_is_refused_like_one_that_is_not_signed(desk: Desk) -> None:
    stranger = Desk(desk.room, desk.provider, new_id(), desk.payer_id, desk.owner)
    assert (await stranger.call_back(b'{"events": []}')).status_code == 498


async def test_a_callback_is_read_no_further_than_two_mebibytes(desk: Desk) -> None:
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


async def test_another_business_gets_nothing_from_a_callback_about_our_debit(desk: Desk) -> None:
    wish, debit, callbacks = await decided_by(desk, "settle")
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


async def test_news_that_we_do_not_understand_is_stored_and_changes_nothing(desk: Desk) -> None:
    _, debit, (submitted, *_) = await decided_by(desk, "settle")
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
    wish, _, callbacks = await decided_by(desk, "settle")
    for body in callbacks:
        await desk.call_back(body)
    await desk.until(wish, lambda debit: debit["state"] == "settled")
    async with desk.room.inside(desk.business_id) as db:
        await db.execute(text(spoil))
        assert list(await db.execute(text(desk.room.running.service.invariants[invariant])))
        await db.rollback()


async def test_a_providers_token_and_secrets_lie_sealed_and_are_never_shown(desk: Desk) -> None:
    async with desk.room.inside(desk.business_id) as db:
        (row,) = (await db.execute(text("select * from provider_accounts"))).all()
    assert desk.provider.token.encode() not in bytes(row.access_token)
    assert SECRET.encode() not in bytes(row.callback_secrets)
    async with desk.room.http(desk.owner) as http:
        answer = await http.put("provider", json={"access_token": desk.provider.token, "callback_secrets": ["short"]})
    assert answer.status_code == 422
    assert desk.provider.token not in answer.text
    assert "short" not in answer.text.replace("too short", "")


async def test_without_a_provider_no_mandate_is_recorded(desk: Desk) -> None:
    other = await desk.room.business()
    elsewhere = Desk(desk.room, desk.provider, other, desk.payer_id, desk.room.issuer.staff(other))
    answer = await elsewhere.record("MD123")
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:punchcard:problem:no-provider"
