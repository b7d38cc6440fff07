"""The law of money: each instalment is paid, open or void as its debits and payments say, and so says the journal."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from deploy.audit.books import Books, Shelf, Told, once
from deploy.audit.findings import Finding, about_fact
from deploy.audit.folding.bills import ISSUED
from deploy.audit.folding.states import IN_BILLING, SETTLED
from services.billing.rules.standing import position

ACCOUNTS = ("receivable", "sales", "cash", "account_balance")


@dataclass(frozen=True)
class Part:
    """An instalment, with what was brought for it."""

    row: Any
    brought_minor: int
    by_debit: Mapping[UUID, Any]
    """The newest fact of each of its debits."""

    @property
    def owed_minor(self) -> int:
        """What is owed for it in all."""
        return 0 if self.row.state in ("void", "waived") else int(self.row.amount_minor)


@once
def parts(books: Books) -> dict[UUID, Part]:
    """Every instalment by its id."""
    shelf = books.shelves["billing"]
    found = {}
    for row in shelf.tables["instalments"]:
        facts = sorted(shelf.rows("debit_facts", instalment_id=row.instalment_id), key=lambda fact: fact.sequence)
        newest = {fact.debit_id: fact for fact in facts}
        by_hand = sum(part.amount_minor for part in shelf.rows("payment_parts", instalment_id=row.instalment_id))
        brought = by_hand + sum(fact.collected_minor for fact in newest.values())
        found[row.instalment_id] = Part(row, brought, newest)
    return found


def money(books: Books) -> Iterator[Finding]:
    """Every instalment is paid or open, and the journal says so."""
    all_parts = parts(books)
    issued = {told.event.invoice_id: told for told in books.told(ISSUED)}
    for part in all_parts.values():
        yield from _part(books, part, issued.get(part.row.invoice_id, ISSUED))
    yield from _journal(books, all_parts, issued)
    yield from _payments(books)


def _part(books: Books, part: Part, because: Told | str) -> Iterator[Finding]:
    """An instalment is paid when all of it was brought, due when its date is billed, void when it was taken back."""
    row, shelf = part.row, books.shelves["billing"]
    invoice = shelf.row("invoices", invoice_id=row.invoice_id)
    package = invoice and shelf.row("billed_packages", package_id=invoice.package_id)
    run = shelf.row("daily_runs", business_id=books.business_id)
    if package is None or run is None:
        return
    later = package.ended_date is not None and row.due_date > package.ended_date
    taken_back = package.form == "recurring" and later and ((invoice.period_index or 0) > 1 or row.position > 1)
    if taken_back:
        state = "void"
    elif part.brought_minor >= row.amount_minor:
        state = "paid"
    else:
        state = "due" if row.due_date <= run.last_done or part.by_debit else "scheduled"
    if row.state != state:
        about = f"instalments instalment_id={row.instalment_id}, state"
        yield about_fact("altered", because, "billing", about, state, row.state)


# The journal


def _journal(books: Books, all_parts: Mapping[UUID, Part], issued: Mapping[UUID, Told]) -> Iterator[Finding]:
    """The entries of each invoice, and of each instalment, bring the accounts to where they must stand."""
    shelf = books.shelves["billing"]
    currencies = {invoice.invoice_id: invoice.currency for invoice in shelf.tables["invoices"]}
    entries = {entry.entry_id: entry for entry in shelf.tables["journal_entries"]}
    found: defaultdict[tuple[UUID, UUID | None], Counter[str]] = defaultdict(Counter)
    for posting in shelf.tables["postings"]:
        entry = entries.get(posting.entry_id)
        if entry is None:
            about = f"postings entry_id={posting.entry_id}"
            yield about_fact("missing", "journal_entries", "billing", about, "an entry", "no row")
            continue
        found[entry.invoice_id, entry.instalment_id][posting.account] += posting.amount_minor
        if posting.currency != currencies.get(entry.invoice_id, posting.currency):
            because: Told | str = issued.get(entry.invoice_id, ISSUED)
            about = f"postings entry_id={posting.entry_id}, currency"
            yield about_fact("altered", because, "billing", about, currencies[entry.invoice_id], posting.currency)
    must: dict[tuple[UUID, UUID | None], Mapping[Any, int]] = {
        (invoice.invoice_id, None): position(invoice.total_minor, 0) for invoice in shelf.tables["invoices"]
    }
    for its_id, part in all_parts.items():
        before, after = position(part.row.amount_minor, 0), position(part.owed_minor, part.brought_minor)
        must[part.row.invoice_id, its_id] = {account: after[account] - before[account] for account in after}
    for key in must.keys() | found.keys():
        accounts = must.get(key, {})
        for account in ACCOUNTS:
            if found[key][account] != accounts.get(account, 0):
                about = f"journal of invoice_id={key[0]}, instalment_id={key[1]}, {account}"
                because = _entered_by(books, key, issued)
                yield about_fact(
                    "unequal", because, "billing", about, str(accounts.get(account, 0)), str(found[key][account])
                )
    yield from _entries(books, issued)


def _entered_by(books: Books, key: tuple[UUID, UUID | None], issued: Mapping[UUID, Told]) -> Told | str:
    """The fact whose entry is wrong, as far as the entries of debits can tell; else that of the invoice."""
    invoice_id, instalment_id = key
    shelf = books.shelves["billing"]
    if instalment_id:
        facts = sorted(shelf.rows("debit_facts", instalment_id=instalment_id), key=lambda fact: fact.sequence)
        before: Counter[UUID] = Counter()
        for fact in facts:
            entry = shelf.row(
                "journal_entries", debit_id=fact.debit_id, instalment_id=instalment_id, sequence=fact.sequence
            )
            if _cash(shelf, entry) != fact.collected_minor - before[fact.debit_id]:
                return _told_of(books, fact)
            before[fact.debit_id] = fact.collected_minor
    return issued.get(invoice_id, ISSUED)


def _cash(shelf: Shelf, entry: Any) -> int:
    """The cash that an entry says was brought."""
    sides = shelf.rows("postings", entry_id=entry.entry_id, account="cash") if entry else []
    return sum(side.amount_minor for side in sides)


def _told_of(books: Books, fact: Any) -> Told | str:
    same = (
        told
        for told in books.told(*IN_BILLING)
        if (told.event.debit_id, told.event.sequence) == (fact.debit_id, fact.sequence)
    )
    return next(same, SETTLED)


def _entries(books: Books, issued: Mapping[UUID, Told]) -> Iterator[Finding]:
    """Each entry has its cause, and is dated as that."""
    shelf = books.shelves["billing"]
    for entry in shelf.tables["journal_entries"]:
        because: Told | str = issued.get(entry.invoice_id, ISSUED)
        about = f"journal_entries entry_id={entry.entry_id}"
        if entry.debit_id is not None:
            of_fact = {"debit_id": entry.debit_id, "instalment_id": entry.instalment_id, "sequence": entry.sequence}
            fact = shelf.row("debit_facts", **of_fact)
            if fact is None:
                yield about_fact("missing", SETTLED, "billing", about, "a fact of its debit", "no row")
            elif fact.fact_date != entry.entry_date:
                dates = str(fact.fact_date), str(entry.entry_date)
                yield about_fact("altered", _told_of(books, fact), "billing", f"{about}, entry_date", *dates)
        else:
            yield from _dated(books, entry, because, about)


def _dated(books: Books, entry: Any, because: Told | str, about: str) -> Iterator[Finding]:
    """What an invoice owes is dated as the invoice, what a close takes back as the close; a payment is not earlier."""
    shelf = books.shelves["billing"]
    invoice = shelf.row("invoices", invoice_id=entry.invoice_id)
    package = invoice and shelf.row("billed_packages", package_id=invoice.package_id)
    if entry.payment_id is not None:
        payment = shelf.row("payments", payment_id=entry.payment_id)
        day = max(payment.paid_date, entry.entry_date) if payment else None
    elif entry.instalment_id is None:
        day = invoice and invoice.issued_date
    else:
        day = package and package.ended_date
    if day != entry.entry_date:
        yield about_fact("altered", because, "billing", f"{about}, entry_date", str(day), str(entry.entry_date))


def _payments(books: Books) -> Iterator[Finding]:
    """Each part of a payment by hand is of an instalment of its invoice, and in the journal."""
    shelf = books.shelves["billing"]
    payments = {payment.payment_id: payment for payment in shelf.tables["payments"]}
    for part in shelf.tables["payment_parts"]:
        about = f"payment_parts payment_id={part.payment_id}, instalment_id={part.instalment_id}"
        paid, of = payments.get(part.payment_id), shelf.row("instalments", instalment_id=part.instalment_id)
        if paid is None or of is None or paid.invoice_id != of.invoice_id:
            yield about_fact(
                "altered", "payments", "billing", about, "a payment of the same invoice", str(paid and paid.invoice_id)
            )
        entry = shelf.row("journal_entries", payment_id=part.payment_id, instalment_id=part.instalment_id)
        cash = _cash(shelf, entry)
        if cash != part.amount_minor:
            yield about_fact("unequal", "payments", "billing", about, f"{part.amount_minor} in the journal", str(cash))
    for entry in shelf.tables["journal_entries"]:
        if entry.payment_id and not shelf.rows(
            "payment_parts", payment_id=entry.payment_id, instalment_id=entry.instalment_id
        ):
            about = f"journal_entries entry_id={entry.entry_id}, payment_id"
            yield about_fact("missing", "payments", "billing", about, "a part of a payment", "no row")
