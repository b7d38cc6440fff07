"""The door of the creditors: mandates and payments, in the shape of the GoCardless API."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response

from deploy.practice_bank.bank import Bank
from deploy.practice_bank.breaking_off import BreaksOff
from deploy.practice_bank.errors import BadRequest, NotAuthenticated
from deploy.practice_bank.rows import Creditor
from deploy.practice_bank.shapes import NewAccount, NewCustomer, NewMandate, NewPayment, WantedPayments
from deploy.practice_bank.views import account_view, customer_view, mandate_view, payment_view

router = APIRouter()


async def the_bank(request: Request) -> Bank:
    """The bank behind this door."""
    bank: Bank = request.app.state.bank
    return bank


TheBank = Annotated[Bank, Depends(the_bank)]


async def asking_creditor(bank: TheBank, authorization: Annotated[str, Header()] = "") -> Creditor:
    """Who asks, by bearer token."""
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer":
        raise NotAuthenticated
    return bank.creditor(token.strip())


async def idempotency_key(idempotency_key: Annotated[str | None, Header(max_length=255)] = None) -> str | None:
    """The key, whether sent bare or as a quoted string (RFC 8941, section 3.3.3): both are the same key."""
    if idempotency_key is None or not idempotency_key.startswith('"'):
        return idempotency_key
    if not re.fullmatch(r'"([\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"', idempotency_key):
        raise BadRequest("Idempotency-Key is neither a bare key nor a quoted string")
    return re.sub(r"\\(.)", r"\1", idempotency_key[1:-1])


AskingCreditor = Annotated[Creditor, Depends(asking_creditor)]
IdempotencyKey = Annotated[str | None, Depends(idempotency_key)]


@router.post("/customers", status_code=201)
async def create_customer(
    bank: TheBank, creditor: AskingCreditor, key: IdempotencyKey, customers: Annotated[NewCustomer, Body(embed=True)]
) -> dict[str, Any]:
    """A new payer."""
    return {"customers": customer_view(bank.accept_customer(creditor, customers, key))}


@router.post("/customer_bank_accounts", status_code=201)
async def create_account(
    bank: TheBank,
    creditor: AskingCreditor,
    key: IdempotencyKey,
    customer_bank_accounts: Annotated[NewAccount, Body(embed=True)],
) -> dict[str, Any]:
    """A new account of a payer."""
    return {"customer_bank_accounts": account_view(bank.accept_account(creditor, customer_bank_accounts, key))}


@router.post("/mandates", status_code=201)
async def create_mandate(
    bank: TheBank, creditor: AskingCreditor, key: IdempotencyKey, mandates: Annotated[NewMandate, Body(embed=True)]
) -> dict[str, Any]:
    """A new mandate on an account, as it was accepted."""
    return {"mandates": mandate_view(bank.accept_mandate(creditor, mandates, key))}


@router.get("/mandates/{mandate_id}")
async def get_mandate(bank: TheBank, creditor: AskingCreditor, mandate_id: str) -> dict[str, Any]:
    """One mandate of this creditor, as it is now."""
    return {"mandates": mandate_view(bank.mandate_of(creditor, mandate_id))}


@router.post("/payments", status_code=201, response_model=None)
async def create_payment(
    bank: TheBank, creditor: AskingCreditor, key: IdempotencyKey, payments: Annotated[NewPayment, Body(embed=True)]
) -> dict[str, Any] | Response:
    """A new payment, as it was accepted."""
    payment = bank.accept_payment(creditor, payments, key)
    return BreaksOff() if payment.scenario == "accepted_but_timed_out" else {"payments": payment_view(payment)}


@router.get("/payments/{payment_id}")
async def get_payment(bank: TheBank, creditor: AskingCreditor, payment_id: str) -> dict[str, Any]:
    """One payment of this creditor, as it is now."""
    return {"payments": payment_view(bank.payment_of(creditor, payment_id))}


@router.get("/payments")
async def list_payments(
    bank: TheBank, creditor: AskingCreditor, wanted: Annotated[WantedPayments, Query()]
) -> dict[str, Any]:
    """This creditor's payments, newest first, a page at a time; a filter the bank does not know is refused."""
    payments, after = bank.payments_of(creditor, wanted)
    return {
        "payments": [payment_view(payment) for payment in payments],
        "meta": {"cursors": {"before": None, "after": after}, "limit": wanted.limit},
    }
