"""The law of sessions: each lot is what its entries say and ends when it must; each entry has its cause, once."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any
from uuid import UUID

from deploy.audit.books import Books, Told
from deploy.audit.findings import Finding, about_fact, named
from deploy.audit.folding.bills import CLOSURE_BILLED
from deploy.audit.folding.packages import BILLED, SOLD

COUNTS = ("allocated", "adjusted", "held", "consumed", "forfeited")
MAY_REPEAT = (CLOSURE_BILLED,)
"""Facts that give back several sessions of one period at once."""


def sessions(books: Books) -> Iterator[Finding]:
    """Every lot is in balance; that every package is, its invariants say."""
    shelf = books.shelves["packages"]
    for lot in shelf.tables["lots"]:
        of_lot = {"package_id": lot.package_id, "period_index": lot.period_index}
        yield from _lot(books, lot, shelf.rows("ledger_entries", **of_lot))
    yield from _causes(books)


def _lot(books: Books, lot: Any, entries: list[Any]) -> Iterator[Finding]:
    """A lot is what its entries say, and has ended with its last day."""
    because: Told | str = ended_by(books, lot.valid_to) or BILLED
    about = f"lots {named({'package_id': lot.package_id, 'period_index': lot.period_index})}"
    kinds = ("forfeited", "adjusted")
    expected = {kind: sum(entry.quantity for entry in entries if entry.kind == kind) for kind in kinds}
    if books.kept(lot.package_id):
        expected["ended"] = isinstance(because, Told)
    for name, value in expected.items():
        if getattr(lot, name) != value:
            yield about_fact("unequal", because, "packages", f"{about}, {name}", str(value), str(getattr(lot, name)))


def ended_by(books: Books, valid_to: date | None) -> Told | None:
    """The day that was billed first of those after a lot's last; None where the lot runs on."""
    if valid_to is None:
        return None
    return next((told for told in books.told(BILLED) if told.event.business_date >= valid_to), None)


# Causes


def _cause(books: Books, entry: Any) -> Told | None:
    try:
        return books.by_id.get(UUID(entry.cause_id))
    except ValueError:
        return None


def _causes(books: Books) -> Iterator[Finding]:
    """An entry made for an event is dated as it, by whom it was told; and made once."""
    made: Counter[tuple[Any, ...]] = Counter()
    acts = {told.says("correlationid") for told in books.told(SOLD)}
    for entry in books.shelves["packages"].tables["ledger_entries"]:
        about = f"ledger_entries {named({'entry_id': entry.entry_id, 'package_id': entry.package_id})}, {entry.kind}"
        cause = _cause(books, entry)
        if cause is None or cause.event is None:
            human = entry.kind == "adjusted" or entry.cause_id in acts
            if not human and books.kept(entry.entry_id) and books.kept(entry.package_id):
                yield about_fact("missing", "an event", "packages", about, "a cause in a log", entry.cause_id)
            continue
        for name, value in (("business_date", cause.date), ("actor", cause.says("actor"))):
            if getattr(entry, name) != value:
                found = str(getattr(entry, name))
                yield about_fact("altered", cause, "packages", f"{about}, {name}", str(value), found)
        key = (entry.package_id, entry.kind, entry.period_index, entry.booking_id, entry.cause_id)
        made[key] += 1
        if made[key] == 2 and cause.type not in MAY_REPEAT:
            yield about_fact("doubled", cause, "packages", about, "one entry", "two entries")
