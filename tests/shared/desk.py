"""Booking's doors as the tests of the web's plumbing use them: one studio where a session can be booked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import httpx

from deploy.local.running.issuer import Issuer
from services.booking.main import service
from tests.harness.databases import Databases
from tests.harness.room import Room, room

NOW = datetime(2022, 9, 9, tzinfo=UTC)


@dataclass
class Desk:
    """A studio's desk: it books for its client."""

    room: Room
    business_id: UUID
    order: dict[str, str]

    @property
    def token(self) -> str:
        return self.room.issuer.staff(self.business_id)

    def http(self, token: str | None = None) -> httpx.AsyncClient:
        """A client that does not wait for packages to answer."""
        client = self.room.http(token or self.token)
        client.headers["Prefer"] = "respond-async"
        return client

    def root(self) -> httpx.AsyncClient:
        """A client of what lies beside the API, without a token."""
        client = self.room.http("")
        client.base_url = httpx.URL("http://punchcard.test/")
        return client


async def desk(booking: Room) -> Desk:
    """A new studio in a running booking."""
    business_id = await booking.business(test_now=NOW)
    client_id, practitioner_id, service_id = await booking.introduce(business_id)
    order = {
        "client_id": str(client_id),
        "practitioner_id": str(practitioner_id),
        "service_id": str(service_id),
        "starts_at": "2022-09-10T10:00:00+00:00",
    }
    return Desk(booking, business_id, order)


@asynccontextmanager
async def booking_of_its_own(databases: Databases, issuer: Issuer, url: str | None = None) -> AsyncIterator[Room]:
    """Booking with a database that nobody else uses, so that it may be taken away; by another address if told."""
    await databases.make("outage")
    async with room(service, url or databases.url("outage"), issuer) as opened:
        yield opened


@asynccontextmanager
async def without_database(databases: Databases) -> AsyncIterator[None]:
    """That database takes no connections, and ends those that there are."""
    admin = await asyncpg.connect(databases.admin_url)
    name = databases.url("outage").rpartition("/")[2]
    try:
        await admin.execute(f'alter database "{name}" connection limit 0')
        await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
        yield
    finally:
        await admin.execute(f'alter database "{name}" connection limit -1')
        await admin.close()
