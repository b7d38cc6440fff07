"""The limit of a web service in this language: one database, one transaction, plain SQL, no ORM, bus or rules.

`python -m tests.bench.plain_service PORT DATABASE_URL SECRET`. It books with the rows that a booking leaves behind in
the end, and answers signed callbacks without keeping them.
"""

import hashlib
import hmac
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import uvicorn
from fastapi import FastAPI, Header, Request, Response
from pydantic import AwareDatetime, BaseModel

from shared.ids import new_id

TABLES = """
create extension if not exists btree_gist;
create table keys (subject text, key text, fingerprint text not null, made_id uuid not null,
  primary key (subject, key));
create table bookings (booking_id uuid primary key, client_id uuid not null, package_id uuid not null,
  service_id uuid not null, practitioner_id uuid not null, during tstzrange not null, state text not null,
  exclude using gist (practitioner_id with =, during with &&));
create table packages (package_id uuid primary key, client_id uuid not null, allocated int not null,
  held int not null check (held <= allocated));
create table holds (booking_id uuid primary key, package_id uuid not null, starts_at timestamptz not null,
  state text not null);
create table ledger (entry_id uuid primary key, package_id uuid not null, booking_id uuid not null, kind text not null,
  quantity int not null, recorded_at timestamptz not null default now(), unique (booking_id, kind));
create index on ledger (package_id, entry_id);
create table outbox (id bigint generated always as identity primary key, event_id uuid not null, type text not null,
  subject text not null, envelope text not null)
"""
CLAIM = "insert into keys values ($1, $2, $3, $4) on conflict do nothing"
LOCK = "select allocated - held as available from packages where package_id = $1 and client_id = $2 for update"
BOOK = "insert into bookings values ($1, $2, $3, $4, $5, tstzrange($6, $7), 'confirmed')"
HOLD = "insert into holds values ($1, $2, $3, 'held')"
ENTER = "insert into ledger values ($1, $2, $3, 'held', 1)"
BALANCE = "update packages set held = held + 1 where package_id = $1"
TELL = "insert into outbox (event_id, type, subject, envelope) values ($1, 'booking.booking_confirmed.v1', $2, $3)"


class NewBooking(BaseModel):
    """As booking's own."""

    client_id: UUID
    service_id: UUID
    practitioner_id: UUID
    starts_at: AwareDatetime
    package_id: UUID


def application(database_url: str, secret: bytes) -> FastAPI:
    pool: Any = None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal pool
        pool = await asyncpg.create_pool(database_url, min_size=10, max_size=10)
        yield
        await pool.close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/bookings", status_code=201)
    async def book(new: NewBooking, idempotency_key: Annotated[str, Header()]) -> dict[str, Any]:
        booking_id = new_id()
        shown = {"booking_id": booking_id, "state": "confirmed", **new.model_dump()}
        text = json.dumps(shown, default=str)
        async with pool.acquire() as db, db.transaction():
            await db.execute(CLAIM, "bench", idempotency_key, hashlib.sha256(text.encode()).hexdigest(), booking_id)
            if not await db.fetchval(LOCK, new.package_id, new.client_id):
                raise ValueError("no session is left")
            until = new.starts_at + timedelta(hours=1)
            who = (new.client_id, new.package_id, new.service_id, new.practitioner_id)
            await db.execute(BOOK, booking_id, *who, new.starts_at, until)
            await db.execute(HOLD, booking_id, new.package_id, new.starts_at)
            await db.execute(ENTER, new_id(), new.package_id, booking_id)
            await db.execute(BALANCE, new.package_id)
            await db.execute(TELL, new_id(), str(booking_id), text)
        return shown

    @app.post("/callbacks", status_code=204)
    async def take_callback(request: Request) -> Response:
        expected = hmac.new(secret, await request.body(), hashlib.sha256).hexdigest()
        known = hmac.compare_digest(expected, request.headers.get("webhook-signature", ""))
        return Response(status_code=204 if known else 498)

    return app


if __name__ == "__main__":
    _, port, url, signed_with = sys.argv
    uvicorn.run(application(url, signed_with.encode()), port=int(port), log_level="warning", access_log=False)
