"""What GoCardless tells in its callbacks, in our words. Pure, and never raises."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.directdebit.bank import Heard, Notice
from services.directdebit.bank.strict_json import Unreadable, read
from services.directdebit.rules.reasons import ends_mandate, reason_class
from services.directdebit.tables.callbacks import Kind, MandateKind

MOST_EVENTS = 250
LONGEST_WORD = 255

KINDS: dict[str, Kind] = {
    "created": "noted",
    "customer_approval_granted": "noted",
    "submitted": "submitted",
    "resubmission_requested": "resubmitted",
    "confirmed": "settled",
    "paid_out": "settled",
    "failed": "failed",
    "cancelled": "failed",
    "customer_approval_denied": "failed",
    "charged_back": "charged_back",
    "chargeback_cancelled": "claim_withdrawn",
    "chargeback_settled": "noted",
    "late_failure_settled": "noted",
    "surcharge_fee_debited": "noted",
}
"""The actions of a payment; a new one is stored and changes nothing."""

MANDATE_KINDS: dict[str, MandateKind] = {
    "created": "mandate_noted",
    "customer_approval_granted": "mandate_noted",
    "customer_approval_skipped": "mandate_noted",
    "submitted": "mandate_noted",
    "transferred": "mandate_noted",
    "resubmission_requested": "mandate_noted",
    "replaced": "mandate_noted",
    "active": "mandate_active",
    "reinstated": "mandate_active",
    "suspended_by_payer": "mandate_suspended",
    "cancelled": "mandate_cancelled",
    "consumed": "mandate_cancelled",
    "blocked": "mandate_failed",
    "failed": "mandate_failed",
    "expired": "mandate_expired",
}
"""The actions of a mandate, likewise."""


def which_secret(secrets: Sequence[bytes], headers: Mapping[str, str], raw: bytes) -> int | None:
    """Which of the live secrets has signed these very bytes: lower-case hexadecimal HMAC-SHA256, all are tried."""
    given = headers.get("Webhook-Signature", "").encode()
    signed_by = None
    for number, secret in enumerate(secrets, start=1):
        expected = hmac.new(secret, raw, hashlib.sha256).hexdigest().encode()
        if hmac.compare_digest(expected, given):
            signed_by = number
    return signed_by


def parse(raw: bytes) -> Heard:
    """What a callback says; what cannot be read is trouble, not an error."""
    try:
        document = read(raw)
    except Unreadable as unreadable:
        return Heard((), str(unreadable))
    events = object_(document).get("events")
    if not isinstance(events, list):
        return Heard((), "no list of events")
    if len(events) > MOST_EVENTS:
        return Heard((), f"more than {MOST_EVENTS} events")
    notices = [_notice(event) for event in events]
    unreadable_events = notices.count(None)
    trouble = f"{unreadable_events} of {len(events)} events cannot be read" if unreadable_events else None
    return Heard([notice for notice in notices if notice], trouble)


def object_(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def word(of: Any, name: str) -> str | None:
    """A member that is a short text, or None."""
    value = object_(of).get(name)
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_WORD else None


def named(of: Any, name: str, key: str) -> UUID | None:
    """The debit that a payment, or the mandate that a mandate says it is for, in its metadata."""
    try:
        return UUID(word(object_(of).get(name), key) or "")
    except ValueError:
        return None


def _instant(text: str) -> datetime | None:
    """An instant with its offset, of this century: from a wilder one no date could be reckoned."""
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo and 2000 <= instant.year < 2100 else None
    except (ValueError, OverflowError):
        return None


def _notice(event: Any) -> Notice | None:
    """One event, or None when it lacks what every event has. New words are kept as they are."""
    event_id, resource, action = (word(event, name) for name in ("id", "resource_type", "action"))
    occurred_at = _instant(word(event, "created_at") or "")
    if not (event_id and resource and action and occurred_at):
        return None
    links, details = object_(event.get("links")), object_(event.get("details"))
    kind: Kind | MandateKind | None
    if resource == "mandates":
        kind, provider_ref = MANDATE_KINDS.get(action), word(links, "mandate")
        named_id = named(event, "resource_metadata", "mandate_id")
    else:
        kind, provider_ref = KINDS.get(action) if resource == "payments" else None, word(links, "payment")
        named_id = named(event, "resource_metadata", "debit_id")
    if kind and provider_ref is None:
        return None
    cause = word(details, "cause")
    if kind == "failed" and details.get("will_attempt_retry") is True:
        kind = "noted"  # the provider tries again by itself, so the debit is still on its way
    bad_news = kind in ("failed", "charged_back")
    return Notice(
        event_id=event_id,
        resource=resource,
        action=action,
        kind=kind,
        provider_ref=provider_ref,
        named_id=named_id,
        cause=cause,
        code=word(details, "reason_code"),
        reason_class=reason_class(cause) if bad_news else None,
        ends_mandate=bad_news and ends_mandate(cause),
        occurred_at=occurred_at,
    )
