"""Corruptions drawn from a seed, over every type of event and every table that occurs; each is one change in SQL.

They are drawn by strata, so that what is rare is corrupted as often as what is common.
"""

import copy
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Table, delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.audit.books import Books, Told
from deploy.audit.reading import tables
from shared.ids import new_id
from shared.plumbing import event_log, inbox
from tests.audit.nature import DATED, REPLACED, UNKEPT, invariant_of, row_counts

NUMBERS = ("sequence", "version")


@dataclass(frozen=True)
class Corruption:
    """One change of one row of one database."""

    service: str
    kind: str
    what: str
    """The type of the event, or the table."""
    detail: str
    names: frozenset[str]
    """The ids by which a finding may name it: of the event, or of the row before and after."""
    detectable: bool
    """By its nature (`nature.py`), decided before any audit."""
    apply: Callable[[AsyncConnection], Any] = field(repr=False, compare=False)
    invariant: str | None = None
    """The invariant of the service itself that is enough to find it, and names the row alone."""


class Corruptor:
    """Draws corruptions of the books of one business."""

    def __init__(self, books: Books, seed: int) -> None:
        self.books, self.rng = books, random.Random(seed)
        self.facts: defaultdict[str, list[Told]] = defaultdict(list)
        for shelf in books.shelves.values():
            for told in shelf.log:
                self.facts[told.type].append(told)
        self.tables = {
            (service, table.name): table
            for service in books.shelves
            for table in tables(service)
            if books.shelves[service].tables[table.name]
        }
        kinds = [self._drop, self._double, self._lose, self._swap, self._alter, self._alter]
        self.strata: list[Callable[[], Corruption | None]] = [
            partial(kind, of) for of in sorted(self.facts) for kind in kinds
        ]
        of_rows = [self._drop_row, self._double_row, self._alter_row, self._alter_row, self._alter_row]
        self.strata += [partial(kind, *of) for of in sorted(self.tables) for kind in of_rows]

    def draw(self) -> Corruption:
        """The next corruption."""
        while True:
            found = self.rng.choice(self.strata)()
            if found is not None:
                return found

    # Events

    def _fact(self, type: str) -> Told:
        return self.rng.choice(self.facts[type])

    def _about(self, kind: str, told: Told, detail: str, detectable: bool, apply: Any, service: str = "") -> Corruption:
        names = frozenset({str(told.event_id), told.subject})
        return Corruption(service or told.publisher, kind, told.type, detail, names, detectable, apply)

    def _drop(self, type: str) -> Corruption:
        told = self._fact(type)
        gone = delete(event_log).where(event_log.c.event_id == told.event_id)
        return self._about("drop", told, str(told.event_id), True, lambda db: db.execute(gone))

    def _double(self, type: str) -> Corruption:
        told, again = self._fact(type), new_id()
        envelope = dict(told.envelope) | {"id": str(again)}
        row = {
            "event_id": again,
            "business_id": self.books.business_id,
            "type": told.type,
            "subject": told.subject,
            "envelope": orjson.dumps(envelope).decode(),
        }
        made = self._about(
            "double", told, f"{told.event_id} as {again}", True, lambda db: db.execute(insert(event_log), row)
        )
        return Corruption(**vars(made) | {"names": made.names | {str(again)}})

    def _lose(self, type: str) -> Corruption | None:
        """A subscriber has never heard of it."""
        told = self._fact(type)
        hearers = [name for name, types in self.books.subscriptions.items() if type in types]
        if not hearers:
            return None
        service = self.rng.choice(sorted(hearers))
        gone = delete(inbox).where(inbox.c.event_id == told.event_id)
        return self._about("lose", told, f"{told.event_id} by {service}", True, lambda db: db.execute(gone), service)

    def _swap(self, type: str) -> Corruption | None:
        """Two facts about one subject change places: their numbers, in what they say and in their envelopes."""
        told = self._fact(type)
        number = next((name for name in NUMBERS if hasattr(told.event, name)), None)
        others = [
            other
            for facts in self.facts.values()
            for other in facts
            if other.subject == told.subject and other.publisher == told.publisher and other is not told
            if number and hasattr(other.event, number) and (other.type == type or number == "sequence")
            if other.type == type or told.publisher in ("booking", "directdebit")
        ]
        if number is None or not others:
            return None
        other = self.rng.choice(sorted(others, key=lambda fact: fact.event_id))
        pair = (told, other)
        newest = max(getattr(f.event, number) for f in self.facts[type] if f.subject == told.subject)
        alike = other.type == type
        replaced = alike and type in REPLACED and all(getattr(f.event, number) < newest for f in pair)
        same = {k: v for k, v in told.envelope["data"].items() if k != number} == {
            k: v for k, v in other.envelope["data"].items() if k != number
        }

        async def apply(db: AsyncConnection) -> None:
            for one, two in (pair, pair[::-1]):
                envelope = copy.deepcopy(dict(one.envelope))
                envelope["data"][number] = two.envelope["data"][number]
                if number in envelope:
                    envelope[number] = two.envelope["data"][number]
                await db.execute(_rewrite(one, envelope))

        detail = f"{told.event_id} and {other.event_id}"
        made = self._about("swap", told, detail, not (replaced or (alike and same)), apply)
        return Corruption(**vars(made) | {"names": made.names | {str(other.event_id)}})

    def _alter(self, type: str) -> Corruption | None:
        """One value of an event is another: in what it says, or its business date."""
        told = self._fact(type)
        envelope = copy.deepcopy(dict(told.envelope))
        places = [("data", *path) for path in _leaves(told.envelope["data"])] + [("businessdate",)]
        place = self.rng.choice(places)
        holder = envelope
        for step in place[:-1]:
            holder = holder[step]
        before = holder[place[-1]]
        after = _another(self.rng, before)
        if after is None or after == before:
            return None
        holder[place[-1]] = after
        fields = {step for step in place if isinstance(step, str)}
        detail = f"{told.event_id} {'.'.join(map(str, place))}: {before} → {after}"
        return self._about(
            "alter", told, detail, self._counts(told, fields), lambda db: db.execute(_rewrite(told, envelope))
        )

    def _counts(self, told: Told, fields: set[str]) -> bool:
        """Whether anybody keeps this value of the event."""
        if fields == {"businessdate"}:
            return told.type in DATED
        if fields & UNKEPT.get(told.type, frozenset()):
            return False
        if told.type in REPLACED and not fields & set(NUMBERS) and told.event.subject_field not in fields:
            number = "version" if hasattr(told.event, "version") else "sequence"
            of_it = [f for f in self.facts[told.type] if f.subject == told.subject]
            return bool(getattr(told.event, number) == max(getattr(f.event, number) for f in of_it))
        return True

    # Rows

    def _row(self, service: str, table: str) -> dict[str, Any]:
        row = self.rng.choice(list(self.books.shelves[service].tables[table]))
        columns = self.tables[service, table].columns.keys()
        return {name: value for name, value in row._mapping.items() if name in columns}

    def _of_row(
        self, kind: str, service: str, table: str, row: Mapping[str, Any], detail: str, column: str = "", **more: Any
    ) -> Corruption:
        ids = {str(value) for value in row.values() if isinstance(value, UUID) and value != self.books.business_id}
        ids |= {row["key"]} if "key" in row else set()
        invariant = invariant_of(table, row, column)
        names = frozenset(ids | more.pop("names", set()) or {table, invariant or table})
        return Corruption(service, kind, table, detail, names, invariant=invariant, **more)

    def _drop_row(self, service: str, table: str) -> Corruption:
        row = self._row(service, table)
        gone = delete(self.tables[service, table]).where(*_key(self.tables[service, table], row))
        counts = row_counts(table, row)
        return self._of_row(
            "drop row", service, table, row, _shown(row), detectable=counts, apply=lambda db: db.execute(gone)
        )

    def _double_row(self, service: str, table: str) -> Corruption | None:
        """The same row under another key; the database itself refuses most."""
        row = self._row(service, table)
        of = self.tables[service, table]
        if of.primary_key.columns.keys() == ["business_id"]:
            return None  # that is another business
        again = dict(row)
        for column in of.primary_key.columns:
            if isinstance(row[column.name], UUID) and column.name != "business_id":
                again[column.name] = new_id()
            elif isinstance(row[column.name], int):
                again[column.name] = row[column.name] + 1000
        if again == row:
            return None
        names = {str(value) for value in again.values() if isinstance(value, UUID) and value != self.books.business_id}
        return self._of_row(
            "double row",
            service,
            table,
            row,
            _shown(again),
            detectable=row_counts(table, row) and table != "provider_facts",
            names=names,
            apply=lambda db: db.execute(insert(of), again),
        )

    def _alter_row(self, service: str, table: str) -> Corruption | None:
        row, of = self._row(service, table), self.tables[service, table]
        column = self.rng.choice(sorted(row.keys() - {"business_id"}))
        before = row[column]
        if before is None:
            return None
        values = sorted({other for other in self._values(service, table, column) if other != before}, key=str)
        after = _another_value(self.rng, before, values)
        if after is None or after == before:
            return None
        detail = f"{_shown(row)} {column}: {before} → {after}"
        change = update(of).where(*_key(of, row)).values({column: after})
        return self._of_row(
            "alter row",
            service,
            table,
            row,
            detail,
            column,
            detectable=row_counts(table, row, column),
            names={str(after)},
            apply=lambda db: db.execute(change),
        )

    def _values(self, service: str, table: str, column: str) -> Iterator[Any]:
        for row in self.books.shelves[service].tables[table]:
            value = getattr(row, column)
            if isinstance(value, str | UUID):
                yield value


