"""What notify says: an event and names in, a letter out. Nothing here waits.

Plain text, one function per message. A bank account never appears, and no bank's reason: only whether it may pass.
"""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from shared.events.billing import CollectionFailed, InvoiceIssued
from shared.events.booking import BookingCancelled, BookingConfirmed
from shared.events.catalog import Frequency
from shared.events.packages import PackageSold

THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
NO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"}
    | {"XAF", "XOF", "XPF"}
)
"""The currencies of ISO 4217 whose minor unit is not a hundredth."""

PERIODS: dict[Frequency, str] = {
    "weekly": "week",
    "fortnightly": "fortnight",
    "monthly": "month",
}


@dataclass(frozen=True)
class Letter:
    """A message as it will be read."""

    subject: str
    body: str


def money(amount_minor: int, currency: str) -> str:
    """An amount as people write it: 110000 AUD is `AUD 1,100.00`, 1100 JPY is `JPY 1,100` (R-01)."""
    places = 0 if currency in NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2
    whole, rest = divmod(abs(amount_minor), 10**places)
    sign = "-" if amount_minor < 0 else ""
    fraction = f".{rest:0{places}}" if places else ""
    return f"{currency} {sign}{whole:,}{fraction}"


def day(on: date) -> str:
    """A date with its weekday and no room for doubt: `Tuesday 13 September 2022` (R-54)."""
    return f"{on:%A} {on.day} {on:%B %Y}"


def moment(at: datetime, zone: str) -> str:
    """An instant as the clock at the business shows it."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{day(local.date())} at {local:%H:%M}"


def counted(number: int, thing: str) -> str:
    """`1 session`, `2 sessions`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def retries(attempts: int) -> bool:
    """A message that the mail server did not take is handed over again, for about a day; then a person looks."""
    return attempts < 300


def _letter(subject: str, name: str, business: str, *paragraphs: str) -> Letter:
    """A subject on one line, a greeting, the paragraphs, the business's name."""
    text = "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
    return Letter(" ".join(subject.split()), f"Hello {name},\n\n{text}\n\n{business}\n")


def purchase_confirmed(event: PackageSold, *, name: str, business: str) -> Letter:
    """A client hears what they have bought, and from when it may be used."""
    terms = event.terms
    each = f" each {PERIODS[terms.frequency]}" if terms.form == "recurring" and terms.frequency else ""
    includes = f"It holds {counted(terms.session_count, 'session')}{each}." if terms.session_count else ""
    price = f"The price is {money(terms.price_minor, terms.currency)}{each}." if terms.price_minor else ""
    if terms.post_bill:
        price = "You pay for the sessions you have used, once the package is closed."
    return _letter(
        f"Your package: {terms.name}",
        name,
        business,
        f"Thank you for your purchase: {terms.name}.",
        " ".join(part for part in (includes, price) if part),
        f"You can use it from {day(event.start_date)} on.",
    )


def booking_confirmed(event: BookingConfirmed, *, name: str, business: str, zone: str) -> Letter:
    """A client hears that they have a place, and when, by the clock of the business."""
    when = moment(event.starts_at, zone)
    return _letter(f"Booked: {when}", name, business, f"Your session is booked for {when}.")


def booking_cancelled(event: BookingCancelled, *, name: str, business: str) -> Letter:
    """A client hears that a booking is off, and what became of its session (PB-15)."""
    if not event.had_session:
        outcome = "It had taken no session from a package yet."
    elif event.returns_session:
        outcome = "Its session is back in your package."
    else:
        outcome = "It was cancelled too late for the session to return, so the session counts as used."
    return _letter(
        f"Cancelled: {day(event.session_date)}",
        name,
        business,
        f"Your booking on {day(event.session_date)} is cancelled. {outcome}",
        f"Reason: {event.reason}" if event.reason else "",
    )


def invoice_issued(event: InvoiceIssued, *, name: str, business: str) -> Letter:
    """A payer gets the lines of a new invoice and the dates on which it is due."""
    lines = [f"{line.description}: {money(line.amount_minor, event.currency)}" for line in event.lines]
    dates = [f"{day(part.due_date)}: {money(part.amount_minor, event.currency)}" for part in event.instalments]
    total = money(event.total_minor, event.currency)
    return _letter(
        f"Invoice {event.number}: {total}",
        name,
        business,
        f"This is invoice {event.number} for {total}.",
        "\n".join(lines),
        "\n".join(["Due:", *dates]),
    )


def collection_failed(event: CollectionFailed, *, name: str, business: str) -> Letter:
    """A payer hears that a debit brought nothing, and what to do; never the bank's reason."""
    amount = money(event.amount_minor, event.currency)
    if event.reason_class == "hard":
        then = "Please set up a new direct debit, or ask us for another way to pay."
    elif event.final:
        then = "It will not be tried again by itself. Please ask us for another way to pay."
    else:
        then = "It will be tried again. You need not do anything."
    return _letter(
        f"Invoice {event.invoice_number}: payment declined",
        name,
        business,
        f"We could not collect {amount} for invoice {event.invoice_number} by direct debit. {then}",
    )


def collection_failed_for_staff(event: CollectionFailed, *, payer: str, business: str) -> Letter:
    """The desk hears whose debit failed, at which attempt, and whether anything more happens by itself."""
    amount = money(event.amount_minor, event.currency)
    passing = "may pass by itself" if event.reason_class == "soft" else "will not pass by itself"
    then = "Nothing more is tried automatically." if event.final else "It will be tried again."
    return _letter(
        f"Debit declined: {payer}, invoice {event.invoice_number}",
        business,
        business,
        f"Attempt {event.attempt_no} to collect {amount} from {payer} for invoice {event.invoice_number} failed."
        f" The reason {passing}. {then}",
    )
