"""What the bank shows: its rows as the JSON of the GoCardless API, and of its own log."""

import json
from typing import Any

from deploy.practice_bank.ledger import Ledger
from deploy.practice_bank.rows import Callback, Creditor, Event, Mandate, Payment


def creditor_view(creditor: Creditor) -> dict[str, Any]:
    """A creditor, without its secrets."""
    return {"id": creditor.id, "name": creditor.name, "callback_url": creditor.callback_url}


def mandate_view(mandate: Mandate) -> dict[str, Any]:
    """A mandate; of the account only the ending."""
    return {
        "id": mandate.id,
        "created_at": mandate.created_at,
        "status": "active",
        "account_holder_name": mandate.account_holder_name,
        "account_number_ending": mandate.account_number_ending,
        "currency": mandate.currency,
        "metadata": mandate.metadata,
        "links": {"creditor": mandate.creditor_id},
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


def callback_event(event: Event, payment: Payment) -> dict[str, Any]:
    """A step of a payment, as its creditor is told of it."""
    return {
        "id": event.id,
        "created_at": event.created_at,
        "resource_type": "payments",
        "action": event.action,
        "details": event.details,
        "links": {"payment": payment.id},
        "resource_metadata": payment.metadata,
        "metadata": {},
    }


def callback_view(ledger: Ledger, callback: Callback) -> dict[str, Any]:
    """A delivery: what is sent, how far it got, and what each try brought."""
    return {
        "id": callback.id,
        "state": callback.state,
        "tries": callback.tries,
        "answers": [vars(answer) for answer in ledger.answers(callback.id)],
        "body": json.loads(callback.body),
        "links": {"creditor": callback.creditor_id},
    }


def log_view(ledger: Ledger, payment: Payment) -> dict[str, Any]:
    """A payment with everything that ever happened to it."""
    return payment_view(payment) | {
        "idempotency_key": payment.idempotency_key,
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
