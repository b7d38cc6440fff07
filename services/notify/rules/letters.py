"""What each kind of message has to say: an event and names in, the fields of its template out (see `kinds`).

A bank account never appears, and no bank's reason: only whether it may pass.
"""

from services.notify.rules.wording import PERIODS, counted, day, moment, money
from shared.events.billing import CollectionFailed, InstalmentOverdue, InvoiceIssued
from shared.events.booking import BookingCancelled, BookingConfirmed
from shared.events.packages import PackageSold

Fields = dict[str, str]


def purchase_confirmed(event: PackageSold, *, client: str, business: str) -> Fields:
    """A client hears what they have bought, and from when it may be used."""
    terms = event.terms
    each = f" each {PERIODS[terms.frequency]}" if terms.form == "recurring" and terms.frequency else ""
    holds = f"It holds {counted(terms.session_count, 'session')}{each}." if terms.session_count else ""
    price = f"The price is {money(terms.price_minor, terms.currency)}{each}." if terms.price_minor else ""
    if terms.post_bill:
        price = "You pay for the sessions you have used, once the package is closed."
    return {
        "client": client,
        "business": business,
        "package": terms.name,
        "sessions_sentence": holds,
        "price_sentence": price,
        "start_date": day(event.start_date),
    }


def booking_confirmed(event: BookingConfirmed, *, client: str, business: str, zone: str) -> Fields:
    """A client hears that they have a place, and when, by the clock of the business."""
    return {"client": client, "business": business, "starts_at": moment(event.starts_at, zone)}


def booking_cancelled(event: BookingCancelled, *, client: str, business: str) -> Fields:
    """A client hears that a booking is off, and what became of its session (PB-15)."""
    if not event.had_session:
        outcome = "It had taken no session from a package yet."
    elif event.returns_session:
        outcome = "Its session is back in your package."
    else:
        outcome = "It was cancelled too late for the session to return, so the session counts as used."
    return {
        "client": client,
        "business": business,
        "session_date": day(event.session_date),
        "session_sentence": outcome,
        "reason_sentence": f"Reason: {event.reason}" if event.reason else "",
    }


def invoice_issued(event: InvoiceIssued, *, payer: str, business: str) -> Fields:
    """A payer gets the lines of a new invoice and the dates on which it is due."""
    lines = [f"{line.description}: {money(line.amount_minor, event.currency)}" for line in event.lines]
    dates = [f"{day(part.due_date)}: {money(part.amount_minor, event.currency)}" for part in event.instalments]
    return {
        "payer": payer,
        "business": business,
        "invoice_number": str(event.number),
        "total": money(event.total_minor, event.currency),
        "lines": "\n".join(lines),
        "due_dates": "\n".join(dates),
    }


def instalment_overdue(event: InstalmentOverdue, *, payer: str, business: str) -> Fields:
    """A payer is reminded of what is overdue; the reminder blocks nothing (CC-03)."""
    return {
        "payer": payer,
        "business": business,
        "invoice_number": str(event.invoice_number),
        "amount": money(event.amount_minor, event.currency),
        "due_date": day(event.due_date),
    }


def concerns_payer(event: CollectionFailed) -> bool:
    """A payer who has claimed a debit back knows it, and disputes it: only staff are told, for a person decides."""
    return event.what != "claimed"


def collection_failed(event: CollectionFailed, *, payer: str, business: str) -> Fields:
    """A payer hears that a debit brought nothing, or lost what it had brought, and what to do (CC-24, R-35)."""
    amount = money(event.amount_minor, event.currency)
    if event.what == "declined":
        failure = f"We could not collect {amount} for invoice {event.invoice_number} by direct debit."
    else:
        failure = (
            f"The bank took back the payment of {amount} for invoice {event.invoice_number},"
            " which we had collected by direct debit."
        )
    if event.next_attempt_date:
        again = day(event.next_attempt_date)
        then = f"It will be tried again on {again}. Please see that your account can pay it by then."
    elif event.reason_class == "hard":
        then = "Please set up a new direct debit, or ask us for another way to pay."
    else:
        then = "It will not be tried again by itself. Please ask us for another way to pay."
    return {
        "payer": payer,
        "business": business,
        "invoice_number": str(event.invoice_number),
        "amount": amount,
        "outcome": event.what,
        "failure_sentence": failure,
        "next_sentence": then,
    }


def collection_failed_for_staff(event: CollectionFailed, *, payer: str, business: str) -> Fields:
    """Staff hear whose debit failed, at which attempt, and whether anything more happens by itself (CC-24, R-35)."""
    return {
        "payer": payer,
        "business": business,
        "invoice_number": str(event.invoice_number),
        "amount": money(event.amount_minor, event.currency),
        "attempt": str(event.attempt_no),
        "outcome": event.what,
        "failure_sentence": _failure_for_staff(event, payer),
        "reason_sentence": _reason_for_staff(event),
        "next_sentence": _next_for_staff(event, payer),
    }


def _failure_for_staff(event: CollectionFailed, payer: str) -> str:
    amount = money(event.amount_minor, event.currency)
    match event.what:
        case "declined":
            return (
                f"Attempt {event.attempt_no} to collect {amount} from {payer}"
                f" for invoice {event.invoice_number} failed."
            )
        case "returned":
            return (
                f"The bank took back {amount} that attempt {event.attempt_no} had collected from {payer}"
                f" for invoice {event.invoice_number}."
            )
        case "claimed":
            return (
                f"{payer} had the bank take back {amount} that attempt {event.attempt_no} had collected"
                f" for invoice {event.invoice_number}."
            )


def _reason_for_staff(event: CollectionFailed) -> str:
    if event.what == "claimed" or (event.reason_class == "soft" and event.final):
        return ""
    return f"The reason {'may' if event.reason_class == 'soft' else 'will not'} pass by itself."


def _next_for_staff(event: CollectionFailed, payer: str) -> str:
    if event.next_attempt_date:
        return f"It will be tried again on {day(event.next_attempt_date)}."
    if event.what == "claimed":
        return f"Nothing more is tried automatically, and {payer} was not written to. Please decide what happens next."
    if event.reason_class == "soft":
        return f"Nothing more is tried automatically. Please agree on another way to pay with {payer}."
    return f"Nothing more is tried automatically. Please ask {payer} for a new mandate, or for another way to pay."
