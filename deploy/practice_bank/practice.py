"""The door of whoever practises: decide what becomes of payments, let days pass, and read the log.

It asks for no token, except where a payer signs: what they sign is for the creditor that sent them.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import HTMLResponse

from deploy.practice_bank.api import AskingCreditor, IdempotencyKey, TheBank
from deploy.practice_bank.ledger import Ledger
from deploy.practice_bank.page import page
from deploy.practice_bank.scenarios import SCENARIOS
from deploy.practice_bank.shapes import Because, Behaviour, NewClock, NewCreditor, NewSignedMandate
from deploy.practice_bank.views import callback_view, creditor_view, log_view, mandate_view, payment_view

router = APIRouter()


async def the_ledger(request: Request) -> Ledger:
    """The books, to read."""
    ledger: Ledger = request.app.state.ledger
    return ledger


TheLedger = Annotated[Ledger, Depends(the_ledger)]
Why = Annotated[Because, Body(default_factory=Because)]


@router.post("/practice/creditors", status_code=201)
async def open_creditor(bank: TheBank, new: NewCreditor) -> dict[str, Any]:
    """Register a business; only this answer ever holds its access token."""
    creditor, token = bank.open_creditor(new)
    return {"creditors": creditor_view(creditor) | {"access_token": token}}


@router.get("/practice/creditors")
async def creditors(ledger: TheLedger, reference: str | None = None) -> dict[str, Any]:
    """The creditors, or those that call themselves so, without their secrets; oldest first."""
    return {"creditors": [creditor_view(creditor) for creditor in ledger.creditors(reference)]}


@router.put("/practice/creditors/{creditor_id}/clock")
async def move_clock(bank: TheBank, creditor_id: str, clock: NewClock) -> dict[str, Any]:
    """Let the days of a creditor pass, up to this instant."""
    creditor, eventful = bank.move_clock(creditor_id, clock.now)
    return {"creditors": creditor_view(creditor), "meta": {"eventful_days": eventful}}


@router.get("/practice/scenarios")
async def scenarios() -> dict[str, Any]:
    """The names that a mandate's behaviour can have, each with a sentence."""
    return {"scenarios": [{"name": name, "sentence": scenario.sentence} for name, scenario in SCENARIOS.items()]}


@router.post("/practice/mandates", status_code=201)
async def sign(
    bank: TheBank,
    creditor: AskingCreditor,
    key: IdempotencyKey,
    mandates: Annotated[NewSignedMandate, Body(embed=True)],
) -> dict[str, Any]:
    """A payer signs at the bank's own page: a mandate, active at once, of which nobody is called back."""
    return {"mandates": mandate_view(bank.accept_signed_mandate(creditor, mandates, key))}


@router.post("/practice/mandates/{mandate_id}/cancel")
async def cancel_mandate(bank: TheBank, mandate_id: str) -> dict[str, Any]:
    """The payer cancels the mandate at their bank, and with it what is not yet confirmed."""
    return {"mandates": mandate_view(bank.cancel_mandate(mandate_id))}


@router.post("/practice/mandates/{mandate_id}/behaviour")
async def behave(bank: TheBank, mandate_id: str, behaviour: Behaviour) -> dict[str, Any]:
    """What becomes of the new payments of a mandate, by the name of a scenario."""
    mandate = bank.behave(mandate_id, behaviour)
    return {"behaviour": {"payments": mandate.behaviour, "cause": mandate.cause, "links": {"mandate": mandate.id}}}


@router.post("/practice/payments/{payment_id}/settle")
async def settle(bank: TheBank, payment_id: str) -> dict[str, Any]:
    """The payer's bank did not refuse in time."""
    return {"payments": payment_view(bank.decide(payment_id, "settle", Because()))}


@router.post("/practice/payments/{payment_id}/pay_out")
async def pay_out(bank: TheBank, payment_id: str) -> dict[str, Any]:
    """The money goes to the creditor."""
    return {"payments": payment_view(bank.decide(payment_id, "pay_out", Because()))}


@router.post("/practice/payments/{payment_id}/decline")
async def decline(bank: TheBank, payment_id: str, why: Why) -> dict[str, Any]:
    """The payer's bank refuses."""
    return {"payments": payment_view(bank.decide(payment_id, "decline", why))}


@router.post("/practice/payments/{payment_id}/late_failure")
async def late_failure(bank: TheBank, payment_id: str, why: Why) -> dict[str, Any]:
    """The payer's bank takes the money back after it was confirmed."""
    return {"payments": payment_view(bank.decide(payment_id, "late_failure", why))}


@router.post("/practice/payments/{payment_id}/charge_back")
async def charge_back(bank: TheBank, payment_id: str, why: Why) -> dict[str, Any]:
    """The payer disputes a collected payment."""
    return {"payments": payment_view(bank.decide(payment_id, "charge_back", why))}


@router.get("/practice/callbacks")
async def callbacks(
    ledger: TheLedger,
    state: Literal["unsent", "held", "delivered", "given_up"] | None = None,
    creditor: str | None = None,
    reference: str | None = None,
) -> dict[str, Any]:
    """The deliveries in one state, to one creditor or to those that call themselves so, or all; and how many."""
    found = ledger.callbacks(state, creditor_id=creditor, reference=reference)
    return {"callbacks": [callback_view(ledger, each) for each in found], "meta": {"count": len(found)}}


@router.post("/practice/callbacks/{callback_id}/resend", status_code=202)
async def resend(bank: TheBank, ledger: TheLedger, callback_id: str) -> dict[str, Any]:
    """Deliver the same bytes once more."""
    return {"callbacks": callback_view(ledger, bank.resend(callback_id))}


@router.get("/practice/log")
async def log(ledger: TheLedger, creditor: str | None = None) -> dict[str, Any]:
    """Every payment, or those of one creditor, with its history, newest first: what was debited."""
    return {"payments": [log_view(ledger, payment) for payment in ledger.payments(creditor_id=creditor)]}


@router.get("/", response_class=HTMLResponse)
async def home(ledger: TheLedger) -> str:
    """The log, to read."""
    return page(ledger)
