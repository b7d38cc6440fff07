"""Connections to the database: given back when nobody needs them, replaced when closed; and who waits is woken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date

import pytest
from sqlalchemy import text

from shared import database as module
from shared.database import Context, Database
from shared.ids import new_id
from shared.migrations import migrate
from shared.outbox import publish
from tests.harness.databases import Databases
from tests.shared.pair import BellRang

pytestmark = pytest.mark.servers

AT_ONCE = 4
OTHERS = "select {} from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"


@asynccontextmanager
async def used(databases: Databases) -> AsyncIterator[tuple[Database, Database]]:
    """A database of which several connections were in use at once; and another way to it, which has one."""
    await databases.make("teller")
    database, other = Database(databases.url("teller")), Database(databases.url("teller"))
    together = asyncio.Barrier(AT_ONCE)

    async def use() -> None:
        async with database.transaction() as db:
            await db.execute(text("select 1"))
            await together.wait()

    try:
        await asyncio.gather(*(use() for _ in range(AT_ONCE)))
        yield database, other
    finally:
        await database.close()
        await other.close()


async def others(database: Database) -> int:
    async with database.transaction() as db:
        return int(await db.scalar(text(OTHERS.format("count(*)"))) or 0)


async def test_connections_that_nobody_needs_are_given_back(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 1)
    async with used(databases) as (_, other), asyncio.timeout(10):
        assert await others(other) == AT_ONCE
        while await others(other):  # noqa: ASYNC110 — only the server knows
            await asyncio.sleep(0.05)


async def test_connections_that_were_closed_are_replaced_before_anybody_notices(databases: Databases) -> None:
    async with used(databases) as (database, other):
        async with other.transaction() as db:
            await db.execute(text(OTHERS.format("pg_terminate_backend(pid)")))
        while await others(other):  # noqa: ASYNC110 — only the server knows
            await asyncio.sleep(0.05)
        for _ in range(AT_ONCE):
            async with database.transaction() as db:
                assert await db.scalar(text("select 1")) == 1


async def test_a_connection_that_may_be_closed_at_any_moment_is_not_given_out(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server closes it while it is being taken: who was given it would fail."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 2)
    async with used(databases) as (database, _):
        seen = set()
        for pause in (0.0, 0.0, 1.1):
            await asyncio.sleep(pause)
            async with database.transaction() as db:
                seen.add(await db.scalar(text("select pg_backend_pid()")))
        assert len(seen) == 2


async def test_the_server_finds_out_that_a_machine_is_gone(databases: Databases) -> None:
    """One that vanishes in the middle of several statements is in none of them, and no other limit ends its locks."""
    async with used(databases) as (database, _), database.transaction() as db:
        for name, seconds in module.PRESENCE.items():
            assert await db.scalar(text(f"show {name}")) == seconds


async def test_who_waits_for_a_fact_is_woken_by_its_commit_and_not_by_another(databases: Databases) -> None:
    await databases.make("booking")
    await migrate("booking", databases.url("booking"))
    database = Database(databases.url("booking"))
    backstage = Database(databases.url("booking"), beside=database)
    ours, theirs = new_id(), new_id()
    waiting, elsewhere = database.news.setdefault(str(ours), asyncio.Event()), asyncio.Event()
    database.news[str(theirs)] = elsewhere
    try:
        async with backstage.transaction() as db:
            await db.enter(Context(new_id(), "staff:test", date(2026, 7, 3)))
            publish(db, BellRang(bell_id=ours, number=1))
            assert not waiting.is_set()
        assert waiting.is_set()
        assert not elsewhere.is_set()
    finally:
        await database.close()
        await backstage.close()
