"""GoCardless, and the practice bank that speaks like it (API version 2015-07-06)."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import Any, Self
from urllib.parse import quote
from uuid import UUID

import httpx

from services.directdebit.bank import (
    Absent,
    Accepted,
    Account,
    Heard,
    Made,
    PayerAccount,
    Payment,
    Refused,
    Said,
    Unknown,
    callbacks,
)
from services.directdebit.bank.callbacks import named, object_, word
from services.directdebit.tables.callbacks import Kind
from shared.settings import Settings

TIMEOUT = httpx.Timeout(20, connect=5)
IN_ALL_SECONDS = 24
"""A look-up and a call end within the time that one try of the work has."""
CLOCKS_DIFFER = timedelta(days=2)
"""What a date here may be at the provider: zones lie up to a day apart, and clocks a little."""
LONGEST_PAGE = 500
MOST_PAGES = 10
MOST_PAGES_AT_LENGTH = 2000
"""A million payments; nobody waits for an answer."""

SAYS: dict[str, Kind] = {
    "pending_customer_approval": "said_submitted",
    "pending_submission": "said_submitted",
    "submitted": "said_submitted",
    "confirmed": "said_settled",
    "paid_out": "said_settled",
    "cancelled": "said_failed",
    "customer_approval_denied": "said_failed",
    "failed": "said_failed",
    "charged_back": "said_charged_back",
}
"""What the status of a payment means."""

ADOPTED = {
    "idempotent_creation_conflict": "conflicting_resource_id",
    "bank_account_exists": "customer_bank_account",
}
"""Conflicts that name what is there already, and under which name."""


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
        return await self._create("payments", body, str(debit_id), _in_time())

    async def register(self, mandate_id: UUID, account: PayerAccount) -> Accepted | Refused | Unknown:
        """A customer, an account of theirs, a mandate on it: each under a key of its own, so a repeat goes on."""
        until = _in_time()
        given, _, family = account.holder.rpartition(" ")
        name = {"given_name": given, "family_name": family} if given else {"company_name": account.holder}
        customer = await self._register("customers", name, mandate_id, until)
        if not isinstance(customer, Accepted):
            return customer
        details = {
            "account_holder_name": account.holder,
            "branch_code": account.branch,
            "account_number": account.number,
            "currency": account.currency,
            "links": {"customer": customer.provider_ref},
        }
        registered = await self._register("customer_bank_accounts", details, mandate_id, until)
        if not isinstance(registered, Accepted):
            return registered
        links = {"customer_bank_account": registered.provider_ref}
        return await self._register("mandates", {"links": links}, mandate_id, until)

    async def _register(
        self, kind: str, body: dict[str, Any], mandate_id: UUID, until: float
    ) -> Accepted | Refused | Unknown:
        whole = {kind: body | {"metadata": {"mandate_id": str(mandate_id)}}}
        return await self._create(kind, json.dumps(whole), f"{kind}-{mandate_id}", until)

    async def _create(self, kind: str, body: str, key: str, until: float) -> Accepted | Refused | Unknown:
        answer = await self._ask(
            "POST",
            f"/{kind}",
            until=until,
            content=body.encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": key},
        )
        return answer if isinstance(answer, Unknown) else _outcome(answer, kind)

    async def status(self, provider_ref: str) -> Said | Unknown:
        answer = await self._ask("GET", f"/payments/{quote(provider_ref, safe='')}", until=_in_time())
        if isinstance(answer, Unknown):
            return answer
        says = SAYS.get(word(_body(answer).get("payments"), "status") or "")
        return Said(says) if answer.is_success and says else Unknown(f"answered {answer.status_code}")

    async def look_up(self, debit_id: UUID, body: str, since: date) -> Accepted | Absent | Unknown:
        """The provider lists by mandate and time and not by metadata, so its whole list is read and compared here."""
        mandate = json.loads(body)["payments"]["links"]["mandate"]
        payments = await self._list(_since(since) | {"mandate": mandate})
        if isinstance(payments, Unknown):
            return payments
        ours = [payment for payment in payments if named(payment, "metadata", "debit_id") == debit_id]
        match ours:
            case []:
                return Absent()
            case [payment]:
                return Accepted(payment["id"], _charge_date(payment))
        return Unknown(f"look-up found {len(ours)} payments")

    async def made(self, since: date) -> list[Made] | Unknown:
        payments = await self._list(_since(since), pages=MOST_PAGES_AT_LENGTH)
        return payments if isinstance(payments, Unknown) else [_made(payment) for payment in payments]

    async def _list(self, filters: dict[str, str], *, pages: int = MOST_PAGES) -> list[Any] | Unknown:
        """All pages of a list of payments, or Unknown: a part of it says nothing about the rest."""
        until = _in_time(pages / MOST_PAGES)
        found: list[Any] = []
        for _ in range(pages):
            answer = await self._ask("GET", "/payments", until=until, params=filters)
            if isinstance(answer, Unknown):
                return answer
            page = _body(answer)
            payments, cursors = page.get("payments"), object_(object_(page.get("meta")).get("cursors"))
            if answer.status_code != httpx.codes.OK or not isinstance(payments, list) or "after" not in cursors:
                return Unknown(f"look-up answered {answer.status_code}")
            if not all(word(payment, "id") for payment in payments):
                return Unknown("look-up listed what cannot be read")
            found += payments
            if cursors["after"] is None:
                return found
            filters = filters | {"after": str(cursors["after"])}
        return Unknown(f"look-up found more than {pages} pages")

    # Being told

    def signed_by(self, headers: Mapping[str, str], raw: bytes) -> int | None:
        return callbacks.which_secret(self.secrets, headers, raw)

    def parse(self, raw: bytes) -> Heard:
        return callbacks.parse(raw)

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


def _in_time(times: float = 1) -> float:
    return asyncio.get_running_loop().time() + times * IN_ALL_SECONDS


def _since(since: date) -> dict[str, str]:
    return {"created_at[gte]": f"{since - CLOCKS_DIFFER}T00:00:00.000Z", "limit": str(LONGEST_PAGE)}


def _made(payment: Any) -> Made:
    """One of a list. Raises KeyError or TypeError where it is none of a provider's."""
    return Made(
        payment["id"],
        named(payment, "metadata", "debit_id"),
        word(payment["links"], "mandate") or "",
        int(payment["amount"]),
        _charge_date(payment),
        SAYS.get(word(payment, "status") or ""),
    )


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        return object_(answer.json())
    except ValueError:
        return {}


