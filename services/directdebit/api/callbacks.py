"""What the provider calls: its signed callbacks."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from prometheus_client import Counter

from services.directdebit.actions import accounts, hearing
from services.directdebit.bank import Bank
from services.directdebit.bank.gocardless import GoCardless
from services.directdebit.rules.errors import NoProvider, NotSigned
from shared.database import Context, Database
from shared.errors import NotYetKnown

router = APIRouter()

SIGNED = Counter(
    "punchcard_callbacks_total",
    "Callbacks by the secret that signed them: 1, 2 while one is rolled, or none",
    ["secret"],
)


@router.post("/providers/{business_id}/callbacks", status_code=204)
async def take_callback(business_id: UUID, request: Request) -> Response:
    """The provider tells what became of debits. No token: the signature over the raw body is the proof."""
    state = request.app.state
    raw = await request.body()
    database: Database = state.database
    context = Context(
        business_id,
        "provider:gocardless",
        correlation_id=request.state.request_id,
        traceparent=request.state.traceparent,
    )
    try:
        async with database.transaction(context) as db:
            bank: Bank = GoCardless.of(state.settings, await accounts.find(db, state.settings.seal()))
    except (NotYetKnown, NoProvider):
        raise NotSigned from None
    signed_by = bank.signed_by(request.headers, raw)
    SIGNED.labels(str(signed_by or "none")).inc()
    if signed_by is None:
        raise NotSigned
    heard = bank.parse(raw)
    async with database.transaction(context) as db:
        await hearing.take_delivery(db, raw, heard)
    return Response(status_code=204)
