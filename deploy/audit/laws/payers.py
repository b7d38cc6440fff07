"""The cents of each payer, by all who count them: billing's events and rows, directdebit's debits, the bank."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from deploy.audit.books import BankLog, Books, Told, once
from deploy.audit.findings import Finding, about_fact
from deploy.audit.folding.bills import ISSUED
from deploy.audit.folding.states import DEBITED, IN_DIRECTDEBIT, SETTLED
from deploy.audit.laws.bank import end_at_the_bank
from deploy.audit.laws.money import parts

Cents = dict[str, Counter[UUID]]


@once
def cents(books: Books) -> Cents:
    """What each payer was invoiced, has paid and owes, each by who says it."""
    shelf = books.shelves["billing"]
    found: defaultdict[str, Counter[UUID]] = defaultdict(Counter)
    payer_of = {invoice.invoice_id: invoice.payer_id for invoice in shelf.tables["invoices"]}
    for invoice in shelf.tables["invoices"]:
        found["invoiced"][invoice.payer_id] += invoice.total_minor
    for told in {told.event.invoice_id: told for told in books.told(ISSUED)}.values():
        found["invoiced, by the events"][told.event.payer_id] += told.event.total_minor
    for part in parts(books).values():
        payer = payer_of.get(part.row.invoice_id)
        if payer is None:
            continue
        found["paid"][payer] += part.brought_minor
        found["credited"][payer] += part.row.amount_minor - part.owed_minor
        found["kept for them"][payer] += max(part.brought_minor - part.owed_minor, 0)
        found["open"][payer] += max(part.owed_minor - part.brought_minor, 0)
        found["by debit, in billing"][payer] += sum(fact.collected_minor for fact in part.by_debit.values())
    for debit in books.shelves["directdebit"].tables["debits"]:
        settled = debit.state == "settled"
        found["by debit, in directdebit"][debit.payer_id] += debit.amount_minor if settled else 0
    if books.bank_log:
        found["by debit, at the bank"] += _at_the_bank(books, books.bank_log)
    return found


def _at_the_bank(books: Books, log: BankLog) -> Counter[UUID]:
    payers: Mapping[str, UUID] = {
        mandate.provider_mandate: mandate.payer_id for mandate in books.shelves["directdebit"].tables["mandates"]
    }
    found: Counter[UUID] = Counter()
    for payment in log.payments:
        payer = payers.get(payment["links"]["mandate"])
        if payer and payment["metadata"].get("debit_id") and end_at_the_bank(payment, log.held) == "settled":
            found[payer] += payment["amount"]
    return found


def payers(books: Books) -> Iterator[Finding]:
    """What was invoiced is what the events say, and all who collect say the same."""
    found = cents(books)
    issued = {told.event.payer_id: told for told in books.told(ISSUED)}
    reviewed = {row.payer_id for row in books.shelves["directdebit"].tables["debits"] if row.state == "in_review"}
    for payer in set().union(*found.values()):

        def said(name: str, payer: UUID = payer) -> int:
            return found.get(name, Counter())[payer]

        because: Told | str = issued.get(payer, ISSUED)
        about = f"payer_id={payer}"
        if said("invoiced") != said("invoiced, by the events") and books.kept(payer):
            by_events = f"{said('invoiced, by the events')}, by the events"
            yield about_fact("unequal", because, "billing", f"{about}, invoiced", by_events, str(said("invoiced")))
        if payer not in reviewed:
            yield from _collected(books, payer, said)


def _collected(books: Books, payer: UUID, said: Any) -> Iterator[Finding]:
    """What debits have brought of a payer, by directdebit, by billing and by the bank."""
    about, says = f"payer_id={payer}, collected", said("by debit, in directdebit")
    others = {"billing": "by debit, in billing"}
    if books.bank_log:
        others["bank"] = "by debit, at the bank"
    for who, name in others.items():
        if said(name) != says:
            last = _last_debit(books, payer)
            yield about_fact(
                "unequal", last, who, about, f"{says}, in directdebit", f"{said(name)}, {name.partition(', ')[2]}"
            )


def _last_debit(books: Books, payer: UUID) -> Told | str:
    debits = {
        row.debit_id for row in books.shelves["directdebit"].rows("debits", payer_id=payer) if row.state in DEBITED
    }
    told = [fact for fact in books.told(*IN_DIRECTDEBIT) if fact.event.debit_id in debits]
    return max(told, key=lambda fact: fact.event_id, default=SETTLED)
