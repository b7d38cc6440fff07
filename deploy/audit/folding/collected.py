"""What billing must have of its collections: what it asked for, what debits brought, what it told of failures."""

from collections.abc import Iterator
from typing import Any

from deploy.audit.books import Books, Told, newest
from deploy.audit.findings import Finding, Must, about_fact, disagreements, unexplained
from deploy.audit.folding.states import IN_BILLING, SETTLED, TOLD_IN_BILLING

REQUESTED = "billing.collection_requested.v1"
FAILED = "billing.collection_failed.v1"
OVERDUE = "billing.instalment_overdue.v1"


def collected(books: Books) -> Iterator[Finding]:
    """What billing asked for, heard of and told is what its rows say."""
    yield from disagreements(books, _asked(books))
    yield from _debit_facts(books)
    yield from disagreements(books, _told(books))
    for told in books.told(FAILED, OVERDUE):
        yield from _amount(books, told)
    yield from _untold(books)


def _asked(books: Books) -> Iterator[Must]:
    """What billing keeps of its newest wish for each instalment; and of the payer whom it reminded."""
    for told in newest(books.told(REQUESTED), "version").values():
        event = told.event
        wish = {"collection_version": event.version, "target_minor": event.target_minor}
        yield Must("billing", "instalments", {"instalment_id": event.instalment_id}, wish, told)
    for told in books.told(REQUESTED):
        part = {"instalment_id": told.event.instalment_id}
        yield Must("billing", "instalments", part, {"due_date": told.event.collect_date}, told)
    for told in books.told(OVERDUE):
        event = told.event
        late = {"reminded_date": told.date, "due_date": event.due_date, "invoice_id": event.invoice_id}
        yield Must("billing", "instalments", {"instalment_id": event.instalment_id}, late, told)


def _debit_facts(books: Books) -> Iterator[Finding]:
    """Each fact about a debit is kept for each of its instalments."""
    known = set()
    keys = ("debit_id", "instalment_id", "sequence")
    for told in books.told(*IN_BILLING):
        event = told.event
        why = {"code": getattr(event, "code", None), "reason_class": getattr(event, "reason_class", None)}
        for item in event.items:
            values = dict(item) | why | {"state": IN_BILLING[told.type], "fact_date": told.date}
            key = {"debit_id": event.debit_id, "instalment_id": values.pop("instalment_id"), "sequence": event.sequence}
            known.add(tuple(key.values()))
            yield from disagreements(books, [Must("billing", "debit_facts", key, values, told)])

    def kind(row: Any) -> str:
        return TOLD_IN_BILLING.get(row.state, SETTLED)

    yield from unexplained(books, "billing", "debit_facts", keys, known, kind)


def _told(books: Books) -> Iterator[Must]:
    """A failure of which the payer was told is the fact of the debit that says so."""
    for told in books.told(FAILED):
        event = told.event
        of_part = {"debit_id": event.debit_id, "instalment_id": event.instalment_id, "told": True}
        fact = {
            "state": event.what,
            "attempt_no": event.attempt_no,
            "reason_class": None if event.what == "claimed" else event.reason_class,
            "next_attempt_date": event.next_attempt_date,
        }
        yield Must("billing", "debit_facts", of_part, fact, told)
    for told in books.told(FAILED, OVERDUE):
        event = told.event
        head = {
            "number": event.invoice_number,
            "client_id": event.client_id,
            "payer_id": event.payer_id,
            "currency": event.currency,
        }
        yield Must("billing", "invoices", {"invoice_id": event.invoice_id}, head, told)
        of_part = {"instalment_id": event.instalment_id}
        yield Must("billing", "instalments", of_part, {"invoice_id": event.invoice_id}, told)


def _amount(books: Books, told: Told) -> Iterator[Finding]:
    """What was open of an instalment when its payer was told: its amount, less what had been paid by hand."""
    shelf, event = books.shelves["billing"], told.event
    part = shelf.row("instalments", instalment_id=event.instalment_id)
    if part is None:
        return
    paid, could_be = 0, [part.amount_minor]
    for payment in sorted(shelf.rows("payment_parts", instalment_id=event.instalment_id), key=lambda p: p.payment_id):
        paid += payment.amount_minor
        could_be.append(part.amount_minor - paid)
    final = told.type == FAILED and event.final != (event.next_attempt_date is None)
    if event.amount_minor not in could_be or final:
        should = " or ".join(map(str, could_be)) + " open"
        yield about_fact("altered", told, "billing", f"instalment_id={event.instalment_id}", should, str(event))


def _untold(books: Books) -> Iterator[Finding]:
    """Facts, wishes and reminders of which billing notes that it has told them, and no event says so."""
    tables = books.shelves["billing"].tables
    keys, told = ("debit_id", "instalment_id"), [row for row in tables["debit_facts"] if row.told]
    failed = {(fact.event.debit_id, fact.event.instalment_id) for fact in books.told(FAILED)}
    yield from unexplained(books, "billing", "debit_facts", keys, failed, FAILED, rows=told)
    noted = {
        OVERDUE: [row for row in tables["instalments"] if row.reminded_date],
        REQUESTED: [row for row in tables["instalments"] if row.collection_version],
    }
    for kind, rows in noted.items():
        said = {(fact.event.instalment_id,) for fact in books.told(kind)}
        yield from unexplained(books, "billing", "instalments", ("instalment_id",), said, kind, rows=rows)
