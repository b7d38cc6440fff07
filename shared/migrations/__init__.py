"""Alembic for every service: one environment, the plumbing's versions, and the service's own beside them.

Guarded by an advisory lock, so that replicas that start together do not trip over each other.
"""

import asyncio
from pathlib import Path

from alembic import command, op
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

HERE = Path(__file__).parent
SERVICES = HERE.parent.parent / "services"
_one_at_a_time = asyncio.Lock()
"""Alembic keeps its context in module variables: two migrations in one process would mix."""


async def migrate(service: str, url: str) -> None:
    """Bring a service's database to the newest version, in one transaction."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool)
    async with _one_at_a_time, engine.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(hashtext('punchcard migrations'))"))
        await connection.run_sync(_upgrade, service)


def config(service: str) -> Config:
    """Where Alembic finds the versions of a service."""
    alembic = Config()
    alembic.set_main_option("script_location", str(HERE))
    alembic.set_main_option("path_separator", "os")
    alembic.set_main_option("version_locations", f"{HERE / 'versions'}:{SERVICES / service / 'migrations'}")
    return alembic


def _upgrade(connection: Connection, service: str) -> None:
    alembic = config(service)
    alembic.attributes["connection"] = connection
    command.upgrade(alembic, "heads")


def append_only(*tables: str) -> None:
    """For a migration: rows of a table are never changed and never deleted, whatever code may try."""
    op.execute(
        "create or replace function refuse_change() returns trigger language plpgsql as"
        " $$ begin raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation'; end $$"
    )
    for table in tables:
        op.execute(
            f"create trigger {table}_append_only before update or delete on {table}"
            " for each row execute function refuse_change()"
        )


def secure(*tables: str) -> None:
    """The second lock, for a migration: rows are visible only inside their own business, to the owner too."""
    for table in tables:
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy {table}_of_the_business on {table}"
            " using (business_id = nullif(current_setting('punchcard.business', true), '')::uuid)"
        )
