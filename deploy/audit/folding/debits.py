"""What directdebit must have: billing's newest wishes, and debits as it has told of them and as the provider has."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from deploy.audit.books import Books, Told, newest
from deploy.audit.findings import Finding, Must, about_fact, disagreements, unexplained
from deploy.audit.folding.collected import REQUESTED
from deploy.audit.folding.states import AT_PROVIDER, DECLINED, IN_DIRECTDEBIT, SUBMITTED, TOLD_IN_DIRECTDEBIT
from services.directdebit.rules.folding import fold
from services.directdebit.tables.callbacks import ProviderFact


def debits(books: Books) -> Iterator[Finding]:
    """Collections, debits and their items are what the facts have made them."""
    yield from disagreements(books, _collections(books))
    known = {(told.event.instalment_id,) for told in books.told(REQUESTED)}
    yield from unexplained(books, "directdebit", "collections", ("instalment_id",), known, REQUESTED)
    stories = books.grouped("debit_id", *IN_DIRECTDEBIT)
    for debit_id, story in stories.items():
        yield from disagreements(books, _debit(books, debit_id, story))
    yield from _untold(books, {(debit_id,) for debit_id in stories})
    yield from _items(books)
    yield from _provider(books, {debit_id: story[-1] for debit_id, story in stories.items()})


def _collections(books: Books) -> Iterator[Must]:
    """A wish names its day's run once; where the log no longer reaches back to the first, it may have done so then."""
    days: dict[UUID, Told] = {}
    begun: set[UUID] = set()
    for told in books.told(REQUESTED):
        if told.event.version == 1:
            begun.add(told.event.instalment_id)
        if told.event.run_date:
            days.setdefault(told.event.instalment_id, told)
    for told in newest(books.told(REQUESTED), "version").values():
        instalment_id = told.event.instalment_id
        wish = told.event.model_dump(exclude={"instalment_id", "run_date"})
        yield Must("directdebit", "collections", {"instalment_id": instalment_id}, wish, told)
        day = days.get(instalment_id)
        if day or instalment_id in begun:
            run = {"run_date": day.event.run_date if day else None}
            yield Must("directdebit", "collections", {"instalment_id": instalment_id}, run, day or told)


def _debit(books: Books, debit_id: UUID, story: list[Told]) -> Iterator[Must]:
    last = story[-1]
    of_debit = {"debit_id": debit_id}
    row = books.shelves["directdebit"].row("debits", debit_id=debit_id)
    yield Must("directdebit", "debits", of_debit, {"sequence": last.event.sequence}, last)
    if row is None or row.state != "in_review":
        yield Must("directdebit", "debits", of_debit, _state(last, row), last)
    for told in story:
        yield Must("directdebit", "debits", of_debit, {"currency": told.event.currency}, told)
        for item in told.event.items:
            brings = item.collected_minor or item.in_flight_minor
            values = {"attempt_no": item.attempt_no} | ({"amount_minor": brings} if brings else {})
            key = of_debit | {"instalment_id": item.instalment_id}
            yield Must("directdebit", "debit_items", key, values, told)


def _state(last: Told, row: Any) -> dict[str, Any]:
    state = IN_DIRECTDEBIT[last.type]
    if last.type == DECLINED and row is not None and row.provider_ref is None:
        state = "refused"
    final = state == "settled" and all(item.final for item in last.event.items)
    why = {"code": getattr(last.event, "code", None), "reason_class": getattr(last.event, "reason_class", None)}
    return {"state": state, "final": final} | why


def _untold(books: Books, told: set[tuple[UUID]]) -> Iterator[Finding]:
    numbered = [row for row in books.shelves["directdebit"].tables["debits"] if row.sequence]

    def kind(row: Any) -> str:
        return TOLD_IN_DIRECTDEBIT.get(row.state, SUBMITTED)

    yield from unexplained(books, "directdebit", "debits", ("debit_id",), told, kind, rows=numbered)


def _items(books: Books) -> Iterator[Finding]:
    """An item is what was asked for, of the payer who was asked; and it is of a debit."""
    shelf = books.shelves["directdebit"]
    asked = {(told.event.instalment_id, told.event.version): told for told in books.told(REQUESTED)}
    for item in shelf.tables["debit_items"]:
        about = f"debit_items debit_id={item.debit_id}, instalment_id={item.instalment_id}"
        wish = asked.get((item.instalment_id, item.version))
        debit = shelf.row("debits", debit_id=item.debit_id)
        if debit is None:
            yield about_fact("missing", wish or REQUESTED, "directdebit", about, "the debit of its items", "no row")
        elif wish is not None:
            should = (wish.event.payer_id, wish.event.target_minor, wish.event.currency)
            found = (debit.payer_id, item.amount_minor, debit.currency)
            if should != found:
                yield about_fact("altered", wish, "directdebit", about, str(should), str(found))
        elif shelf.row("collections", instalment_id=item.instalment_id) and books.kept(item.instalment_id):
            should_be = f"version {item.version}"
            yield about_fact("missing", REQUESTED, "directdebit", about, should_be, "none in the log")


def _provider(books: Books, last: Mapping[UUID, Told]) -> Iterator[Finding]:
    """A debit is what the provider has told of it, and each of these facts counts for the debit that it names."""
    shelf = books.shelves["directdebit"]
    for fact in shelf.tables["provider_facts"]:
        if fact.debit_id and fact.named_id and fact.debit_id != fact.named_id:
            because = last.get(fact.named_id, SUBMITTED)
            about = f"provider_facts fact_id={fact.fact_id}, debit_id"
            yield about_fact("altered", because, "directdebit", about, str(fact.named_id), str(fact.debit_id))
    columns = ("kind", "occurred_at", "event_id")
    for debit in shelf.tables["debits"]:
        if debit.state not in AT_PROVIDER:
            continue
        rows = shelf.rows("provider_facts", debit_id=debit.debit_id)
        state, _ = fold([ProviderFact(**{name: getattr(row, name) for name in columns}) for row in rows])
        if state != debit.state:
            because = last.get(debit.debit_id, TOLD_IN_DIRECTDEBIT[debit.state])
            about = f"debits debit_id={debit.debit_id}, state"
            yield about_fact("unequal", because, "directdebit", about, f"{state}, as the provider's facts", debit.state)
