"""An answer that breaks off: the client never learns what became of its request."""

import logging

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PROMISED_BYTES = 500
UVICORN_COMPLAINS = "ASGI callable returned without completing response."


class BreaksOff(Response):
    """Starts a 201, sends the beginning of its body, and ends the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Return before the answer is whole: the server then closes the connection."""
        headers = [(b"content-type", b"application/json"), (b"content-length", str(PROMISED_BYTES).encode())]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"payments": {"id": "', "more_body": True})


def unintended(record: logging.LogRecord) -> bool:
    """For the server's log, which takes an answer that breaks off on purpose for a mistake."""
    return record.msg != UVICORN_COMPLAINS
