"""What every request passes on its way in: a request id, a trace, a limit to its body, a count, a line in the log.

And the last net. The line names the route, never the path, a query or a body: those may say who somebody is.
"""

import re
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.auth import Caller
from shared.http.problems import document
from shared.ids import new_id
from shared.log import log
from shared.metrics import REQUEST_SECONDS, REQUESTS

REPEAT = "Repeat the request with its Idempotency-Key: it is done once."
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
UNTOLD = frozenset({"/health/live", "/health/ready", "/health/detail", "/metrics"})
TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Gate:
    """ASGI middleware around one service."""

    def __init__(self, app: ASGIApp, *, service: str, body_limit: int) -> None:
        self.app, self.service, self.body_limit = app, service, body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = self._name(scope)
        started, status = time.perf_counter(), 0

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id, service=self.service):
            try:
                await self.app(scope, self._limited(receive), marked)
            except Exception as error:
                log.error("unexpected", path=scope["path"], exc_info=error)
                if status:  # the answer is under way, and only breaking it off tells that it is wrong
                    raise
                answer = document(500, "unexpected", "Something went wrong on our side.", REPEAT)
                await answer(scope, receive, marked)
            finally:
                seconds = time.perf_counter() - started
                REQUESTS.labels(self.service, scope["method"], status).inc()
                REQUEST_SECONDS.labels(self.service).observe(seconds)
                _tell(scope, status, seconds)

    def _name(self, scope: Scope) -> str:
        """The caller's own request id and trace, if they are of a form that may go into logs and events."""
        headers = Headers(scope=scope)
        request_id = headers.get("X-Request-Id", "")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = str(new_id())
        traceparent = headers.get("traceparent", "")
        scope.setdefault("state", {}).update(
            request_id=request_id, traceparent=traceparent if TRACEPARENT.fullmatch(traceparent) else None
        )
        return request_id

    def _limited(self, receive: Receive) -> Receive:
        """Count the body as it streams: a lying or missing Content-Length does not help."""
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.body_limit:
                raise HTTPException(413, f"Send at most {self.body_limit} bytes.")
            return message

        return limited


def _tell(scope: Scope, status: int, seconds: float) -> None:
    """One line for a request, and none for those that only ask how we are."""
    route = getattr(scope.get("route"), "path", None)
    if route in UNTOLD:
        return
    state = scope["state"]
    caller: Caller | None = state.get("caller")
    log.info(
        "request",
        method=scope["method"],
        route=route,
        status=status,
        ms=round(seconds * 1000),
        business_id=caller and caller.business_id,
        actor=caller and caller.actor,
        trace_id=state["traceparent"] and state["traceparent"].split("-")[1],
    )
