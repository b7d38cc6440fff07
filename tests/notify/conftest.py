"""Notify alone, with its database and a mail sink; a test speaks for the others."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from deploy.local.running.mail import MailSink, Message
from services.notify.main import service
from shared.events.catalog import ClientChanged
from shared.ids import new_id
from tests.conftest import Rooms
from tests.harness.room import Room


@pytest.fixture(scope="session")
def sink() -> Iterator[MailSink]:
    with MailSink() as sink:
        yield sink


@dataclass
class Post:
    """A business that writes to people, and one of them."""

    room: Room
    sink: MailSink
    business_id: UUID
    client_id: UUID
    address: str
    owner: str

    def ana(self, email: str | None, *, client_id: UUID | None = None, sequence: int = 1) -> ClientChanged:
        client_id = client_id or self.client_id
        return ClientChanged(client_id=client_id, sequence=sequence, name="Ana", email=email, active=True)

    async def hear(self, *events: Any) -> None:
        await self.room.hear(self.business_id, *events)

    async def messages(self, **params: str) -> list[dict[str, Any]]:
        async with self.room.http(self.owner) as http:
            listed: list[dict[str, Any]] = (await http.get("messages", params=params)).json()["items"]
        return listed

    async def settled(self) -> list[dict[str, Any]]:
        """The messages, once none waits."""
        async with asyncio.timeout(20):
            while await self.messages(state="queued"):  # noqa: ASYNC110 — they are in the database
                await asyncio.sleep(0.02)
        return await self.messages()

    def mail(self) -> list[Message]:
        """What arrived at this client's address."""
        return [message for message in self.sink.messages if self.address in message.recipients]


@pytest.fixture
async def post(rooms: Rooms, sink: MailSink) -> AsyncIterator[Post]:
    room = await rooms(service, smtp_url=sink.url, mail_from="no-reply@studio.example")
    business_id = await room.business()
    client_id = new_id()
    post = Post(room, sink, business_id, client_id, f"{client_id}@x.example", room.issuer.staff(business_id))
    await post.hear(post.ana(post.address))
    yield post
    assert await room.violations(business_id) == {}
