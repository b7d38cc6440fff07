"""Connections to the database: the server looks for whoever is gone; and who waits for a fact is woken."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import text

from shared.database import PRESENCE, Context, Database
from shared.ids import new_id
from shared.migrations import migrate
from shared.outbox import publish
from tests.harness.databases import Databases
from tests.shared.pair import BellRang

pytestmark = pytest.mark.servers


async def test_the_server_finds_out_that_a_machine_is_gone(databases: Databases) -> None:
    """One that vanishes in the middle of several statements is in none of them, and no other limit ends its locks."""
    await databases.make("teller")
    database = Database(databases.url("teller"))
    async with database.transaction() as db:
        for name, seconds in PRESENCE.items():
            assert await db.scalar(text(f"show {name}")) == seconds
    await database.close()


async def test_what_is_asked_alone_leaves_its_connection_as_it_was(databases: Databases) -> None:
    """What follows on it is a transaction again, which undoes what it did when it fails."""
    await databases.make("teller")
    database = Database(databases.url("teller"), pool_size=1)
    await database.alone(text("create table if not exists drawer (coin int)"), {})
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as db:
            await db.execute(text("insert into drawer values (1)"))
            raise ZeroDivisionError
    assert (await database.alone(text("insert into drawer values (2), (3)"), {})).rowcount == 2
    assert list((await database.alone(text("delete from drawer returning coin"), {})).scalars()) == [2, 3]
    await database.close()


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
            await db.enter(Context(new_id(), "staff:test", date(2022, 7, 3)))
            publish(db, BellRang(bell_id=ours, number=1))
            assert not waiting.is_set()
        assert waiting.is_set()
        assert not elsewhere.is_set()
    finally:
        await database.close()
        await backstage.close()
