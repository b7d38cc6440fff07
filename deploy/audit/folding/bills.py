"""What billing must have: packages as sold, and an invoice for each sale, period and closure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from deploy.audit.books import Books, Told, newest
from deploy.audit.findings import Finding, Must, about_fact, disagreements, unexplained
from deploy.audit.folding.packages import CLOSED, OPENED, SOLD, SWITCHED
from services.billing.rules import invoicing
from services.billing.tables.packages import BilledPackage
from shared.errors import Problem
from shared.events.catalog import Terms
from shared.schedule import due_date

ISSUED = "billing.invoice_issued.v1"
CLOSURE_BILLED = "billing.closure_billed.v1"


def bills(books: Books) -> Iterator[Finding]:
    """Everything that billing keeps because of a fact is what the fact says."""
    sold = {told.event.package_id: told for told in reversed(list(books.told(SOLD)))}
    yield from disagreements(books, _packages(books, sold))
    known = {(its_id,) for its_id in sold}
    yield from unexplained(books, "billing", "billed_packages", ("package_id",), known, SOLD)
    yield from disagreements(books, _billed(books, sold))
    yield from disagreements(books, _invoices(books))
    yield from _unknown_invoices(books)
    yield from _periods(books, sold)
    yield from _answers(books)


def _packages(books: Books, sold: Mapping[UUID, Told]) -> Iterator[Must]:
    switched = newest(books.told(SWITCHED), "version")
    closed = {told.event.package_id: told for told in books.told(CLOSED) if told.event.counted_before == 0}
    opened = Counter(told.event.package_id for told in books.told(OPENED))
    last = {told.event.package_id: told for told in books.told(OPENED)}
    for its_id, told in sold.items():

        def must(because: Told | str, its_id: UUID = its_id, **values: Any) -> Must:
            return Must("billing", "billed_packages", {"package_id": its_id}, values, because)

        yield must(told, **_as_sold(told))
        switch = switched.get(str(its_id))
        version, auto_pay = (switch.event.version, switch.event.auto_pay) if switch else (0, told.event.auto_pay)
        yield must(switch or told, auto_pay_version=version, auto_pay=auto_pay)
        end = closed.get(its_id)
        yield must(end or CLOSED, ended_date=end and end.date)
        index = 2 + opened[its_id]
        due = _next_due(told, index, ended_date=end.date if end else None)
        yield must(last.get(its_id, OPENED), next_index=index, next_due_date=due)


def _next_due(sale: Told, index: int, *, ended_date: date | None) -> date | None:
    """When the next period falls due, by the rule."""
    terms = sale.event.terms
    package = BilledPackage(
        form=terms.form,
        frequency=terms.frequency,
        term_weeks=terms.term_weeks,
        first_due_date=sale.event.first_due_date,
        ended_date=ended_date,
    )
    return invoicing.next_due(package, index)


def _as_sold(told: Told) -> dict[str, Any]:
    event, terms = told.event, told.event.terms
    columns = ("form", "price_minor", "currency", "frequency", "term_weeks", "post_bill", "name")
    people = {"client_id": event.client_id, "payer_id": event.payer_id, "first_due_date": event.first_due_date}
    return people | {name: getattr(terms, name) for name in columns}


# Invoices


def _billed(books: Books, sold: Mapping[UUID, Told]) -> Iterator[Must]:
    """Each sale, each period of an open-ended package and each closure is billed by the rule."""
    for told in sold.values():
        if bill := _bill_of_sale(told):
            yield _invoice(told, told, {"package_id": told.event.package_id, "period_index": 1}, bill)
    for told in books.told(OPENED):
        sale = sold.get(told.event.package_id)
        terms: Terms | None = sale.event.terms if sale else None
        if sale and terms and terms.form == "recurring" and not terms.term_weeks and terms.price_minor:
            of_period = {"package_id": told.event.package_id, "period_index": told.event.period_index}
            values = {"total_minor": terms.price_minor, "issued_date": told.event.due_date}
            yield Must("billing", "invoices", of_period, _payer(sale) | values, told)
    for told in books.told(CLOSED):
        sale = sold.get(told.event.package_id)
        of_closure = {"closure_id": told.event.closure_id}
        bill = _bill_of_closure(sale, told) if sale else None
        if sale:
            total = bill.total_minor if bill else 0
            values = {"package_id": told.event.package_id, "closed_date": told.date, "total_minor": total}
            yield Must("billing", "closures", of_closure, values, told)
        if sale and bill:
            yield _invoice(sale, told, of_closure, bill)
            for line in bill.lines:
                amount = {"amount_minor": line.amount_minor, "description": line.description}
                yield Must("billing", "invoice_lines", {"booking_id": line.booking_id}, amount, told)


def _invoice(sale: Told, because: Told, key: Mapping[str, Any], bill: invoicing.Bill) -> Must:
    return Must("billing", "invoices", key, _payer(sale) | {"total_minor": bill.total_minor}, because)


def _payer(sale: Told) -> dict[str, Any]:
    event = sale.event
    return {"client_id": event.client_id, "payer_id": event.payer_id, "currency": event.terms.currency}


def _bill_of_sale(told: Told) -> invoicing.Bill | None:
    try:
        return invoicing.bill_sale(told.event)
    except (Problem, ValueError):
        return None  # no such sale was ever made: its altered terms are found in packages


def _bill_of_closure(sale: Told, told: Told) -> invoicing.Bill | None:
    package = BilledPackage(name=sale.event.terms.name, post_bill=sale.event.terms.post_bill)
    try:
        return invoicing.bill_closure(package, told.event, today=told.date)
    except Problem:
        return None


def _invoices(books: Books) -> Iterator[Must]:
    """The rows of each invoice that was issued, and its entry in the journal."""
    for told in books.told(ISSUED):
        event = told.event
        of_invoice = {"invoice_id": event.invoice_id}
        columns = ("number", "package_id", "client_id", "payer_id", "total_minor", "currency")
        head = {name: getattr(event, name) for name in columns} | {"issued_date": told.date}
        yield Must("billing", "invoices", of_invoice, head, told)
        for position, line in enumerate(event.lines, start=1):
            at = of_invoice | {"position": position}
            yield Must("billing", "invoice_lines", at, dict(line), told)
        for position, part in enumerate(event.instalments, start=1):
            dated = dict(part) | {"position": position} | of_invoice
            yield Must("billing", "instalments", {"instalment_id": dated.pop("instalment_id")}, dated, told)


def _unknown_invoices(books: Books) -> Iterator[Finding]:
    """Invoices, lines, instalments and closures that no fact has made."""
    issued = list(books.told(ISSUED))
    known = {(told.event.invoice_id,) for told in issued}
    yield from unexplained(books, "billing", "invoices", ("invoice_id",), known, ISSUED)
    lines = {(told.event.invoice_id, n) for told in issued for n, _ in enumerate(told.event.lines, start=1)}
    yield from unexplained(books, "billing", "invoice_lines", ("invoice_id", "position"), lines, ISSUED)
    parts = {(part.instalment_id,) for told in issued for part in told.event.instalments}
    yield from unexplained(books, "billing", "instalments", ("instalment_id",), parts, ISSUED)
    closures = {(told.event.closure_id,) for told in books.told(CLOSED)}
    yield from unexplained(books, "billing", "closures", ("closure_id",), closures, CLOSED)


def _periods(books: Books, sold: Mapping[UUID, Told]) -> Iterator[Finding]:
    """A period falls due on its date, reckoned from the first (R-05)."""
    for told in books.told(OPENED):
        sale = sold.get(told.event.package_id)
        if sale is None or sale.event.terms.frequency is None:
            continue
        due = due_date(sale.event.first_due_date, sale.event.terms.frequency, told.event.period_index)
        if told.event.due_date != due or told.date != due:
            found = f"{told.event.due_date}, told on {told.date}"
            yield about_fact("altered", told, "billing", f"period {told.event.period_index}", str(due), found)


def _answers(books: Books) -> Iterator[Finding]:
    """Billing answers each closure, with its invoice."""
    closed = {told.event.closure_id: told for told in books.told(CLOSED)}
    answered = {told.event.closure_id: told for told in books.told(CLOSURE_BILLED)}
    for its_id, told in answered.items():
        invoice = books.shelves["billing"].row("invoices", closure_id=its_id)
        should = (closed[its_id].event.package_id if its_id in closed else None, invoice and invoice.invoice_id)
        found = (told.event.package_id, told.event.invoice_id)
        if its_id in closed and should != found:
            yield about_fact("altered", told, "billing", f"closure_id={its_id}", str(should), str(found))
        if its_id not in closed and books.kept(its_id):
            yield _of_no_closure(books, told)
    for its_id, told in closed.items():
        heard = told.event_id in books.shelves["billing"].heard
        if heard and its_id not in answered:
            yield about_fact("missing", CLOSURE_BILLED, "packages", f"closure_id={its_id}", "an answer", "none")


def _of_no_closure(books: Books, told: Told) -> Finding:
    """An answer to a closure that is in no log: its own closure was altered, or the closure is gone."""
    about = f"closure_id={told.event.closure_id}"
    cause = books.by_id.get(UUID(told.says("causationid") or str(UUID(int=0))))
    if cause is not None and cause.type == CLOSED and cause.event is not None:
        return about_fact("altered", told, "billing", about, str(cause.event.closure_id), str(told.event.closure_id))
    return about_fact("missing", CLOSED, "billing", about, "an event that closes", "an answer alone")
