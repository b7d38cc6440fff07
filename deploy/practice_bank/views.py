"""What the bank shows: its rows as the JSON of the GoCardless API, and of its own log."""

import json
from typing import Any

from deploy.practice_bank.ledger import Ledger
from deploy.practice_bank.rows import BankAccount, Callback, Creditor, Customer, Event, Mandate, Payment
from deploy.practice_bank.rules import SCHEMES


def creditor_view(creditor: Creditor) -> dict[str, Any]:
    """A creditor, without its secrets; `now` is its practice clock, null in real time."""
    return {
        "id": creditor.id,
        "name": creditor.name,
        "callback_url": creditor.callback_url,
        "reference": creditor.reference,
        "now": creditor.now and creditor.now.isoformat(),
        "today": creditor.today.isoformat(),
    }


def customer_view(customer: Customer) -> dict[str, Any]:
    """A payer."""
    return {
        "id": customer.id,
        "created_at": customer.created_at,
        "given_name": customer.given_name,
        "family_name": customer.family_name,
        "company_name": customer.company_name,
        "email": customer.email,
        "metadata": customer.metadata,
    }


def account_view(account: BankAccount) -> dict[str, Any]:
    """A payer's account; of its number only the ending."""
    return {
        "id": account.id,
        "created_at": account.created_at,
        "account_holder_name": account.account_holder_name,
        "account_number_ending": account.account_number_ending,
        "currency": account.currency,
        "country_code": account.country_code,
        "enabled": True,
        "metadata": account.metadata,
        "links": {"customer": account.customer_id},
    }


def mandate_view(mandate: Mandate) -> dict[str, Any]:
    """A mandate, in the state it had when it was read; of the account only the ending."""
    account = {"customer_bank_account": mandate.account_id} if mandate.account_id else {}
    return {
        "id": mandate.id,
        "created_at": mandate.created_at,
        "status": mandate.status,
        "scheme": SCHEMES[mandate.currency],
        "account_holder_name": mandate.account_holder_name,
        "account_number_ending": mandate.account_number_ending,
        "currency": mandate.currency,
        "metadata": mandate.metadata,
        "links": {"creditor": mandate.creditor_id, **account},
    }


def payment_view(payment: Payment) -> dict[str, Any]:
    """A payment, in the state it had when it was read."""
    return {
        "id": payment.id,
        "created_at": payment.created_at,
        "status": payment.status,
        "amount": payment.amount,
        "currency": payment.currency,
        "charge_date": payment.charge_date,
        "metadata": payment.metadata,
        "retry_if_possible": False,
        "links": {"mandate": payment.mandate_id, "creditor": payment.creditor_id},
    }


def callback_event(event: Event, metadata: dict[str, str]) -> dict[str, Any]:
    """A step of a payment or a mandate, as its creditor is told of it; `metadata` is that of the payment or mandate."""
    links = {"payment": event.payment_id, "mandate": event.mandate_id, "parent_event": event.parent_id}
    return {
        "id": event.id,
        "created_at": event.created_at,
        "resource_type": "payments" if event.payment_id else "mandates",
        "action": event.action,
        "details": event.details,
        "links": {word: value for word, value in links.items() if value},
        "resource_metadata": metadata,
        "metadata": {},
    }


def callback_view(ledger: Ledger, callback: Callback) -> dict[str, Any]:
    """A delivery: what is sent, how far it got, what each try brought; a held one may name the date it waits for."""
    return {
        "id": callback.id,
        "state": callback.state,
        "tries": callback.tries,
        "release_date": callback.release_date,
        "answers": [vars(answer) for answer in ledger.answers(callback.id)],
        "body": json.loads(callback.body),
        "links": {"creditor": callback.creditor_id},
    }


def log_view(ledger: Ledger, payment: Payment) -> dict[str, Any]:
    """A payment with everything that ever happened to it."""
    return payment_view(payment) | {
        "idempotency_key": payment.idempotency_key,
        "scenario": payment.scenario,
        "history": [
            {
                "id": event.id,
                "created_at": event.created_at,
                "action": event.action,
                "details": event.details,
                "links": {"callback": event.callback_id},
            }
            for event in ledger.history(payment.id)
        ],
    }
