"""The debits that directdebit sent, and the payments in the bank's own log: the same ones, each once, with one end."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from typing import Any

from deploy.audit.books import BankLog, Books, Told
from deploy.audit.findings import Finding, What, about_fact
from deploy.audit.folding.states import BY_STEP, DEBITED, IN_DIRECTDEBIT, SUBMITTED


def end_at_the_bank(payment: Mapping[str, Any], held: Container[str]) -> str:
    """What the bank has told of a payment, as a state of a debit; a callback that it keeps back is not told yet."""
    end = "submitted"
    for step in payment["history"]:
        if step["links"]["callback"] not in held:
            becomes = BY_STEP.get(step["action"], end)
            end = "returned_by_bank" if (end, becomes) == ("settled", "declined") else becomes
    return end


def _failed(state: str) -> str:
    """A bank that is asked says `failed` before and after the money came: declined and returned are one end here."""
    return "failed" if state in ("declined", "returned_by_bank") else state


def bank(books: Books) -> Iterator[Finding]:
    """Each debit that was sent is one payment at the bank, and ends as that."""
    log = books.bank_log
    if log is None:
        return
    shelf = books.shelves["directdebit"]
    last: dict[str, Told] = {str(told.event.debit_id): told for told in books.told(*IN_DIRECTDEBIT)}
    named: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for payment in log.payments:
        if debit_id := payment["metadata"].get("debit_id"):
            named[debit_id].append(payment)
    mandates = {row.mandate_id: row for row in shelf.tables["mandates"]}
    debits = {str(row.debit_id): row for row in shelf.tables["debits"] if row.state in DEBITED}
    for debit_id in named.keys() | debits.keys():
        because: Told | str = last.get(debit_id, SUBMITTED)
        debit, payments = debits.get(debit_id), named.get(debit_id, [])
        about = f"debit_id={debit_id}"
        if debit is None or len(payments) != 1:
            what: What = "missing" if debit is None or not payments else "doubled"
            should = f"{int(debit is not None)} debits in directdebit, one payment at the bank"
            yield about_fact(what, because, "bank", about, should, f"{len(payments)} payments")
            continue
        yield from _same(log, because, debit, payments[0], mandates.get(debit.mandate_id))
        yield from _steps(books, log, because, debit, payments[0])


def _same(log: BankLog, because: Told | str, debit: Any, payment: Mapping[str, Any], mandate: Any) -> Iterator[Finding]:
    about = f"debit_id={debit.debit_id}"
    ours = {
        "amount": debit.amount_minor,
        "currency": debit.currency,
        "charge_date": str(debit.charge_date),
        "id": debit.provider_ref,
        "mandate": mandate and mandate.provider_mandate,
        "payer": mandate and mandate.payer_id,
    }
    theirs = {**payment, "mandate": payment["links"]["mandate"], "payer": debit.payer_id}
    for name, said in ours.items():
        if theirs[name] != said:
            yield about_fact("altered", because, "bank", f"{about}, {name}", str(theirs[name]), str(said))
    end = end_at_the_bank(payment, log.held)
    if debit.state != "in_review" and _failed(debit.state) != _failed(end):
        yield about_fact("unequal", because, "bank", f"{about}, state", f"{end}, as the bank has told", debit.state)


def _steps(
    books: Books, log: BankLog, because: Told | str, debit: Any, payment: Mapping[str, Any]
) -> Iterator[Finding]:
    """Each step that the bank has told is a fact of the debit."""
    for step in payment["history"]:
        if step["links"]["callback"] is None or step["links"]["callback"] in log.held:
            continue
        fact = books.shelves["directdebit"].row("provider_facts", event_id=step["id"])
        should = (step["action"], payment["id"], debit.debit_id)
        found = fact and (fact.action, fact.provider_ref, fact.debit_id)
        if found != should:
            what: What = "altered" if fact else "missing"
            about = f"provider_facts event_id={step['id']} of debit_id={debit.debit_id}"
            yield about_fact(what, because, "directdebit", about, str(should), str(found or "no row"))
