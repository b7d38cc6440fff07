"""Notify's verbs: write a message once, hand it over; keep the texts that a business puts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert

from services.notify.channels import Outgoing
from services.notify.rules.kinds import KINDS, KindName, fact_of
from services.notify.rules.letters import Fields
from services.notify.rules.templates import Letter, Template, accept, write
from services.notify.tables import BUSINESS, Client, Failed, Message, MessageTemplate, Sent
from shared.database import Db
from shared.erasing import scrub
from shared.errors import Later
from shared.ids import new_id
from shared.plumbing import business
from shared.work import schedule

NO_ADDRESS = "no e-mail address"
CLIENT_ERASED = "the client is erased"
NOTHING = Letter("", "")
FORGET = text(
    "update messages set address = null, subject = '', body = '', reason = :why,"
    " state = case state when 'queued' then 'skipped' else state end where client_id = :client_id"
).bindparams(why=CLIENT_ERASED)
"""That they were told stays, or a repeated fact would tell it again."""


@dataclass(frozen=True)
class Sender:
    """The business, as it signs and where its clock stands."""

    name: str
    email: str
    zone: str


@dataclass(frozen=True)
class News:
    """A fact of which a client is to be told, or staff about a client: its business ids, and what fills the letter."""

    about: object
    client_id: UUID
    fields: Callable[[Client, Sender], Fields]


async def sender(db: Db) -> Sender:
    """The business in whose name a message goes out. Raises Later while its profile has not arrived."""
    known = select(business.c.name, business.c.email, business.c.zone).filter_by(business_id=db.context.business_id)
    row = (await db.execute(known)).first()
    if row is None:
        raise Later("the business is not known yet")
    return Sender(*row)


async def addressees(db: Db, news: Iterable[News]) -> dict[UUID, Client]:
    """The clients whom news concern. Raises Later while one of them is not known.

    Locked with others who write to them: who forgets them waits, and then finds what was written.
    """
    ids = {each.client_id for each in news}
    rows = select(Client).where(Client.client_id.in_(ids)).order_by(Client.client_id).with_for_update(read=True)
    found = {row.client_id: row for row in await db.scalars(rows.execution_options(populate_existing=True))}
    if found.keys() != ids:
        raise Later("the client is not known yet")
    return found


async def tell(db: Db, kind: KindName, *news: News, unless: KindName | None = None) -> None:
    """Write to a client about each fact, once; where they know `unless` about it, it comes too late and is skipped."""
    clients, by, template = await addressees(db, news), await sender(db), await template_in_use(db, kind)
    overtaken = await _told(db, {_key(unless, each.about) for each in news}) if unless else set()
    written = []
    for each in news:
        client = clients[each.client_id]
        letter, skipped = NOTHING, CLIENT_ERASED
        if not client.erased:
            letter = write(template, each.fields(client, by))
            skipped = "overtaken by later news" if unless and _key(unless, each.about) in overtaken else ""
        recipient, key = str(each.client_id), _key(kind, each.about)
        written.append(_message(db, key, recipient, each.client_id, client.email, letter, skipped=skipped))
    await _keep(db, written)


async def tell_staff(db: Db, kind: KindName, news: News) -> None:
    """Write to the business about a fact that concerns a client, once."""
    clients, by = await addressees(db, [news]), await sender(db)
    letter = write(await template_in_use(db, kind), news.fields(clients[news.client_id], by))
    await _keep(db, [_message(db, _key(kind, news.about), BUSINESS, news.client_id, by.email, letter)])


async def forget_client(db: Db, client_id: UUID) -> None:
    """What was written to an erased client, or about them, says nothing any more; what waits does not go out."""
    await scrub(db, client_id)
    await db.execute(FORGET, {"client_id": client_id})


def _key(kind: KindName, about: object) -> str:
    """A fact by its business ids, so that a doubled event tells nothing twice."""
    return f"{fact_of(kind)}:{about}"


async def _told(db: Db, keys: set[str]) -> set[str]:
    return set(await db.scalars(select(Message.key).where(Message.key.in_(keys))))


def _message(
    db: Db, key: str, recipient: str, client_id: UUID, address: str | None, letter: Letter, *, skipped: str = ""
) -> dict[str, Any]:
    reason = skipped or (None if address else NO_ADDRESS)
    return {
        "message_id": new_id(),
        "business_id": db.context.business_id,
        "key": key,
        "recipient": recipient,
        "client_id": client_id,
        "channel": "email",
        "address": address or None,
        "subject": letter.subject,
        "body": letter.body,
        "state": "skipped" if reason else "queued",
        "reason": reason,
    }


async def _keep(db: Db, written: Sequence[dict[str, Any]]) -> None:
    """Keep messages, and the work of sending them, unless they are here already."""
    new = insert(Message).on_conflict_do_nothing().returning(Message.message_id)
    kept = set(await db.scalars(new, written))
    queued = [each["message_id"] for each in written if each["state"] == "queued"]
    await schedule(db, "send", *(message_id for message_id in queued if message_id in kept))


async def take(db: Db, message_id: UUID) -> Outgoing | None:
    """A message that waits, as the channel will hand it over; None when nothing is to be sent any more."""
    message = await db.get(Message, message_id)
    if message is None or message.state != "queued" or message.address is None:
        return None
    return Outgoing(
        internet_id=message.internet_id,
        sender_name=db.business.name,
        reply_to=db.business.email,
        address=message.address,
        subject=message.subject,
        body=message.body,
        date=message.written_at,
    )


async def conclude(db: Db, message_id: UUID, outcome: Sent | Failed) -> None:
    """What became of a message."""
    message = await db.get_one(Message, message_id, with_for_update=True)
    if message.state == "queued":
        message.apply(outcome)


async def own_templates(db: Db) -> dict[str, Template]:
    """The texts that the business has put, by their kind."""
    rows = await db.execute(select(MessageTemplate.kind, MessageTemplate.subject, MessageTemplate.body))
    return {row.kind: Template(row.subject, row.body) for row in rows}


async def template_in_use(db: Db, kind: KindName) -> Template:
    """The text of a kind of message: the business's own, or ours."""
    own = select(MessageTemplate.subject, MessageTemplate.body).filter_by(kind=kind)
    row = (await db.execute(own)).first()
    return Template(row.subject, row.body) if row else KINDS[kind].default


async def put_template(db: Db, kind: KindName, template: Template) -> None:
    """Put the business's own text for what is written from now on; messages that are written stay as they are."""
    accepted = accept(template, KINDS[kind].fields)
    text = {"subject": accepted.subject, "body": accepted.body}
    new = insert(MessageTemplate).values(business_id=db.context.business_id, kind=kind, **text)
    await db.execute(new.on_conflict_do_update(index_elements=["business_id", "kind"], set_=text))


async def drop_template(db: Db, kind: KindName) -> None:
    """Go back to our text; where the business has none of its own, nothing changes."""
    await db.execute(delete(MessageTemplate).where(MessageTemplate.kind == kind))
