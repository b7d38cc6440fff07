"""What the audit finds, and the comparison of what must be with what is."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.audit.books import Books, Told

What = Literal["missing", "doubled", "altered", "unheard", "parked", "unequal", "broken"]


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong, and the event that it concerns."""

    what: What
    type: str
    """The type of the event; of a row that no event makes, its table; "an invariant" where that is what is broken."""
    event_id: str
    """Empty where the event itself is what is missing, or where a person made the row."""
    publisher: str
    subscriber: str
    """The service whose rows, or whose inbox, disagree; the publisher's own are meant where it is the same."""
    about: str
    should: str
    found: str

    @property
    def place(self) -> tuple[str, ...]:
        """What is wrong, and where: a number that is wrong stays so while the business goes on and it moves."""
        return self.what, self.type, self.publisher, self.subscriber, self.about

    def line(self) -> str:
        """The finding on one line."""
        named = " ".join(filter(None, (self.type, self.event_id)))
        between = self.publisher if self.subscriber == self.publisher else f"{self.publisher} → {self.subscriber}"
        return f"{self.what:<8} {named} ({between}), {self.about}: should be {self.should}; found {self.found}"


@dataclass(frozen=True)
class Must:
    """A row that must be there, with these values, because of a fact.

    `because` is the type alone where no such fact was told: then the values are those of a row that heard none.
    """

    service: str
    table: str
    key: Mapping[str, Any]
    values: Mapping[str, Any]
    because: Told | str

    def finding(self, what: What, should: str, found: str, column: str = "") -> Finding:
        """That the row is not as it must be."""
        about = f"{self.table} {named(self.key)}{column and f', {column}'}"
        return about_fact(what, self.because, self.service, about, should, found)


def about_fact(what: What, told: Told | str, subscriber: str, about: str, should: str, found: str) -> Finding:
    """A finding about a fact that was told, or about one of a type that was not."""
    if isinstance(told, str):
        publisher = told.partition(".")[0] if "." in told else subscriber
        return Finding(what, told, "", publisher, subscriber, about, should, found)
    return Finding(what, told.type, str(told.event_id), told.publisher, subscriber, about, should, found)


def named(values: Mapping[str, Any]) -> str:
    """`package_id=…, period_index=2`."""
    return ", ".join(f"{name}={value}" for name, value in values.items())


def disagreements(books: Books, musts: Iterable[Must]) -> Iterator[Finding]:
    """Rows that are missing, doubled or other than they must be."""
    for must in musts:
        rows = books.shelves[must.service].rows(must.table, **must.key)
        if not rows:
            yield must.finding("missing", named(must.values) or "there", "no row")
        elif len(rows) > 1:
            yield must.finding("doubled", "one row", f"{len(rows)} rows")
        else:
            yield from _altered(must, rows[0])


def _altered(must: Must, row: Any) -> Iterator[Finding]:
    for column, value in must.values.items():
        found = getattr(row, column)
        if found == value:
            continue
        if column in ("sequence", "version") and found > value:
            yield must.finding("missing", f"an event for {column} {found}", f"events up to {value}", column)
        else:
            yield must.finding("altered", str(value), str(found), column)


def unexplained(
    books: Books,
    service: str,
    table: str,
    keys: tuple[str, ...],
    explained: Container[tuple[Any, ...]],
    kind: str | Callable[[Any], str],
    *,
    rows: Iterable[Any] | None = None,
    age: str = "",
) -> Iterator[Finding]:
    """Rows, all of a table or those given, that no fact in the logs has made, though one of this kind must have.

    `age` names the id that tells how old a row is, where its first key does not.
    """
    for row in books.shelves[service].tables[table] if rows is None else rows:
        key = tuple(getattr(row, column) for column in keys)
        if key not in explained and books.kept(getattr(row, age or keys[0])):
            about = f"{table} {named(dict(zip(keys, key, strict=True)))}"
            because = kind if isinstance(kind, str) else kind(row)
            yield about_fact("missing", because, service, about, "an event that says so", "none in the log")