def _rewrite(told: Told, envelope: Mapping[str, Any]) -> Any:
    return (
        update(event_log).where(event_log.c.event_id == told.event_id).values(envelope=orjson.dumps(envelope).decode())
    )


def _key(table: Table, row: Mapping[str, Any]) -> list[Any]:
    return [column == row[column.name] for column in table.primary_key.columns]


def _shown(row: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in row.items() if isinstance(value, UUID | int | date))[:200]


def _leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(data, Mapping):
        for name, value in data.items():
            yield from _leaves(value, (*path, name))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _leaves(value, (*path, index))
    else:
        yield path


def _another(rng: random.Random, value: Any) -> Any:
    """Another value of the same shape, as JSON has it; None where there is none to think of."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return max(value + rng.choice([-1, 1, 7, 100]), 0)
    if not isinstance(value, str):
        return None
    for parse in (date.fromisoformat, datetime.fromisoformat):
        try:
            return (parse(value) + timedelta(days=rng.choice([-7, -1, 1, 7]))).isoformat()
        except ValueError:
            continue
    try:
        UUID(value)
    except ValueError:
        return value + "x"
    return str(new_id())


def _another_value(rng: random.Random, value: Any, others: Sequence[Any]) -> Any:
    """Another value of a column: of the same kind, of those that occur where it is a word or an id."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice([-1, 1, 7, 100])
    if isinstance(value, datetime | date):
        return value + timedelta(days=rng.choice([-7, -1, 1, 7]))
    if isinstance(value, UUID):
        return rng.choice([*others, new_id()])
    if isinstance(value, str):
        return rng.choice(others) if others else None
    return None
