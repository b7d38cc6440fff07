"""Notify's web door: what was written to whom, and what became of it."""

from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import select

from services.notify.tables import Channel, Message, State
from shared.http import Call, Page, Paging, Permitted

router = APIRouter(tags=["notify"])
Reader = Annotated[Call, Permitted("report.view", "booking.manage", clients=True)]


class MessageView(BaseModel):
    """A message as it was written, and how far it came; `recipient` is a client's id, or `business`."""

    message_id: UUID
    key: str
    recipient: str
    channel: Channel
    address: str | None
    subject: str
    body: str
    state: State
    reason: str | None
    written_at: AwareDatetime
    sent_at: AwareDatetime | None

    @classmethod
    def of(cls, message: Message) -> Self:
        return cls(**{name: getattr(message, name) for name in cls.model_fields})


@router.get("/messages")
async def list_messages(
    call: Reader,
    paging: Paging,
    client_id: UUID | None = None,
    state: State | None = None,
) -> Page[MessageView]:
    """What was written to a client, or by the business at all; a client sees what was written to them."""
    rows = select(Message)
    if wanted := call.caller.client_id or client_id:
        rows = rows.where(Message.recipient == str(wanted))
    if state:
        rows = rows.where(Message.state == state)
    async with call.transaction() as db:
        return await paging.page(db, rows, Message.message_id, MessageView.of)
