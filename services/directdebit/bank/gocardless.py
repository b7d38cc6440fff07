"""GoCardless, and the practice bank that speaks like it (API version 2015-07-06)."""

import asyncio
import hashlib
import hmac
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Self
from uuid import UUID

import httpx

from services.directdebit.bank import Absent, Accepted, Account, Heard, Notice, Payment, Refused, Unknown
from services.directdebit.bank.strict_json import Unreadable, read
from services.directdebit.tables.callbacks import Kind
from services.directdebit.tables.debits import ReasonClass
from shared.settings import Settings

TIMEOUT = httpx.Timeout(20, connect=5)
IN_ALL_SECONDS = 24
"""A look-up and a call end within the time that one try of the work has."""
CLOCKS_DIFFER = timedelta(days=1)
LONGEST_PAGE = 500
MOST_PAGES = 10
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

SOFT = frozenset({"insufficient_funds", "refer_to_payer"})
ENDS_MANDATE = frozenset(
    {
        "account_blocked_for_any_financial_transaction",
        "authorisation_disputed",
        "bank_account_closed",
        "direct_debit_not_enabled",
        "invalid_bank_details",
        "mandate_cancelled",
        "mandate_expired",
    }
)


def reason_class(cause: str | None) -> ReasonClass:
    """Soft is what may pass by itself. Every other cause, an unknown one too, is hard: never tried again unasked."""
    return "soft" if cause in SOFT else "hard"


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


@dataclass(frozen=True)
class GoCardless:
    """One account with the provider."""

    url: str
    token: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    transport: httpx.AsyncBaseTransport | None = None

    @classmethod
    def of(cls, settings: Settings, account: Account) -> Self:
        """A business's account, at the address that the environment names."""
        if not settings.provider_url:
            raise RuntimeError("directdebit does not start without a provider")
        return cls(settings.provider_url, account.token, tuple(secret.encode() for secret in account.secrets))

    # Asking

    def write(self, payment: Payment) -> str:
        body = {
            "amount": payment.amount_minor,
            "currency": payment.currency,
            "charge_date": payment.charge_date.isoformat(),
            "metadata": {"debit_id": str(payment.debit_id)},
            "links": {"mandate": payment.provider_mandate},
            "retry_if_possible": False,
        }
        return json.dumps({"payments": body})

    async def submit(self, debit_id: UUID, body: str) -> Accepted | Refused | Unknown:
        answer = await self._ask(
            "POST",
            "/payments",
            until=_in_time(),
            content=body.encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": str(debit_id)},
        )
        return answer if isinstance(answer, Unknown) else _outcome(answer)

    async def look_up(self, debit_id: UUID, body: str, sent_at: datetime) -> Accepted | Absent | Unknown:
        """The provider lists by mandate and time and not by metadata, so its whole list is read and compared here."""
        payments = await self._list(
            {
                "mandate": json.loads(body)["payments"]["links"]["mandate"],
                "created_at[gte]": _written(sent_at - CLOCKS_DIFFER),
                "limit": str(LONGEST_PAGE),
            }
        )
        if isinstance(payments, Unknown):
            return payments
        ours = [_word(payment, "id") for payment in payments if _metadata(payment, "metadata") == debit_id]
        match ours:
            case []:
                return Absent()
            case [str(provider_ref)]:
                return Accepted(provider_ref)
        return Unknown(f"look-up found {len(ours)} payments")

    async def _list(self, filters: dict[str, str]) -> list[Any] | Unknown:
        """All pages of a list of payments, or Unknown: a part of it says nothing about the rest."""
        until = _in_time()
        found: list[Any] = []
        for _ in range(MOST_PAGES):
            answer = await self._ask("GET", "/payments", until=until, params=filters)
            if isinstance(answer, Unknown):
                return answer
            page = _body(answer)
            payments, cursors = page.get("payments"), _object(_object(page.get("meta")).get("cursors"))
            if answer.status_code != httpx.codes.OK or not isinstance(payments, list) or "after" not in cursors:
                return Unknown(f"look-up answered {answer.status_code}")
            if not all(_word(payment, "id") for payment in payments):
                return Unknown("look-up listed what cannot be read")
            found += payments
            if cursors["after"] is None:
                return found
            filters = filters | {"after": str(cursors["after"])}
        return Unknown(f"look-up found more than {MOST_PAGES} pages")

    async def _ask(self, method: str, path: str, *, until: float, **request: Any) -> httpx.Response | Unknown:
        """One request, never repeated here. Whatever prevents a whole answer leaves us not knowing."""
        headers = {"Authorization": f"Bearer {self.token}", "GoCardless-Version": "2015-07-06"}
        try:
            async with (
                asyncio.timeout_at(until),
                httpx.AsyncClient(
                    base_url=self.url, headers=headers, timeout=TIMEOUT, verify=_tls(), transport=self.transport
                ) as http,
            ):
                return await http.request(method, path, **request)
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            return Unknown(type(error).__name__)

    # Being told

    def verify(self, headers: Mapping[str, str], raw: bytes) -> bool:
        """Hexadecimal HMAC-SHA256 of the raw body, with any of the live secrets; all of them are tried."""
        given = headers.get("Webhook-Signature", "").encode()
        valid = False
        for secret in self.secrets:
            expected = hmac.new(secret, raw, hashlib.sha256).hexdigest().encode()
            valid |= hmac.compare_digest(expected, given)
        return valid

    def parse(self, raw: bytes) -> Heard:
        try:
            document = read(raw)
        except Unreadable as unreadable:
            return Heard((), str(unreadable))
        events = _object(document).get("events")
        if not isinstance(events, list):
            return Heard((), "no list of events")
        if len(events) > MOST_EVENTS:
            return Heard((), f"more than {MOST_EVENTS} events")
        notices = [_notice(event) for event in events]
        unreadable_events = notices.count(None)
        trouble = f"{unreadable_events} of {len(events)} events cannot be read" if unreadable_events else None
        return Heard([notice for notice in notices if notice], trouble)


