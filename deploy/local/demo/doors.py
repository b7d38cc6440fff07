"""The services' doors as a good client uses them: a few requests at a time, each safe to send again under its key."""

import asyncio
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID, uuid5

import httpx

from deploy.local.running import here
from deploy.local.running.system import System, bank_account

AT_ONCE = 8
TRIES = 8
PAUSE_SECONDS = 0.25
PAGE = 200
BRANCH = "062-000"


class Refused(Exception):
    """The service understood, and says no: in the present state of things, or to a field."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.reason = str(document.get("reason", "")).replace("_", " ") or str(document["title"]).rstrip(".")
        super().__init__(self.reason)


class Unexpected(Exception):
    """An answer that the demo cannot go on from."""


class Doors:
    """Speaks to the services of one business, as its owner or as one of its clients."""

    _account: dict[str, Any]

    def __init__(self, system: System, business_id: UUID) -> None:
        self.system, self.business_id = system, business_id
        self._owner = system.issuer.staff(business_id)
        self._http = here.async_client(timeout=30)
        self._few = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def make(
        self, method: str, path: str, body: Any = None, *, act: str = "", client: UUID | None = None
    ) -> dict[str, Any]:
        """Send a request; return the document of its answer. Raises Refused or Unexpected.

        `act` names what is done, the same at every try: its Idempotency-Key comes of it.
        """
        token = self.system.issuer.client(self.business_id, client) if client else self._owner
        headers = {
            "Authorization": f"Bearer {token}",
            "Idempotency-Key": str(uuid5(self.business_id, act or path)),
            "Prefer": "wait=5",
        }
        url = self.system.urls[path.split("/")[1]] + path
        async with self._few:
            answer = await self._sent(method, url, json=body, headers=headers)
        if answer.is_success:
            document: dict[str, Any] = answer.json()
            return document
        if answer.status_code in (409, 422):
            raise Refused(answer.json())
        raise Unexpected(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")

    async def _sent(self, method: str, url: str, **options: Any) -> httpx.Response:
        """The answer to a request; where none came, or one that asks for patience, it is sent again."""
        for left in reversed(range(TRIES)):
            try:
                answer = await self._http.request(method, url, **options)
            except httpx.TransportError as error:
                if not left:
                    raise Unexpected(f"{method} {url} was not answered: {error!r}") from error
            else:
                patience = answer.status_code == 503 or (answer.status_code == 409 and "Retry-After" in answer.headers)
                if not (left and patience):
                    return answer
            await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")

    async def everything(self, path: str, **filters: str) -> list[dict[str, Any]]:
        """All items of a list, page after page."""
        items: list[dict[str, Any]] = []
        query, cursor = urlencode({"limit": PAGE, **filters}), ""
        while True:
            page = await self.make("GET", f"{path}?{query}{cursor}")
            items += page["items"]
            if not page["next_cursor"]:
                return items
            cursor = f"&cursor={page['next_cursor']}"

    async def open_account(self, name: str, now: datetime) -> None:
        """The business opens an account at the bank, on its own clock, and connects it."""
        self._account = await bank_account(self.system, self.business_id, name, now)
        await self.make("PUT", "/directdebit/v1/provider", self._account)

    async def sign(self, holder: str, currency: str) -> dict[str, Any]:
        """The client signs at the bank's own page; the mandate as the bank has it."""
        account = {
            "account_holder_name": holder,
            "account_number": "123456789",
            "branch_code": BRANCH,
            "currency": currency,
        }
        url = f"{self.system.bank_url}/practice/mandates"
        headers = {"Authorization": f"Bearer {self._account['access_token']}"}
        answer = await self._sent("POST", url, json={"mandates": account}, headers=headers)
        mandate: dict[str, Any] = answer.raise_for_status().json()["mandates"]
        return mandate

    async def behave(self, provider_mandate: str, behaviour: dict[str, str]) -> None:
        """The bank is told what to do with the next debits of a mandate."""
        url = f"{self.system.bank_url}/practice/mandates/{provider_mandate}/behaviour"
        (await self._sent("POST", url, json=behaviour)).raise_for_status()
