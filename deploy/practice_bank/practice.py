"""The door of whoever practises: decide what becomes of payments, and read the log. It asks for no token."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import HTMLResponse

from deploy.practice_bank.api import TheBank
from deploy.practice_bank.ledger import Ledger
from deploy.practice_bank.page import page
from deploy.practice_bank.shapes import Because, Behaviour, NewCreditor
from deploy.practice_bank.views import callback_view, creditor_view, log_view, payment_view

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


@router.post("/practice/mandates/{mandate_id}/behaviour")
async def behave(bank: TheBank, mandate_id: str, behaviour: Behaviour) -> dict[str, Any]:
    """Decide every new payment of a mandate right after it is accepted."""
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
    ledger: TheLedger, state: Literal["unsent", "delivered", "given_up"] | None = None
) -> dict[str, Any]:
    """The deliveries in one state, or all, and how many they are."""
    found = [callback_view(ledger, callback) for callback in ledger.callbacks(state)]
    return {"callbacks": found, "meta": {"count": len(found)}}


@router.post("/practice/callbacks/{callback_id}/resend", status_code=202)
async def resend(bank: TheBank, ledger: TheLedger, callback_id: str) -> dict[str, Any]:
    """Deliver the same bytes once more."""
    return {"callbacks": callback_view(ledger, bank.resend(callback_id))}


@router.get("/practice/log")
async def log(ledger: TheLedger) -> dict[str, Any]:
    """Every payment with its history, newest first: what was debited."""
    return {"payments": [log_view(ledger, payment) for payment in ledger.payments()]}


@router.get("/", response_class=HTMLResponse)
async def home(ledger: TheLedger) -> str:
    """The log, to read."""
    return page(ledger)
