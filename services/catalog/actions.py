"""Catalog's verbs: load rows with a lock, ask the rule, apply and publish the fact."""

from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import CursorResult, Select, Text, delete, exists, func, literal, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import aliased

from services.catalog import rules
from services.catalog.tables import Client, ClientWord, Entry, OfferedService, Staff, StartedDays, TemplateVersion
from shared.auth import Caller
from shared.clock import BusinessClock
from shared.copies import keep
from shared.database import Context, Db
from shared.erasing import scrub
from shared.errors import NotFound
from shared.events import Event
from shared.events.catalog import BusinessChanged, BusinessDayStarted, TemplatePublished, Terms
from shared.money import Currency
from shared.outbox import alike, publish
from shared.plumbing import business, outbox
from shared.work import done, schedule

E = TypeVar("E", bound=Entry)

TOLD: dict[type[Event], Any] = {
    BusinessChanged: business.c,
    **{kind.told: kind for kind in (Client, Staff, OfferedService)},
    TemplatePublished: TemplateVersion,
}
"""What others keep copies of, and the rows that tell it."""
LAST_CHARACTER = "\U0010ffff"
"""Above every word that begins with what stands before it."""


async def find_business(db: Db, business_id: UUID, *, lock: bool = False) -> BusinessChanged:
    """The business as last told. Raises NotFound before its first profile."""
    rows = select(business).filter_by(business_id=business_id)
    row = (await db.execute(rows.with_for_update() if lock else rows)).one_or_none()
    if row is None:
        raise NotFound("Describe the business first.")
    return BusinessChanged(**row._mapping)


async def describe_business(
    db: Db, context: Context, *, production: bool, test_now: datetime | None, **described: str
) -> None:
    """The first description makes the business: its row is written before it is locked, so that there is one."""
    new = insert(business).values(business_id=context.business_id, sequence=0, **described)
    await db.execute(new.on_conflict_do_nothing())
    last = await find_business(db, context.business_id, lock=True)
    fact = rules.describe(last, test_now=test_now, production=production, **described)
    await _tell_business(db, context, fact)


async def move_clock(db: Db, context: Context, *, now: datetime, production: bool) -> None:
    """The business is at another instant."""
    last = await find_business(db, context.business_id, lock=True)
    await _tell_business(db, context, rules.move_clock(last, now=now, production=production))


async def _tell_business(db: Db, context: Context, fact: BusinessChanged) -> None:
    """Keep and publish the fact, on the date that it is now at the business; then that this date has started."""
    await db.enter(replace(context, business_date=BusinessClock(fact.zone, fact.test_now).now().date()))
    await keep(db, business, fact)
    publish(db, fact)
    await start_days(db, fact)


async def start_days(db: Db, told: BusinessChanged) -> None:
    """Tell that all dates up to today have started, if that is new; in real time, come back when the next one does.

    The newest date only rises: no zone, clock change or second worker starts one again (R-08, R-10). The work is left
    as a fresh row, which whoever holds the lease of the old one cannot take for done.
    """
    now = BusinessClock(told.zone, told.test_now).now()
    await db.enter(replace(db.context, business_date=now.date()))
    rise = insert(StartedDays).values(business_id=told.business_id, started_date=now.date())
    rise = rise.on_conflict_do_update(
        index_elements=[StartedDays.business_id],
        set_={"started_date": rise.excluded.started_date},
        where=StartedDays.started_date < rise.excluded.started_date,
    )
    if (await db.execute(rise.returning(StartedDays.started_date))).first():
        publish(db, BusinessDayStarted(business_id=told.business_id, business_date=now.date()))
    if told.test_now is None:
        started = (await db.scalars(select(StartedDays.started_date).filter_by(business_id=told.business_id))).one()
        await done(db, "start_day", told.business_id)
        await schedule(db, "start_day", told.business_id, after=rules.next_start(started, told.zone, now) - now)


async def add(db: Db, entry_id: UUID, /, kind: type[Entry], **fields: Any) -> None:
    """A new entry in the book."""
    key = {kind.told.subject_field: entry_id}
    entry = kind(**key, business_id=db.context.business_id, sequence=0, active=True)
    db.add(entry)
    await _become(db, entry, rules.change(entry, fields))


async def change(db: Db, entry_id: UUID, kind: type[Entry], changes: dict[str, Any]) -> None:
    """Some fields of an entry are now others. Raises NotFound."""
    entry = await db.get(kind, entry_id, with_for_update=True)
    if entry is None:
        raise NotFound
    await _become(db, entry, rules.change(entry, changes))


async def erase(db: Db, client_id: UUID) -> None:
    """Who a client was is known no more, here and, when they hear it, everywhere (docs/decisions/0017).

    Nothing that is open refuses it: bookings, packages and what is owed stand under the id. Raises NotFound.
    """
    client = await db.get(Client, client_id, with_for_update=True)
    if client is None:
        raise NotFound
    fact = rules.erase(client)
    await scrub(db, client_id)
    await _become(db, client, fact)


async def _become(db: Db, entry: Entry, fact: Event) -> None:
    entry.apply(fact)
    publish(db, fact)
    if isinstance(entry, Client):
        await _index(db, entry)


