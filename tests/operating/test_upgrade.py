"""The version before and this one run side by side for a while, on one database and one queue (fault 44).

What is allowed in one step is told in `docs/runbooks/upgrade.md`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from services.billing.main import service as billing
from shared.database import Database, Db
from shared.events import TYPES, Envelope
from shared.events.catalog import BusinessChanged
from shared.events.packages import PackageSold
from shared.handlers import Handlers
from shared.ids import new_id
from shared.inbox import Consumer
from shared.migrations import config, migrate
from tests.harness.databases import Databases
from tests.harness.room import envelope
from tests.harness.terms import sold
from tests.harness.upgrade import older

pytestmark = pytest.mark.servers

STILL_RUNNING = {
    "catalog": "catalog_0002",
    "packages": "packages_0003",
    "booking": "booking_0001",
    "billing": "billing_0003",
    "directdebit": "directdebit_0002",
    "notify": "notify_0002",
}
"""The version of each service's tables that an old replica may still expect.

Whoever takes away what it uses moves this on, in a version after the one that used it last.
"""
PLUMBING_STILL_RUNNING = "plumbing_0002"
ROLLING = [
    service
    for service, version in STILL_RUNNING.items()
    if version not in ScriptDirectory.from_config(config(service)).get_heads()
] or ["booking"]
"""Those whose tables have a newer version; of the others, one that shows the plumbing."""
COLUMNS = text(
    "select table_name, column_name, data_type, is_nullable = 'YES' as empty, column_default is not null as given"
    " from information_schema.columns where table_schema = 'public' and table_name <> 'alembic_version'"
)


async def _columns(connection: AsyncConnection) -> dict[tuple[str, str], Any]:
    return {(row.table_name, row.column_name): row for row in await connection.execute(COLUMNS)}


@pytest.mark.parametrize("service", ROLLING)
async def test_an_old_replica_finds_every_column_and_need_fill_no_new_one(
    service: str, postgres_url: str, worker: str
) -> None:
    async with older(STILL_RUNNING[service], postgres_url, f"{worker}_roll") as before:
        async with before.engine.begin() as connection:
            await connection.run_sync(_reach, service, PLUMBING_STILL_RUNNING)
            old = await _columns(connection)
        await before.upgrade()
        async with before.engine.begin() as connection:
            new = await _columns(connection)
    assert old.keys() - new.keys() == set(), "gone"
    assert [key for key, was in old.items() if new[key].data_type != was.data_type] == []
    assert [key for key, was in old.items() if was.empty and not new[key].empty] == [], "must be filled now"
    tables = {table for table, _ in old}
    added = [(key, new[key]) for key in new.keys() - old.keys() if key[0] in tables]
    assert [key for key, column in added if not (column.empty or column.given)] == [], (
        "an old replica does not fill them"
    )


def _reach(connection: Connection, service: str, version: str) -> None:
    alembic = config(service)
    alembic.attributes["connection"] = connection
    command.upgrade(alembic, version)


TELL = (
    "insert into outbox (event_id, business_id, type, subject, envelope)"
    " values (gen_random_uuid(), :business, 'x.y.v1', 'z', '{}')"
)
MOVE = (
    "with sent as (delete from outbox where id = any(select id from outbox) returning *)"
    " insert into event_log (event_id, business_id, type, subject, envelope)"
    " select event_id, business_id, type, subject, envelope from sent on conflict (event_id) do nothing"
)
REPLAY = (
    "insert into outbox (event_id, business_id, type, subject, envelope)"
    " select event_id, business_id, type, subject, envelope from event_log"
    " where published_at > now() - interval '2 hours' order by published_at, event_id"
)
READ = "select id, type, subject, envelope from outbox order by id limit 500"
LETTER = (
    "insert into messages (message_id, business_id, key, recipient, channel, address, subject, body, state, reason)"
    " select id, :business, id::text, 'business', 'email', null, 's', 'b', 'skipped', 'x' from gen_random_uuid() id"
)
CLIENT = (
    "insert into clients (client_id, business_id, sequence, name, email)"
    " values (gen_random_uuid(), :business, 1, 'Ana', null)"
)


async def test_an_old_replica_goes_on_while_the_database_is_migrated_under_it(postgres_url: str, worker: str) -> None:
    """The statements of the version before, on one open connection, before and after."""
    async with older("notify_0002", postgres_url, f"{worker}_under") as before:
        async with before.engine.begin() as connection:
            await connection.run_sync(_reach, "notify", PLUMBING_STILL_RUNNING)
        async with before.engine.connect() as replica:
            for after in (False, True):
                for statement in (TELL, MOVE, REPLAY, READ, LETTER, CLIENT):
                    async with replica.begin():
                        enter = text("select set_config('punchcard.business', :business, true)")
                        await replica.execute(enter, {"business": str(before.business_id)})
                        given = {"business": before.business_id} if ":business" in statement else {}
                        await replica.execute(text(statement), given)
                if not after:
                    await before.upgrade()
        async with before.inside() as connection:
            counts = "select (select count(*) from messages), (select count(*) from clients where not erased)"
            assert tuple((await connection.execute(text(counts))).one()) == (2, 2)


@asynccontextmanager
async def _billing(databases: Databases) -> AsyncIterator[Database]:
    await databases.make("billing")
    await migrate("billing", databases.url("billing"))
    database = Database(databases.url("billing"))
    yield database
    await database.close()


async def test_a_fact_that_grew_is_heard_and_one_of_a_type_to_come_waits_for_who_knows_it(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    business_id, on, second = new_id(), date(2022, 9, 9), "packages.sold.v2"
    profile = BusinessChanged(
        business_id=business_id, sequence=1, name="Studio", zone="UTC", currency="AUD", email="desk@studio.example"
    )
    fact = sold(new_id())
    grown = envelope(fact, business_id, on).raw
    grown = grown | {"tenant": "x", "data": grown["data"] | {"gift_for": "Bo"}}
    beside = grown | {"type": second, "id": str(new_id())}
    heard: list[PackageSold] = []

    async def hear_second(_: Db, event: PackageSold) -> None:
        heard.append(event)

    newer = Handlers()
    newer.by_type = billing.handles.by_type | {second: hear_second}
    failed = text("select type, next_attempt_at is not null as waits from inbox_failed where business_id = :id")
    async with _billing(databases) as database:
        old, new = Consumer("billing", database, billing.handles), Consumer("billing", database, newer)
        await old.process([envelope(profile, business_id, on), Envelope.parse(grown), Envelope.parse(beside)])
        async with database.engine.connect() as connection:
            rows = (await connection.execute(failed, {"id": business_id})).all()
            assert [tuple(row) for row in rows] == [(second, True)], "the first is billed, the second is not lost"
        monkeypatch.setitem(TYPES, second, PackageSold)
        async with database.engine.begin() as connection:
            due = text("update inbox_failed set next_attempt_at = now() where business_id = :id")
            await connection.execute(due, {"id": business_id})
        while not heard and await new.retry_due():
            pass  # what other tests have left in this database may be due first
        assert [each.package_id for each in heard] == [fact.package_id]
        async with database.engine.connect() as connection:
            assert (await connection.execute(failed, {"id": business_id})).all() == []
