"""What packages must have: packages as sold, switched and closed, their lots, and the sessions that came with them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from deploy.audit.books import Books, Told, newest, once
from deploy.audit.findings import Finding, Must, about_fact, disagreements, unexplained
from services.packages.rules import lots
from services.packages.tables import Package

SOLD = "packages.sold.v1"
SWITCHED = "packages.auto_pay_switched.v1"
HELD = "packages.session_held.v1"
NOT_HELD = "packages.hold_refused.v1"
MOVED = "packages.holds_moved.v1"
CLOSED = "packages.closed.v1"
OPENED = "billing.period_opened.v1"
BILLED = "billing.day_billed.v1"


@dataclass(frozen=True)
class Sale:
    """A package, by the facts about it."""

    told: Told
    switched: Told | None
    closures: list[Told]
    opened: list[Told]
    """The periods after the first that brought sessions, in order."""
    held: list[Told]
    """The sessions of it that were set aside, each as it was at first."""

    @cached_property
    def package(self) -> Package:
        """The package, for the rules; a row of no database."""
        event = self.told.event
        return Package(
            **event.model_dump(exclude={"terms"}),
            terms=event.terms,
            post_bill=event.terms.post_bill,
            periods_opened=0 if event.terms.post_bill else 1 + len(self.opened),
        )

    def is_ahead(self, hold: Any) -> bool:
        """Whether the period that a session is of has not been opened."""
        period = lots.period_on(self.package, hold.session_date)
        return lots.is_recurring(self.package) and period is not None and period > self.package.periods_opened


@once
def sales(books: Books) -> dict[UUID, Sale]:
    """Every package whose sale is in the log."""
    switched = newest(books.told(SWITCHED), "version")
    closures = books.grouped("package_id", CLOSED, order="counted_before")
    opened, held = (books.grouped("package_id", kind) for kind in (OPENED, HELD))
    found: dict[UUID, Sale] = {}
    for told in books.told(SOLD):
        its_id = told.event.package_id
        of_it = closures.get(its_id, [])
        bring = {fact.event.period_index: fact for fact in reversed(opened.get(its_id, [])) if _brings(fact, of_it)}
        in_order = [bring[index] for index in sorted(bring)]
        found.setdefault(its_id, Sale(told, switched.get(str(its_id)), of_it, in_order, held.get(its_id, [])))
    return found


def _brings(opened: Told, closures: list[Told]) -> bool:
    """A period brings sessions unless the package was closed before it fell due (R-09)."""
    return not closures or closures[0].date >= opened.event.due_date


def packages(books: Books) -> Iterator[Finding]:
    """Packages, lots and allocations are what the facts have made them."""
    sold = sales(books)
    for its_id, sale in sold.items():
        yield from disagreements(books, _package(its_id, sale))
        yield from disagreements(books, _lots(its_id, sale))
        yield from disagreements(books, _counted(sale))
        yield from _terms(books, its_id, sale)
    yield from _unknown(books, sold)


def _package(its_id: UUID, sale: Sale) -> Iterator[Must]:
    event = sale.told.event

    def must(because: Told | str, **values: Any) -> Must:
        return Must("packages", "packages", {"package_id": its_id}, values, because)

    as_sold = {name: value for name, value in dict(event).items() if name != "auto_pay"}
    yield must(sale.told, **as_sold, post_bill=event.terms.post_bill, sold_date=sale.told.date)
    switch = sale.switched
    yield must(switch or sale.told, auto_pay=(switch or sale.told).event.auto_pay)
    yield must(switch or SWITCHED, auto_pay_version=switch.event.version if switch else 0)
    yield must(sale.opened[-1] if sale.opened else OPENED, periods_opened=sale.package.periods_opened)
    if sale.closures:
        first = sale.closures[0]
        closed = {"state": "closed", "closure_id": first.event.closure_id, "closed_date": first.date}
        yield must(first, **closed)
    else:
        yield must(CLOSED, state="active", closure_id=None, closed_date=None)


def _lots(its_id: UUID, sale: Sale) -> Iterator[Must]:
    """The sessions that the sale and each period brought, and their entries in the ledger."""
    package = sale.package
    for told in [] if package.post_bill else [sale.told, *sale.opened]:
        index = 1 if told is sale.told else told.event.period_index
        lot = lots.lot_of(package, index)
        dates = {"valid_from": lot.valid_from, "valid_to": lot.valid_to, "size": lot.size}
        if told is not sale.told:
            dates["valid_from"] = told.event.due_date
        of_lot = {"package_id": its_id, "period_index": index}
        yield Must("packages", "lots", of_lot, dates, told)
        if lot.size:
            entry = {"quantity": lot.size, "business_date": told.date, "actor": told.says("actor")}
            cause = told.says("causationid") or told.says("correlationid") if index == 1 else str(told.event_id)
            entry["cause_id"] = cause
            yield Must("packages", "ledger_entries", of_lot | {"kind": "allocated"}, entry, told)


def _counted(sale: Sale) -> Iterator[Must]:
    """Each session that a closure counted is marked with it."""
    for closed in sale.closures:
        for session in closed.event.sessions:
            used = {
                "closure_id": closed.event.closure_id,
                "service_id": session.service_id,
                "session_date": session.session_date,
            }
            yield Must("packages", "holds", {"booking_id": session.booking_id}, used, closed)


def _terms(books: Books, its_id: UUID, sale: Sale) -> Iterator[Finding]:
    """What later facts repeat of the terms is as sold."""
    terms = sale.told.event.terms
    for closed in sale.closures:
        should, found = (terms.tiers, terms.currency), (closed.event.tiers, closed.event.currency)
        if should != found:
            yield about_fact("altered", closed, "packages", f"package_id={its_id}, tiers", str(should), str(found))
    for held in sale.held:
        should = (terms.late_cancel_hours, terms.needs_approval)
        found = (held.event.late_cancel_hours, held.event.needs_approval)
        if should != found:
            yield about_fact("altered", held, "packages", f"package_id={its_id}, terms", str(should), str(found))


def _unknown(books: Books, sold: Mapping[UUID, Sale]) -> Iterator[Finding]:
    """Packages, lots, allocations and closures that no fact has made."""
    tables = books.shelves["packages"].tables
    known = {(its_id,) for its_id in sold}
    yield from unexplained(books, "packages", "packages", ("package_id",), known, SOLD)
    periods = {(its_id, index) for its_id, sale in sold.items() for index in range(1, sale.package.periods_opened + 1)}
    of_lot = ("package_id", "period_index")
    yield from unexplained(books, "packages", "lots", of_lot, periods, OPENED)
    allocated = [row for row in tables["ledger_entries"] if row.kind == "allocated"]
    yield from unexplained(books, "packages", "ledger_entries", of_lot, periods, OPENED, rows=allocated)
    closures = [(closed.event.closure_id, closed.event.sessions) for closed in books.told(CLOSED)]
    counted = {(session.booking_id, its_id) for its_id, sessions in closures for session in sessions}
    of_closure, marked = ("booking_id", "closure_id"), [row for row in tables["holds"] if row.closure_id]
    yield from unexplained(books, "packages", "holds", of_closure, counted, CLOSED, rows=marked, age="closure_id")
