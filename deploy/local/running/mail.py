"""The mail sink: an SMTP server that keeps every message it is given and sends none on, with a page to read them."""

import socket
from asyncio import AbstractServer
from collections.abc import Coroutine
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem; padding: 0 1rem; color: #1d2733 }
h1 { font-size: 1.4rem } details { border-bottom: 1px solid #e3e8ee; padding: .6rem 0 } summary { cursor: pointer }
small { color: #5b6875 } pre { white-space: pre-wrap; background: #f5f7fa; padding: 1rem; border-radius: .5rem }
"""


@dataclass(frozen=True)
class Message:
    """One message as it was delivered: `number` counts deliveries, sender and recipients are the envelope's."""

    number: int
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str


class _Listening(Controller):
    """A controller over a socket that already listens, so that port 0 is a known port before the thread starts."""

    def __init__(self, handler: "MailSink", host: str, port: int) -> None:
        self._socket = socket.create_server((host, port))
        super().__init__(handler, hostname="127.0.0.1", port=self._socket.getsockname()[1])

    def _create_server(self) -> Coroutine[Any, Any, AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._socket)


class MailSink:
    """While it is entered, an SMTP server, on a loopback port unless told. A message sent twice is kept twice.

    With a `folder`, each message is also a file there, `00001.eml` and on, and numbers go on where the folder ends.
    """

    _controller: _Listening

    def __init__(self, port: int = 0, folder: Path | None = None, *, host: str = "127.0.0.1") -> None:
        self._host, self._port = host, port
        self._folder = folder
        self._first = 1
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._first += max((int(file.stem) for file in folder.glob("*.eml") if file.stem.isdigit()), default=0)
        self._messages: list[Message] = []

    def __enter__(self) -> "MailSink":
        self._controller = _Listening(self, self._host, self._port)
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()

    @property
    def url(self) -> str:
        """Where to send mail, such as `smtp://127.0.0.1:2525`; known once entered."""
        return f"smtp://127.0.0.1:{self._controller.port}"

    @property
    def messages(self) -> tuple[Message, ...]:
        """What was received so far, in order."""
        return tuple(self._messages)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Keep a message before saying that it was taken."""
        content = envelope.content
        self._keep(content if isinstance(content, bytes) else (content or "").encode(), envelope)
        return "250 Message kept"

    def _keep(self, content: bytes, envelope: Envelope) -> None:
        number = self._first + len(self._messages)
        if self._folder is not None:
            (self._folder / f"{number:05}.eml").write_bytes(content)
        parsed = message_from_bytes(content, policy=default)
        body = parsed.get_body(("plain", "html"))
        self._messages.append(
            Message(
                number=number,
                message_id=parsed.get("Message-ID", ""),
                sender=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                subject=parsed.get("Subject", ""),
                text=body.get_content() if body is not None else "",
            )
        )

    def page(self) -> str:
        """The messages, newest first, each to be opened; a whole HTML document that loads nothing."""
        listed = "".join(_listed(message) for message in reversed(self.messages)) or "<p>No mail yet.</p>"
        return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Mail</title><style>{_STYLE}</style></head>
<body><h1>Mail</h1>{listed}</body>
</html>"""


def _listed(message: Message) -> str:
    return f"""<details><summary>{message.number}. {escape(message.subject or "(no subject)")}
<small>to {escape(", ".join(message.recipients))}</small></summary>
<p><small>from {escape(message.sender)} · {escape(message.message_id)}</small></p>
<pre>{escape(message.text)}</pre></details>"""


def mail_app(sink: MailSink) -> Starlette:
    """An ASGI app over a sink: the page at `/`, the same as data at `/messages.json`."""

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(sink.page())

    async def messages(request: Request) -> JSONResponse:
        return JSONResponse({"messages": [vars(message) for message in sink.messages]})

    return Starlette(routes=[Route("/", page), Route("/messages.json", messages)])
