"""What is audited of one business: what each service has told, heard and kept, and the bank's own log."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, wraps
from typing import Any, TypeVar
from uuid import UUID

import orjson
from pydantic import ValidationError

from shared.events import TYPES

T = TypeVar("T")
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)
SLACK = timedelta(days=2)
"""For so long a fact may have waited to be handled: what it made may be so much younger than it."""


def made_at(id: UUID) -> datetime:
    """When an id was made, in machine time: the first 48 bits of a UUID of version 7 (RFC 9562, 5.7)."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)


def first_id(at: datetime) -> UUID:
    """The least id that can have been made at an instant."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


@dataclass(frozen=True)
class Told:
    """A fact in the log of the service that told it."""

    publisher: str
    event_id: UUID
    type: str
    subject: str
    published_at: datetime
    envelope: Mapping[str, Any]
    event: Any
    """The fact itself; None where the envelope does not hold one of its type."""

    @property
    def date(self) -> date:
        """The business date of the fact."""
        return date.fromisoformat(self.envelope["businessdate"])

    def says(self, member: str) -> Any:
        """A member of the envelope; None where it has none."""
        return self.envelope.get(member)


def read(publisher: str, row: Any) -> Told:
    """A row of an event log; what cannot be read is kept without its fact, for the audit to tell."""
    envelope: dict[str, Any] = {}
    event = None
    with suppress(ValueError, TypeError, KeyError, ValidationError):
        envelope = orjson.loads(row.envelope)
        date.fromisoformat(envelope["businessdate"])
        event = TYPES[row.type].model_validate(envelope["data"])
    return Told(publisher, row.event_id, row.type, row.subject, row.published_at, envelope, event)


@dataclass
class Shelf:
    """One service's part of the books."""

    log: list[Told]
    heard: set[UUID]
    """Events whose effects are in its database."""
    aside: set[UUID]
    """Events set aside there."""
    parked: dict[UUID, str]
    """Of those, the ones that wait for a person, with what went wrong."""
    tables: Mapping[str, Sequence[Any]]
    offenders: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """What its own invariants return, by the name of the invariant."""
    _indexes: dict[tuple[str, tuple[str, ...]], dict[tuple[Any, ...], list[Any]]] = field(
        default_factory=dict, init=False
    )

    @cached_property
    def by_type(self) -> dict[str, list[Told]]:
        """The facts that can be read, by their type, in the order in which they were made."""
        found: defaultdict[str, list[Told]] = defaultdict(list)
        for told in sorted(self.log, key=lambda told: told.event_id):
            if told.event is not None:
                found[told.type].append(told)
        return found

    def rows(self, table: str, **values: Any) -> list[Any]:
        """The rows of a table with these values."""
        columns = tuple(values)
        index = self._indexes.get((table, columns))
        if index is None:
            index = self._indexes[table, columns] = defaultdict(list)
            for row in self.tables[table]:
                index[tuple(getattr(row, column) for column in columns)].append(row)
        return index.get(tuple(values.values()), [])

    def row(self, table: str, **values: Any) -> Any:
        """The first of them; None where there is none."""
        return next(iter(self.rows(table, **values)), None)


@dataclass(frozen=True)
class BankLog:
    """The bank's own log of a business, and the callbacks that it keeps back."""

    payments: Sequence[Mapping[str, Any]]
    held: frozenset[str] = frozenset()


@dataclass
class Books:
    """The books of one business."""

    business_id: UUID
    shelves: Mapping[str, Shelf]
    subscriptions: Mapping[str, frozenset[str]]
    """Service → the types of facts that it handles."""
    kept_since: datetime = BEGINNING
    """Facts told before may have been removed from the logs; nothing is concluded from their absence."""
    heard_until: datetime = NEVER
    """Facts published later may still be on their way."""
    bank_log: BankLog | None = None
    """None where it was not given."""
    _made: dict[Callable[..., Any], Any] = field(default_factory=dict, init=False)

    def told(self, *types: str) -> Iterator[Told]:
        """The facts of some types, in the order in which they were made."""
        for kind in types:
            shelf = self.shelves.get(kind.partition(".")[0])
            if shelf:
                yield from shelf.by_type.get(kind, ())

    def grouped(self, by: str, *types: str, order: str = "sequence") -> dict[UUID, list[Told]]:
        """The facts of some types by an id in them, each group in the order of a number, or as they were made."""
        found: defaultdict[UUID, list[Told]] = defaultdict(list)
        for told in sorted(self.told(*types), key=lambda told: (getattr(told.event, order, 0), told.event_id)):
            found[getattr(told.event, by)].append(told)
        return dict(found)

    def kept(self, id: UUID) -> bool:
        """Whether all facts about something with this id are still in the logs, those that caused it included."""
        if self.kept_since <= BEGINNING:
            return True
        return id.version == 7 and made_at(id) >= self.kept_since + SLACK

    @cached_property
    def by_id(self) -> dict[UUID, Told]:
        """Every fact by its id."""
        return {told.event_id: told for shelf in self.shelves.values() for told in shelf.log}

    @cached_property
    def counted(self) -> dict[str, int]:
        """How much is compared."""
        shelves = self.shelves.values()
        return {
            "events": sum(len(shelf.log) for shelf in shelves),
            "deliveries": sum(
                told.type in subscribed
                for subscribed in self.subscriptions.values()
                for shelf in shelves
                for told in shelf.log
            ),
            "rows": sum(len(rows) for shelf in shelves for rows in shelf.tables.values()),
            "payments": len(self.bank_log.payments) if self.bank_log else 0,
        }


def newest(facts: Iterable[Told], number: str = "sequence") -> dict[str, Told]:
    """Of each subject, the fact with the highest number."""
    found: dict[str, Told] = {}
    for told in facts:
        known = found.get(told.subject)
        if known is None or getattr(told.event, number) > getattr(known.event, number):
            found[told.subject] = told
    return found


def once(make: Callable[[Books], T]) -> Callable[[Books], T]:
    """What is reckoned of the books is reckoned once."""

    @wraps(make)
    def made(books: Books) -> T:
        if make not in books._made:
            books._made[make] = make(books)
        found: T = books._made[make]
        return found

    return made
