"""What may become of a payment, and the words the bank has for it. Nothing here waits, stores or tells the time."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from deploy.practice_bank.errors import IllegalMove

SCHEMES = {"AUD": "becs", "GBP": "bacs", "NZD": "becs_nz", "USD": "ach"}
"""How a currency is collected."""

COUNTRIES = {"AUD": "AU", "GBP": "GB", "NZD": "NZ", "USD": "US"}
"""Where an account of a currency is held, unless it is said."""

STATUS_AFTER = {
    "created": "pending_submission",
    "submitted": "submitted",
    "confirmed": "confirmed",
    "paid_out": "paid_out",
    "failed": "failed",
    "charged_back": "charged_back",
    "cancelled": "cancelled",
}

MANDATE_STATUS_AFTER = {
    "created": "pending_submission",
    "submitted": "submitted",
    "active": "active",
    "cancelled": "cancelled",
}
PAYABLE = frozenset({"pending_submission", "submitted", "active"})
"""The states of a mandate in which payments may be created."""


@dataclass(frozen=True)
class Move:
    """A step a payment may take: from which states, the action that records it, and its usual cause."""

    allowed_from: frozenset[str]
    action: str
    origin: str
    cause: str


SUBMITTED = frozenset({"submitted"})
COLLECTED = frozenset({"confirmed", "paid_out"})
MOVES = {
    "submit": Move(frozenset({"pending_submission"}), "submitted", "gocardless", "payment_submitted"),
    "settle": Move(SUBMITTED, "confirmed", "gocardless", "payment_confirmed"),
    "pay_out": Move(frozenset({"confirmed"}), "paid_out", "gocardless", "payment_paid_out"),
    "cancel": Move(SUBMITTED | {"pending_submission"}, "cancelled", "bank", "mandate_cancelled"),
    "decline": Move(SUBMITTED, "failed", "bank", "insufficient_funds"),
    "late_failure": Move(COLLECTED, "failed", "bank", "insufficient_funds"),
    "charge_back": Move(COLLECTED, "charged_back", "bank", "authorisation_disputed"),
}

OWN_WORDS = {
    "payment_submitted": "The payment was sent to the payer's bank and can no longer be cancelled.",
    "payment_confirmed": "The time in which the payer's bank may refuse has passed.",
    "payment_paid_out": "The payment is part of a payout to the creditor.",
}

BECS_REASONS = {
    "authorisation_disputed": ("MD01", "The payer disputes having authorised this."),
    "bank_account_closed": ("3", "The payer's account is closed."),
    "direct_debit_not_enabled": ("2", "The account takes no direct debits."),
    "insufficient_funds": ("6", "The payer's account did not hold enough money."),
    "invalid_bank_details": ("5", "There is no account with these details."),
    "mandate_cancelled": ("CBC", "The payer cancelled the mandate at their bank."),
    "payment_stopped": ("2", "The payer or their bank stopped the payment."),
    "refer_to_payer": ("6", "The payer's bank refers to the payer."),
}

CREATED = {"origin": "api", "cause": "payment_created", "description": "The payment was created through the API."}
MANDATE_WORDS = {
    "created": ("api", "mandate_created", "The mandate was created through the API."),
    "submitted": ("gocardless", "mandate_submitted", "The mandate was sent to the payer's bank."),
    "active": ("gocardless", "mandate_activated", "The payer's bank did not refuse the mandate in time."),
}
REPEATS = 8


def step(
    status: str, scheme: str, name: str, *, cause: str | None, reason_code: str | None, description: str | None
) -> tuple[str, dict[str, Any]]:
    """A payment moves only along `MOVES`. Returns the action that records the step, and its details.

    Whoever lets a payment fail may name any cause, code and text; what is left out is what BECS says of the cause.
    """
    move = MOVES[name]
    if status not in move.allowed_from:
        raise IllegalMove(name, status)
    if move.origin != "bank":
        return move.action, {"origin": move.origin, "cause": move.cause, "description": OWN_WORDS[move.cause]}

    cause = cause or move.cause
    becs_code, becs_words = BECS_REASONS.get(cause, (None, "The payer's bank refused the payment."))
    details: dict[str, Any] = {
        "origin": move.origin,
        "cause": cause,
        "description": description or becs_words,
        "scheme": scheme,
        "reason_code": reason_code or (becs_code if scheme == "becs" else None),
    }
    if move.action == "failed":
        details["will_attempt_retry"] = False
    return move.action, {word: value for word, value in details.items() if value is not None}


def mandate_step(action: str, scheme: str) -> dict[str, Any]:
    """The details of an event of a mandate; it is cancelled by the payer, at their bank."""
    if action == "cancelled":
        return step("submitted", scheme, "cancel", cause=None, reason_code=None, description=None)[1]
    origin, cause, description = MANDATE_WORDS[action]
    return {"origin": origin, "cause": cause, "description": description, "scheme": scheme}


def pause_before_repeat(tries: int, first_pause: timedelta) -> timedelta | None:
    """A callback not taken is repeated 8 times, each pause twice the one before; after that, only on request."""
    return first_pause * 2 ** (tries - 1) if tries <= REPEATS else None