async def _index(db: Db, client: Client) -> None:
    """Keep the words by which a client is found."""
    await db.flush()
    await db.execute(delete(ClientWord).filter_by(client_id=client.client_id))
    owner = {"business_id": client.business_id, "client_id": client.client_id}
    found_by = [{"word": word} | owner for word in rules.words(client.name, client.email)]
    if found_by:
        await db.execute(insert(ClientWord), found_by)


def clients_called(search: str) -> Select[Client]:
    """The clients of whom every word looked for begins a word of their name or mail address."""
    clients = select(Client)
    for word in rules.words(search):
        begins = select(ClientWord.client_id).where(ClientWord.word >= word, ClientWord.word < word + LAST_CHARACTER)
        clients = clients.where(Client.client_id.in_(begins))
    return clients


async def find(db: Db, kind: type[E], entry_id: UUID, *, caller: Caller) -> E:
    """An entry that the caller may see. Raises NotFound."""
    entry = await db.get(kind, entry_id)
    if entry is None or not rules.may_see(entry, caller.client_id):
        raise NotFound
    return entry


async def offer(db: Db, template_id: UUID, /, *, description: str, currency: Currency | None, **terms: Any) -> None:
    """A new template is on sale, in the currency of the business unless it names another."""
    fact = await _offered(db, template_id, 1, Terms(currency=currency or db.business.currency, **terms))
    _keep_version(db, fact, description)


async def revise(db: Db, template_id: UUID, /, *, description: str, currency: Currency | None, **terms: Any) -> None:
    """A template is on sale as a new version; one that is so already stays as it is. Raises NotFound."""
    newest = await _lock_newest(db, template_id)
    wanted = Terms(currency=currency or db.business.currency, **terms)
    fact = await _offered(db, template_id, newest.version + 1, wanted)
    if (newest.active, newest.description, newest.terms) != (True, description, wanted):
        _keep_version(db, fact, description)


async def withdraw(db: Db, template_id: UUID) -> None:
    """A template is sold no more. Raises NotFound."""
    newest = await _lock_newest(db, template_id)
    _keep_version(db, rules.withdraw(newest), newest.description)


async def _offered(db: Db, template_id: UUID, version: int, terms: Terms) -> TemplatePublished:
    services = await db.scalars(select(OfferedService).where(OfferedService.service_id.in_(terms.service_ids)))
    staff = await db.scalars(select(Staff).where(Staff.staff_id.in_(terms.practitioner_ids)))
    return rules.offer(template_id, version, terms, services.all(), staff.all())


def _keep_version(db: Db, fact: TemplatePublished, description: str) -> None:
    business_id = db.context.business_id
    db.add(TemplateVersion(business_id=business_id, description=description, **dict(fact)))
    publish(db, fact)


def newest_templates(*, active: bool | None) -> Select[TemplateVersion]:
    """Each template in its newest version; only those on sale, or withdrawn, where `active` says so."""
    newer = aliased(TemplateVersion)
    outdated = exists().where(newer.template_id == TemplateVersion.template_id, newer.version > TemplateVersion.version)
    rows = select(TemplateVersion).where(~outdated)
    return rows if active is None else rows.where(TemplateVersion.active == active)


async def find_template(db: Db, template_id: UUID, *, caller: Caller) -> TemplateVersion:
    """A template as it is now; a client finds those on sale. Raises NotFound."""
    rows = newest_templates(active=True if caller.is_client else None).where(TemplateVersion.template_id == template_id)
    template = (await db.scalars(rows)).one_or_none()
    if template is None:
        raise NotFound
    return template


async def _lock_newest(db: Db, template_id: UUID) -> TemplateVersion:
    """The newest version, with a lock on the first: the one row that every version of a template has."""
    if await db.get(TemplateVersion, (template_id, 1), with_for_update=True) is None:
        raise NotFound
    return (await db.scalars(newest_templates(active=None).where(TemplateVersion.template_id == template_id))).one()


async def tell_again(db: Db) -> int:
    """Tell the whole book of the business once more, as it is, for those whose copies are in doubt; how many facts.

    Each entry has the number that it has: who keeps a copy writes over an equal one, and leaves a newer one. The facts
    go behind all that is fresh.
    """
    facts = 0
    for event, rows in TOLD.items():
        facts += cast("CursorResult[Any]", await db.execute(_told(db, event, rows))).rowcount
    return facts


def _told(db: Db, event: type[Event], rows: Any) -> Insert:
    """A statement that tells each row of the business as a fact of this type, whose fields are its columns."""
    data = func.json_build_object(*chain.from_iterable((name, getattr(rows, name)) for name in event.model_fields))
    own = [func.new_id().label("id"), getattr(rows, event.subject_field).label("subject"), data.label("data")]
    row = select(*own).where(rows.business_id == db.context.business_id).subquery().c
    envelope = func.envelope(alike(db, "catalog"), row.id, event.type, row.subject, db.today, row.data)
    fact = {
        "event_id": row.id,
        "business_id": literal(db.context.business_id),
        "type": literal(event.type),
        "subject": sql_cast(row.subject, Text),
        "envelope": envelope,
        "not_before": func.now(),
    }
    return insert(outbox).from_select(list(fact), select(*fact.values()))
