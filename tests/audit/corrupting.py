"""Applies corruptions to the databases of a system, audits, and takes them back."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from deploy.audit.auditing import audit
from deploy.audit.books import Books
from deploy.audit.findings import Finding
from deploy.audit.laws.telling import strangers
from deploy.audit.reading import read_shelf
from tests.audit.corruption import Corruption

FREE = text("set session_replication_role = replica")
INBOX = text("select event_id from inbox")
AT_REST = datetime.max.replace(tzinfo=UTC)
"""All is quiet, so whatever was published has been heard."""


class Bench:
    """The books of one business in memory, and a superuser's way into each database."""

    def __init__(self, books: Books, engines: dict[str, AsyncEngine], database_urls: dict[str, str]) -> None:
        self.books, self.engines, self.database_urls = books, engines, database_urls

    async def found(self, corruption: Corruption) -> list[Finding] | None:
        """What the audit says of a corruption; None where the database refuses it. Nothing of it stays."""
        service = corruption.service
        async with self.engines[service].connect() as connection:
            await connection.execute(FREE)
            try:
                await corruption.apply(connection)
            except DBAPIError:
                return None
            shelf = await read_shelf(connection, service, self.books.business_id)
            shelf.heard |= set((await connection.execute(INBOX)).scalars())
            await connection.rollback()
        whole = dict(self.books.shelves) | {service: shelf}
        return judged(replace(self.books, shelves=whole, heard_until=AT_REST))


def judged(books: Books) -> list[Finding]:
    """The findings of a business that is alone in its databases."""
    known = {told.event_id for shelf in books.shelves.values() for told in shelf.log}
    inboxes = {name: shelf.heard for name, shelf in books.shelves.items()}
    return [*audit(books), *strangers(known, inboxes)]


@asynccontextmanager
async def bench(books: Books, postgres_url: str, database_urls: dict[str, str]) -> AsyncIterator[Bench]:
    """Open the databases as their superuser."""
    async with AsyncExitStack() as stack:
        engines = {}
        for service, url in database_urls.items():
            admin = urlsplit(postgres_url)._replace(scheme="postgresql+asyncpg", path=urlsplit(url).path).geturl()
            engines[service] = create_async_engine(admin, pool_size=1)
            stack.push_async_callback(engines[service].dispose)
        yield Bench(books, engines, database_urls)
