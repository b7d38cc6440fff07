"""What was sold before there were lots gets the lot that its sale brought."""

from datetime import date

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.ids import new_id
from shared.migrations import config, migrate
from tests.harness.databases import Databases

pytestmark = pytest.mark.servers

SOLD = text(
    "insert into packages (package_id, business_id, client_id, payer_id, template_id, template_version, terms,"
    " post_bill, start_date, first_due_date, auto_pay, sold_date, state, allocated, adjusted, held, consumed) values"
    " (:id, :business, :id, :id, :id, 1, jsonb_build_object('form', 'recurring', 'rollover', cast(:rollover as text),"
    " 'frequency', cast(:frequency as text)), :post_bill, '2023-01-30', '2023-01-31', false, '2023-01-30', 'active',"
    " :size, 0, 0, 0)"
)
BEFORE = [("reset", "weekly"), ("reset", "fortnightly"), ("reset", "monthly"), ("add", "weekly"), (None, None)]


def _first_version(connection: Connection) -> None:
    alembic = config("packages")
    alembic.attributes["connection"] = connection
    command.upgrade(alembic, "packages_0001")


async def test_packages_sold_before_have_one_lot(postgres_url: str, worker: str) -> None:
    before = Databases(postgres_url, f"before_{worker}")
    await before.make("packages")
    url = before.url("packages")
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool)
    business = new_id()
    async with engine.begin() as connection:
        await connection.run_sync(_first_version)
    entered = text("select set_config('punchcard.business', :business, true)"), {"business": str(business)}
    async with engine.begin() as connection:
        await connection.execute(*entered)
        for size, (rollover, frequency) in enumerate(BEFORE):
            row = {"id": new_id(), "business": business, "size": size}
            terms = {"rollover": rollover, "frequency": frequency, "post_bill": frequency is None}
            await connection.execute(SOLD, row | terms)
    await migrate("packages", url)
    async with engine.begin() as connection:
        await connection.execute(*entered)
        found = await connection.execute(text("select size, valid_from, valid_to, ended from lots order by size"))
        assert [tuple(row) for row in found] == [
            (0, date(2023, 1, 30), None, False),
            (1, date(2023, 1, 30), None, False),
            (2, date(2023, 1, 30), None, False),
            (3, date(2023, 1, 30), None, False),
        ]
        opened = await connection.execute(text("select periods_opened from packages order by package_id"))
        assert list(opened.scalars()) == [1, 1, 1, 1, 0]
    async with engine.begin() as connection:
        assert (await connection.execute(text("select count(*) from packages"))).scalar() == 0, "the lock is on again"
    await engine.dispose()
