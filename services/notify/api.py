"""Notify's web door: what was written to whom and what became of it, and the texts it is written with."""

from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import select

from services.notify import actions
from services.notify.rules.kinds import FOR_STAFF, KINDS, KindName, fact_of, kind_named
from services.notify.rules.templates import Template
from services.notify.tables import BUSINESS, Channel, Message, State
from shared.http import Body, Call, Page, Paging, Permitted
from shared.texts import Line, Prose

router = APIRouter(tags=["notify"])
Reader = Annotated[Call, Permitted("report.view", "booking.manage", clients=True)]
TemplateReader = Annotated[Call, Permitted("catalog.manage", "report.view", "booking.manage")]
Keeper = Annotated[Call, Permitted("catalog.manage")]
AnyKind = Annotated[str, Path(json_schema_extra={"enum": list(KINDS)})]
"""A kind in a path: another one is not found, rather than refused."""


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


class NewTemplate(Body):
    """The business's own text for one kind of message.

    A field is written `$field`, or `${field}` where a letter follows it, and a dollar sign `$$`. Empty fields leave no
    gap: blank lines that meet become one.
    """

    subject: Line
    body: Annotated[Prose, Field(min_length=1)]


class FieldView(BaseModel):
    """A field that a template may use."""

    name: str
    says: str = Field(description="what stands there in the message")
    may_be_empty: bool


class TemplateView(BaseModel):
    """The text in use for one kind of message; `own`: it is the business's, and not ours."""

    kind: KindName
    purpose: str
    fields: list[FieldView]
    subject: str
    body: str
    own: bool

    @classmethod
    def of(cls, name: KindName, own: Template | None) -> Self:
        kind = KINDS[name]
        text = own or kind.default
        return cls(
            kind=name,
            purpose=kind.purpose,
            fields=[FieldView(**vars(field)) for field in kind.fields],
            subject=text.subject,
            body=text.body,
            own=own is not None,
        )


@router.get("/messages")
async def list_messages(
    call: Reader,
    paging: Paging,
    client_id: UUID | None = None,
    state: State | None = None,
    kind: KindName | None = None,
) -> Page[MessageView]:
    """What was written to a client, or by the business at all; a client sees what was written to them."""
    rows = select(Message)
    if wanted := call.caller.client_id or client_id:
        rows = rows.where(Message.recipient == str(wanted))
    if state:
        rows = rows.where(Message.state == state)
    if kind:
        to_staff = kind.endswith(FOR_STAFF)
        rows = rows.where(Message.key.startswith(f"{fact_of(kind)}:", autoescape=True))
        rows = rows.where((Message.recipient == BUSINESS) == to_staff)
    async with call.transaction() as db:
        return await paging.page(db, rows, Message.message_id, MessageView.of)


@router.get("/templates")
async def list_templates(call: TemplateReader) -> Page[TemplateView]:
    """Every kind of message: what it is for, its fields, and the text in use. All of them are on one page."""
    async with call.transaction() as db:
        own = await actions.own_templates(db)
    return Page(items=[TemplateView.of(name, own.get(name)) for name in KINDS])


@router.put("/templates/{kind}")
async def put_template(kind: AnyKind, new: NewTemplate, call: Keeper) -> TemplateView:
    """Put the business's own text; what is written from now on says this (PB-04)."""
    name, text = kind_named(kind), Template(new.subject, new.body)
    async with call.transaction() as db:
        await actions.put_template(db, name, text)
    return TemplateView.of(name, text)


@router.delete("/templates/{kind}")
async def drop_template(kind: AnyKind, call: Keeper) -> TemplateView:
    """Go back to our text, which is the answer; any number of times."""
    name = kind_named(kind)
    async with call.transaction() as db:
        await actions.drop_template(db, name)
    return TemplateView.of(name, None)
