"""A transaction is bound to the business that it entered last, though it is not told again what it knows."""

import pytest
from sqlalchemy import text

from shared.database import Context, Database, Db
from shared.ids import new_id
from tests.harness.databases import Databases

pytestmark = pytest.mark.servers

ONE, OTHER = (Context(new_id(), "staff:test") for _ in range(2))


async def entered(db: Db) -> str | None:
    found: str | None = await db.scalar(text("select current_setting('punchcard.business', true)"))
    return found


async def test_whichever_way_it_goes_it_is_in_the_business_it_entered_last(databases: Databases) -> None:
    await databases.make("teller")
    database = Database(databases.url("teller"))
    try:
        async with database.transaction() as db:
            for context in (ONE, ONE, OTHER, OTHER, ONE):
                await db.enter(context)
                assert await entered(db) == str(context.business_id)
            await db.rollback()
            assert not await entered(db), "what was entered has ended with its transaction"
            await db.enter(ONE)
            assert await entered(db) == str(ONE.business_id)
    finally:
        await database.close()
