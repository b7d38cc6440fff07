"""HTTP to a running system, as behind a gateway: the first part of the path finds the service."""

import asyncio
from typing import Any

import httpx

from deploy.local.running import here
from deploy.local.running.system import System
from shared.ids import new_id
from tests.harness.leaks import found_in


class _ByPrefix(httpx.AsyncBaseTransport):
    def __init__(self, urls: dict[str, str]) -> None:
        self._urls = {name: httpx.URL(url) for name, url in urls.items()}
        self._wire = httpx.AsyncHTTPTransport(verify=here.NO_TLS, limits=httpx.Limits(max_connections=100))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = self._urls[request.url.path.split("/")[1]]
        request.url = request.url.copy_with(host=target.host, port=target.port)
        return await self._wire.handle_async_request(request)

    async def aclose(self) -> None:
        await self._wire.aclose()


class Caller:
    """Somebody with a token; every POST gets a new Idempotency-Key unless told another."""

    def __init__(self, system: System, token: str) -> None:
        self._http = httpx.AsyncClient(
            transport=_ByPrefix(system.urls),
            base_url="http://127.0.0.1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Idempotency-Key": str(new_id())} | options.pop("headers", {})
        answer = await self._http.request(method, path, headers=headers, **options)
        assert found_in(f"the answer to {method} {path}", answer.text) == []
        return answer

    async def insist(self, path: str, body: Any, *, method: str = "POST", **headers: str) -> httpx.Response:
        """Ask again under one key until somebody answers: what a good client does.

        502, 503 and 504 are no answers: nobody was there, or nobody knows what became of it.
        """
        headers = {"Idempotency-Key": str(new_id())} | headers
        while True:
            try:
                answer = await self.request(method, path, json=body, headers=headers)
                if answer.status_code not in (502, 503, 504):
                    return answer
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)

    async def make(self, method: str, path: str, body: Any = None, *, expect: int | None = None) -> dict[str, Any]:
        """Send, and return the document; fail with the answer's own words unless it is a success (or as expected)."""
        answer = await self.request(method, path, json=body)
        fine = answer.status_code == expect if expect else answer.is_success
        assert fine, f"{method} {path} answered {answer.status_code}: {answer.text}"
        document: dict[str, Any] = answer.json()
        return document

    async def close(self) -> None:
        await self._http.aclose()
