"""What notify must have: one message for each fact that is told to somebody."""

from collections.abc import Iterator
from typing import Any

from deploy.audit.books import Books, Told
from deploy.audit.findings import Finding, Must, disagreements, unexplained
from deploy.audit.folding.bills import ISSUED
from deploy.audit.folding.bookings import CANCELLED, CONFIRMED
from deploy.audit.folding.collected import FAILED, OVERDUE
from deploy.audit.folding.packages import SOLD
from services.notify.rules.letters import concerns_payer

LETTERS = {
    SOLD: ("purchase_confirmed", "client_id"),
    CONFIRMED: ("booking_confirmed", "client_id"),
    CANCELLED: ("booking_cancelled", "client_id"),
    ISSUED: ("invoice_issued", "payer_id"),
    OVERDUE: ("instalment_overdue", "payer_id"),
    FAILED: ("collection_failed", "payer_id"),
}
"""How the key of a letter about a fact begins, and which field of the fact names whom it is to, or about."""
TYPES = {key: kind for kind, (key, _) in LETTERS.items()}


def letters(books: Books) -> Iterator[Finding]:
    """Each fact was told to whom it concerns; nothing was told that is no fact."""
    known = {letter: told for told in books.told(*LETTERS) for letter in _letters(told)}
    for (key, recipient), told in known.items():
        letter = {"key": key, "recipient": recipient}
        row = books.shelves["notify"].row("messages", **letter)
        nobody = row is not None and row.client_id is None  # an earlier version did not note whom it is about
        about = {} if nobody else {"client_id": getattr(told.event, LETTERS[told.type][1])}
        yield from disagreements(books, [Must("notify", "messages", letter, about, told)])

    def kind(row: Any) -> str:
        return TYPES.get(row.key.partition(":")[0], "an event")

    yield from unexplained(books, "notify", "messages", ("key", "recipient"), known, kind, age="message_id")


def _letters(told: Told) -> list[tuple[str, str]]:
    """The key of each letter about a fact, and to whom it goes."""
    event = told.event
    key, recipient = LETTERS[told.type]
    to = str(getattr(event, recipient))
    if told.type != FAILED:
        return [(f"{key}:{event.subject}", to)]
    key = f"{key}:{event.debit_id}:{event.instalment_id}"
    return [(key, "business"), *([(key, to)] if concerns_payer(event) else [])]
