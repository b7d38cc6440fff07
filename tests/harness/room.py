"""One service in this process, with its real database and no neighbours: a test speaks for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import httpx
import orjson
from sqlalchemy import text

from deploy.local.running.issuer import Issuer
from shared.auth import Keys
from shared.bus.local import LocalBus
from shared.database import Context, Db
from shared.events import TYPES, Envelope, Event, encode
from shared.events.catalog import BusinessChanged, ClientChanged, ServiceChanged, StaffChanged
from shared.ids import new_id
from shared.inbox import Consumer
from shared.service import Running, Service
from shared.settings import DEVELOPMENT_ISSUER, Settings

ZONE = "Australia/Sydney"


def envelope(event: Event, business_id: UUID, on: date, *, id: UUID | None = None) -> Envelope:
    """An event as it would come from the bus."""
    text = encode(
        event,
        id=id or new_id(),
        source=event.type.partition(".")[0],
        time=datetime.now(UTC),
        businessid=business_id,
        businessdate=on,
        actor="staff:test",
        correlationid="test",
    )
    return Envelope.parse(orjson.loads(text))


class Room:
    """A running service, and the ways a test may touch it."""

    def __init__(self, running: Running, issuer: Issuer) -> None:
        self.running, self.issuer = running, issuer
        self.name = running.service.name

    @property
    def consumer(self) -> Consumer:
        return self.running.consumer

    async def business(self, test_now: datetime | None = None, business_id: UUID | None = None) -> UUID:
        """A new business, known here; its clock stands at `test_now` where one is given."""
        business_id = business_id or new_id()
        fact = BusinessChanged(
            business_id=business_id,
            sequence=1,
            name="Harbour Studio",
            zone=ZONE,
            currency="AUD",
            email="desk@studio.example",
            test_now=test_now,
        )
        await self.hear(business_id, fact)
        return business_id

    async def introduce(self, business_id: UUID) -> tuple[UUID, UUID, UUID]:
        """Let the service hear of Ana, a client, of Kim, who trains and sells, and of what Kim gives; their ids."""
        client_id, staff_id, service_id = new_id(), new_id(), new_id()
        await self.hear(
            business_id,
            ClientChanged(client_id=client_id, sequence=1, name="Ana", email=None, active=True),
            StaffChanged(staff_id=staff_id, sequence=1, name="Kim", practitioner=True, seller=True, active=True),
            ServiceChanged(service_id=service_id, sequence=1, name="Personal training", minutes=60, active=True),
        )
        return client_id, staff_id, service_id

    async def hear(self, business_id: UUID, *events: Event, on: date = date(2022, 9, 9)) -> None:
        """Let the service handle events, in one batch."""
        await self.consumer.process([envelope(event, business_id, on) for event in events])

    @asynccontextmanager
    async def inside(self, business_id: UUID) -> AsyncIterator[Db]:
        """A transaction as the service's own, in a business."""
        async with self.running.database.transaction(Context(business_id, "staff:test")) as db:
            yield db

    async def facts(self, business_id: UUID, *kinds: type[Event]) -> list[Event]:
        """What the service has published about a business, in order."""
        async with self.running.database.transaction() as db:
            rows = await db.execute(
                text(
                    "select event_id, type, envelope from outbox where business_id = :id"
                    " union select event_id, type, envelope from event_log where business_id = :id order by event_id"
                ),
                {"id": business_id},
            )
            facts = [TYPES[row.type].model_validate(orjson.loads(row.envelope)["data"]) for row in rows]
        return [fact for fact in facts if not kinds or isinstance(fact, kinds)]

    async def idle(self, business_id: UUID) -> None:
        """Wait until no work of a business is due or in hand."""
        left = text("select count(*) from work where business_id = :id")
        async with asyncio.timeout(20):
            while True:
                async with self.running.database.transaction() as db:
                    if not await db.scalar(left, {"id": business_id}):
                        return
                await asyncio.sleep(0.02)

    async def violations(self, business_id: UUID) -> dict[str, list[Any]]:
        """The invariants that do not hold, with the rows that break them."""
        async with self.inside(business_id) as db:
            found = {name: list(await db.execute(text(sql))) for name, sql in self.running.service.invariants.items()}
        return {name: rows for name, rows in found.items() if rows}

    def http(self, token: str) -> httpx.AsyncClient:
        """A client of the service's API that sends a token, and a new Idempotency-Key unless told another."""

        async def key(request: httpx.Request) -> None:
            request.headers.setdefault("Idempotency-Key", str(new_id()))

        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.running.app, raise_app_exceptions=False),
            base_url="http://punchcard.test/v1/",
            headers={"Authorization": f"Bearer {token}"},
            event_hooks={"request": [key]},
        )


@asynccontextmanager
async def room(service: Service, url: str, issuer: Issuer, **settings: Any) -> AsyncIterator[Room]:
    """Start a service on an embedded bus where nobody listens; its facts go to its own event log."""
    configured = Settings(
        environment="development",
        database_url={service.name: url},
        bus_url="local:",
        jwks=str(issuer.jwks),
        token_issuer=DEVELOPMENT_ISSUER,
        **settings,
    )
    keys = Keys(configured.jwks, configured.token_issuer, configured.token_audience)
    running = Running(service, configured, LocalBus({service.name: frozenset()}), keys)
    await running.start()
    try:
        yield Room(running, issuer)
    finally:
        await running.leave()