def _in_time() -> float:
    return asyncio.get_running_loop().time() + IN_ALL_SECONDS


def _written(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        return _object(answer.json())
    except ValueError:
        return {}


def _outcome(answer: httpx.Response) -> Accepted | Refused | Unknown:
    """What the answer to a submission says; only the provider's own words are a no.

    An idempotency conflict names the payment that this very key has made. A wrong token, a wrong address or too many
    requests say nothing about the debit, so it is asked again.
    """
    body = _body(answer)
    if answer.is_success:
        made = _word(body.get("payments"), "id")
        return Accepted(made) if made else Unknown("an answer without a payment")
    error = body.get("error")
    errors = _object(error).get("errors")
    first = _object(errors[0]) if isinstance(errors, list) and errors else {}
    if answer.status_code == httpx.codes.CONFLICT and first.get("reason") == "idempotent_creation_conflict":
        made = _word(first.get("links"), "conflicting_resource_id")
        return Accepted(made) if made else Unknown("a conflict without a payment")
    if isinstance(error, dict) and answer.status_code in (400, 409, 422):
        return Refused(_word(first, "reason") or _word(first, "field") or _word(error, "type") or "refused")
    return Unknown(f"answered {answer.status_code}")


def _object(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _word(of: Any, name: str) -> str | None:
    """A member that is a short text, or None."""
    value = _object(of).get(name)
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_WORD else None


def _metadata(of: Any, name: str) -> UUID | None:
    """The debit that a payment says it is for."""
    try:
        return UUID(_word(_object(of).get(name), "debit_id") or "")
    except ValueError:
        return None


def _instant(text: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _notice(event: Any) -> Notice | None:
    """One event, or None when it lacks what every event has. New words are kept as they are."""
    event_id, resource, action = (_word(event, name) for name in ("id", "resource_type", "action"))
    occurred_at = _instant(_word(event, "created_at") or "")
    if not (event_id and resource and action and occurred_at):
        return None
    links, details = _object(event.get("links")), _object(event.get("details"))
    provider_ref = _word(links, "payment")
    kind = KINDS.get(action) if resource == "payments" else None
    if kind and provider_ref is None:
        return None
    cause = _word(details, "cause")
    if action == "failed" and details.get("will_attempt_retry") is True:
        kind = "noted"  # the provider tries again by itself, so the debit is still on its way
    bad_news = kind in ("failed", "charged_back")
    return Notice(
        event_id=event_id,
        resource=resource,
        action=action,
        kind=kind,
        provider_ref=provider_ref,
        claimed_debit_id=_metadata(event, "resource_metadata"),
        cause=cause,
        code=_word(details, "reason_code"),
        reason_class=reason_class(cause) if bad_news else None,
        ends_mandate=bad_news and cause in ENDS_MANDATE,
        occurred_at=occurred_at,
    )