def _charge_date(payment: Any) -> date | None:
    """When the payer's account is charged: the provider moves what falls on a day on which its banks are closed."""
    try:
        return date.fromisoformat(word(payment, "charge_date") or "")
    except ValueError:
        return None


def _outcome(answer: httpx.Response, kind: str) -> Accepted | Refused | Unknown:
    """What the answer to a creation says; only the provider's own words are a no.

    An idempotency conflict names the thing that this very key has made; an account that is there already is adopted. A
    wrong token, a wrong address or too many requests say nothing about what was asked, so it is asked again.
    """
    body = _body(answer)
    if answer.is_success:
        made = word(body.get(kind), "id")
        return Accepted(made, _charge_date(body[kind])) if made else Unknown("an answer that names nothing")
    error = body.get("error")
    errors = object_(error).get("errors")
    first = object_(errors[0]) if isinstance(errors, list) and errors else {}
    reason, links = word(first, "reason"), first.get("links")
    if answer.status_code == httpx.codes.CONFLICT and reason in ADOPTED:
        made = word(links, ADOPTED[reason])
        return Accepted(made) if made else Unknown("a conflict that names nothing")
    if isinstance(error, dict) and answer.status_code in (400, 409, 422):
        why = reason or word(first, "field") or word(error, "type") or "refused"
        return Refused(why, ends_mandate=why.startswith("mandate"), too_late=word(first, "field") == "charge_date")
    return Unknown(f"answered {answer.status_code}")
