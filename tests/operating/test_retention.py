"""What is old is removed by the services themselves, and what comes again after that is stopped by its business key."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from deploy.local.running.issuer import Issuer
from services.billing.main import service as billing_service
from services.directdebit.main import service as directdebit_service
from services.notify.main import service as notify_service
from services.packages.main import service as packages_service
from shared import housekeeping
from shared.database import SET_BUSINESS, Database
from shared.events import Event
from shared.events.billing import InvoiceIssued
from shared.events.booking import HoldRequested
from shared.events.catalog import TemplatePublished
from shared.events.packages import SessionHeld
from shared.handlers import Handlers
from shared.housekeeping import (
    IDEMPOTENCY_DAYS,
    INBOX_DAYS,
    LOG_DAYS,
    RECORD_DAYS,
    Claimed,
    claim,
    finish,
    forget,
    keep_house,
    purge,
    sent_again,
)
from shared.ids import new_id
from shared.migrations import migrate
from tests.conftest import Rooms
from tests.harness.databases import Databases
from tests.harness.room import Room, envelope
from tests.harness.terms import sold, terms
from tests.operating.hand import hand
from tests.shared.listening import listening
from tests.shared.pair import query, service, until

pytestmark = pytest.mark.servers

DAYS = {"idempotency": IDEMPOTENCY_DAYS, "event_log": LOG_DAYS, "inbox": INBOX_DAYS}
OLD_ROWS = (
    "with day as (select gen_random_uuid() as id, now() - d * interval '1 day' as at from generate_series(1, 45) d),"
    " keys as (insert into idempotency (business_id, subject, key, fingerprint, made_id, created_at)"
    "  select id, 'kim', 'key', 'print', id, at from day),"
    " log as (insert into event_log (event_id, business_id, type, subject, envelope, published_at)"
    "  select id, id, 'type', 'subject', 'envelope', at from day)"
    " insert into inbox (event_id, handled_at) select id, at from day"
)


@pytest.fixture
async def old(databases: Databases) -> AsyncIterator[Database]:
    """A database with a row of each kind for each of the last 45 days."""
    async with listening(databases) as listener:
        await query(listener.database, "truncate idempotency, event_log, inbox, chores")
        await query(listener.database, OLD_ROWS)
        yield listener.database


def test_an_event_is_known_for_longer_than_it_can_be_sent_again() -> None:
    assert INBOX_DAYS > LOG_DAYS > IDEMPOTENCY_DAYS


async def test_what_is_past_its_time_is_removed_in_chunks(
    old: Database, databases: Databases, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "AT_ONCE", 2)
    do = hand({"inbox": service("inbox", Handlers())}, {"inbox": databases.url("inbox")}, issuer)
    assert await do("purge") == "inbox: 39 of idempotency, 11 of event_log, 6 of inbox\n"
    assert await do("purge", "inbox") == "inbox: 0 of idempotency, 0 of event_log, 0 of inbox\n"
    left = [await query(old, f"select count(*) from {table}") for table in DAYS]
    assert [row.count for (row,) in left] == [days - 1 for days in DAYS.values()], "one of each day, up to its last"


async def test_the_inbox_is_searched_by_an_index(old: Database) -> None:
    await query(old, "insert into inbox (event_id) select gen_random_uuid() from generate_series(1, 20000)")
    await query(old, "analyze inbox")
    plan = await query(old, "explain select ctid from inbox where handled_at < now() - interval '40 days' limit 5000")
    assert "ix_inbox_handled_at" in str(plan)


async def test_a_chore_is_done_by_one_process_and_again_when_it_is_due(old: Database) -> None:
    (first,) = [claimed for claimed in await asyncio.gather(*(claim(old, "purge") for _ in range(4))) if claimed]
    assert await _due_in_minutes(old, "purge") == 15, "if the process that has it dies"
    await finish(old, first)
    assert (await claim(old, "purge"), await _due_in_minutes(old, "purge")) == (None, 60)
    await query(old, "update chores set due_at = now()")
    again = await claim(old, "purge")
    assert again is not None
    assert again.done_at == first.begun_at


async def _due_in_minutes(database: Database, chore: str) -> int:
    minutes = "select round(extract(epoch from due_at - now()) / 60)::int as minutes from chores where name = :name"
    (row,) = await query(database, minutes, name=chore)
    due: int = row.minutes
    return due


async def _to_send(database: Database) -> int:
    return len(await query(database, "select id from outbox"))


async def test_what_a_replay_that_came_to_no_end_left_out_is_sent_by_the_next(
    old: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_off(*_: object) -> int:
        raise ConnectionError

    with monkeypatch.context() as broken, pytest.raises(ConnectionError):
        broken.setattr(housekeeping, "replay", break_off)
        await keep_house("inbox", old, {})
    assert await _due_in_minutes(old, "replay") == 15
    await query(old, "update event_log set published_at = published_at - interval '25 hours'")
    await query(old, "update chores set due_at = now(), done_at = done_at - interval '25 hours'")
    keeping = asyncio.create_task(keep_house("inbox", old, {}))
    await until(lambda: _to_send(old), 1)
    await until(lambda: _due_in_minutes(old, "replay"), 24 * 60)
    keeping.cancel()
    await asyncio.wait([keeping])


@pytest.mark.parametrize(("days_ago", "hours"), [(1, 26), (3, 74), (400, LOG_DAYS * 24)])
def test_the_daily_replay_reaches_back_behind_the_last_that_came_to_an_end(days_ago: int, hours: int) -> None:
    now = datetime(2022, 9, 9, tzinfo=UTC)
    assert sent_again(Claimed("replay", now, now - timedelta(days=days_ago))) == timedelta(hours=hours)


async def test_a_service_keeps_house_by_itself(old: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "POLL_SECONDS", 0.05)

    async def left() -> int:
        return len(await query(old, "select event_id from event_log"))

    keeping = asyncio.create_task(keep_house("inbox", old, {}))
    await until(left, LOG_DAYS - 1)
    await until(lambda: _to_send(old), 1)
    await until(lambda: _due_in_minutes(old, "replay"), 24 * 60)
    await query(old, "update chores set due_at = now(), done_at = now() - interval '1 day' where name = 'replay'")
    await until(lambda: _to_send(old), 2)
    keeping.cancel()
    await asyncio.wait([keeping])


async def _again_after_the_inbox_forgot(room: Room, business_id: UUID, *facts: Event) -> None:
    """Handle facts; 41 days later handle them once more, under their ids, as a replay of an old log brings them."""
    on = date(2022, 9, 9)
    brought = [envelope(fact, business_id, on) for fact in facts]
    await room.consumer.process(brought)
    database = room.running.database
    await query(database, "update inbox set handled_at = now() - interval '41 days'")
    assert (await purge(database))["inbox"] >= len(facts)
    await room.consumer.process(brought)


async def test_fault_46_a_sale_that_the_inbox_forgot_is_not_billed_again(rooms: Rooms) -> None:
    room = await rooms(billing_service)
    business_id = await room.business()
    sale = sold(new_id())
    await _again_after_the_inbox_forgot(room, business_id, sale)
    issued = [fact for fact in await room.facts(business_id, InvoiceIssued) if isinstance(fact, InvoiceIssued)]
    assert [fact.package_id for fact in issued] == [sale.package_id]
    assert await room.violations(business_id) == {}


async def test_fault_46_a_hold_that_the_inbox_forgot_is_not_taken_again(rooms: Rooms) -> None:
    room = await rooms(packages_service)
    business_id = await room.business(test_now=datetime(2022, 9, 9, tzinfo=UTC))
    client_id, staff_id, service_id = await room.introduce(business_id)
    template = TemplatePublished(template_id=new_id(), version=1, active=True, terms=terms(service_ids=[service_id]))
    await room.hear(business_id, template)
    async with room.http(room.issuer.staff(business_id)) as http:
        order = {"client_id": str(client_id), "template_id": str(template.template_id)}
        package_id = (await http.post("packages", json=order)).json()["package_id"]
        ask = HoldRequested(
            booking_id=new_id(),
            sequence=1,
            client_id=client_id,
            package_id=package_id,
            service_id=service_id,
            practitioner_id=staff_id,
            starts_at=datetime(2022, 9, 10, tzinfo=UTC),
            session_date=date(2022, 9, 10),
            decide_by=datetime(2022, 9, 9, tzinfo=UTC),
            by_staff=False,
        )
        await _again_after_the_inbox_forgot(room, business_id, ask)
        shown = (await http.get(f"packages/{package_id}")).json()
    assert (shown["available"], shown["held"]) == (9, 1)
    assert len(await room.facts(business_id, SessionHeld)) >= 1
    assert await room.violations(business_id) == {}


CALLBACK = (
    "insert into deliveries (delivery_id, business_id, sha256, body, trouble, business_date, received_at)"
    " values (:delivery, :business, :digest, 'bytes', :trouble, '2021-01-01', now() - make_interval(days => :days))"
)
FACT = (
    "insert into provider_facts (fact_id, business_id, delivery_id, event_id, resource, action, ends_mandate,"
    " occurred_at, business_date, state)"
    " values (:delivery, :business, :delivery, :event, 'payments', 'confirmed', false, now(), '2021-01-01', :state)"
)


async def test_a_raw_callback_is_forgotten_after_a_long_time_and_its_facts_and_its_digest_stay(
    databases: Databases,
) -> None:
    await databases.make("directdebit")
    await migrate("directdebit", databases.url("directdebit"))
    database, (one, two) = Database(databases.url("directdebit")), sorted(new_id() for _ in range(2))
    business = "insert into business values (:id, 1, 'Studio', 'UTC', 'AUD', 'desk@studio.example')"
    kinds = {
        "understood": (RECORD_DAYS + 1, "folded", None),
        "young": (RECORD_DAYS - 1, "folded", None),
        "not understood": (RECORD_DAYS + 1, "folded", "not JSON"),
        "waiting": (RECORD_DAYS + 1, "parked", None),
    }
    for business_id in (one, two):
        await query(database, business, id=business_id)
        for name, (days, state, trouble) in kinds.items():
            row = {"delivery": new_id(), "business": business_id}
            async with database.transaction() as db:
                await db.execute(SET_BUSINESS, {"id": str(business_id)})
                delivery = {"digest": name.encode(), "trouble": trouble, "days": days}
                await db.execute(text(CALLBACK), row | delivery)
                await db.execute(text(FACT), row | {"event": name, "state": state})
    assert await forget(database, directdebit_service.forgets) == {"raw callbacks": 2}
    assert await forget(database, directdebit_service.forgets) == {"raw callbacks": 0}
    async with database.transaction() as db:
        await db.execute(SET_BUSINESS, {"id": str(two)})
        left = await db.execute(text("select convert_from(sha256, 'UTF8') name, body from deliveries"))
        assert {row.name: bytes(row.body) for row in left} == {
            name: b"" if name == "understood" else b"bytes" for name in kinds
        }
        assert await db.scalar(text("select count(*) from provider_facts")) == len(kinds)
    await database.close()


async def test_what_a_message_said_is_forgotten_and_it_is_not_told_again(rooms: Rooms) -> None:
    room = await rooms(notify_service, smtp_url="smtp://127.0.0.1:9")
    business_id = await room.business()
    client_id, *_ = await room.introduce(business_id)
    told = sold(client_id)
    await room.hear(business_id, told)
    async with room.inside(business_id) as db:
        await db.execute(text("update messages set written_at = now() - interval '401 days'"))
        before = await db.scalar(text("select count(*) from messages"))
    await forget(room.running.database, notify_service.forgets)
    await room.hear(business_id, told)
    async with room.inside(business_id) as db:
        assert before == 1
        assert [row.body for row in await db.execute(text("select body from messages"))] == [""]
