"""Is it alive, is it ready, and how is it: for load balancers, orchestrators and people.

Ready depends on the service's own database only. The broker may be away: facts wait in the outbox.
"""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from shared.database import Database
from shared.metrics import INBOX_PARKED, INBOX_RETRYING, OUTBOX_OLDEST, OUTBOX_PENDING, WORK_LATE

router = APIRouter(tags=["health"], include_in_schema=False)
READY_SECONDS = 1
BACKLOG = text(
    "select (select count(*) from outbox) pending,"
    " (select coalesce(extract(epoch from now() - min(created_at)), 0) from outbox) oldest,"
    " (select count(*) from inbox_failed where next_attempt_at is not null) retrying,"
    " (select count(*) from inbox_failed where next_attempt_at is null) parked,"
    " (select count(*) from work) work"
)
LATE = text(
    "select kind, count(*) filter (where error is not null or due_at < now() - interval '1 minute') as pieces"
    " from work group by kind"
)
"""Work that has failed at least once, or that nobody took for a minute."""


async def backlog(database: Database) -> dict[str, float]:
    """What waits in a service: facts to send, events to try again, events for a person, work to do."""
    async with asyncio.timeout(READY_SECONDS), database.engine.connect() as connection:
        row = (await connection.execute(BACKLOG)).one()
    return {name: float(value) for name, value in row._mapping.items()}


async def late_work(database: Database) -> dict[str, int]:
    """How much of each kind of work is late."""
    async with asyncio.timeout(READY_SECONDS), database.engine.connect() as connection:
        return {row.kind: row.pieces for row in await connection.execute(LATE)}


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The event loop answers."""
    return {"status": "live"}


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """Its database answers with the tables in place, and it is not shutting down."""
    try:
        if request.app.state.leaving:
            raise ConnectionError("shutting down")
        await backlog(request.app.state.backstage)
    except Exception as error:  # noqa: BLE001 — whatever it is, it is not ready
        return JSONResponse({"status": "not ready", "because": type(error).__name__}, 503)
    return JSONResponse({"status": "ready"})


@router.get("/health/detail")
async def detail(request: Request) -> dict[str, Any]:
    """The backlog of the service, in numbers."""
    return {"service": request.app.state.service, **await backlog(request.app.state.backstage)}


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text; the gauges are read at the moment of asking."""
    service = request.app.state.service
    try:
        waiting = await backlog(request.app.state.backstage)
        late = await late_work(request.app.state.backstage)
    except Exception:  # noqa: BLE001 — whatever it is, the other numbers are there
        waiting, late = {}, {}
    WORK_LATE.remove_by_labels({"service": service})  # a kind of which nothing waits any more has no line
    for kind, pieces in late.items():
        WORK_LATE.labels(service, kind).set(pieces)
    for gauge, name in (
        (OUTBOX_PENDING, "pending"),
        (OUTBOX_OLDEST, "oldest"),
        (INBOX_RETRYING, "retrying"),
        (INBOX_PARKED, "parked"),
    ):
        gauge.labels(service).set(waiting.get(name, float("nan")))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
