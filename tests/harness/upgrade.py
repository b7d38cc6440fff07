"""A service's database as an earlier version left it, and then brought up to this one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from alembic import command
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from shared.ids import new_id
from shared.migrations import config, migrate
from tests.harness.databases import Databases

ENTER = text("select set_config('punchcard.business', :business, true)")


@dataclass
class Older:
    """The database, and a business in it."""

    service: str
    url: str
    engine: AsyncEngine
    business_id: UUID = field(default_factory=new_id)

    @asynccontextmanager
    async def inside(self, *, business: bool = True) -> AsyncIterator[AsyncConnection]:
        """A transaction that has entered the business, or none."""
        async with self.engine.begin() as connection:
            await connection.execute(ENTER, {"business": str(self.business_id) if business else ""})
            yield connection

    async def upgrade(self) -> None:
        """Bring it to the newest version, as a start of the service does."""
        await migrate(self.service, self.url)


@asynccontextmanager
async def older(version: str, postgres_url: str, prefix: str) -> AsyncIterator[Older]:
    """A new database at a version such as `billing_0002`."""
    service = version.partition("_")[0]
    databases = Databases(postgres_url, f"before_{prefix}")
    await databases.make(service)
    url = databases.url(service)
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool)

    def reach(connection: Connection) -> None:
        alembic = config(service)
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, version)

    async with engine.begin() as connection:
        await connection.run_sync(reach)
    try:
        yield Older(service, url, engine)
    finally:
        await engine.dispose()
