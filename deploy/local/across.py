"""What must hold between services, and between them and the bank, once all is quiet. Pure: rows in, offenders out."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HOLD_OF = {
    "confirmed": "held",
    "requested": "held",
    "attended": "consumed",
    "no_show": "consumed",
    "late_cancelled": "consumed",
    "cancelled": "returned",
}
DEBITED = {"submitted", "settled", "declined", "returned_by_bank", "in_review"}


@dataclass(frozen=True)
class Facts:
    """Rows of one business, from the services that own them, and the bank's own log (of all businesses)."""

    bookings: list[Any]
    holds: list[Any]
    packages: list[Any]
    billed: list[Any]
    debits: list[Any]
    bank: list[dict[str, Any]]


def bookings_and_holds_agree(facts: Facts) -> list[Any]:
    """A place has one session held or used in its package; a cancelled one has none."""
    holds = {hold.booking_id: hold for hold in facts.holds}
    return [
        (booking.booking_id, booking.state, getattr(hold, "state", None))
        for booking in facts.bookings
        if (expected := HOLD_OF.get(booking.state))
        for hold in [holds.get(booking.booking_id)]
        if hold is None
        or (hold.state not in (expected, _early(expected)) and (booking.state, hold.state) != ("cancelled", "refused"))
        or (expected != "returned" and hold.package_id != booking.package_id)
    ]


def _early(expected: str) -> str:
    """What a session is until the lot of its period has come."""
    return "ahead" if expected in ("held", "consumed") else expected


def no_session_without_a_booking(facts: Facts) -> list[Any]:
    """Every session held or used belongs to a booking that is there."""
    booked = {booking.booking_id for booking in facts.bookings}
    return [
        h.booking_id for h in facts.holds if h.state in ("held", "ahead", "consumed") and h.booking_id not in booked
    ]


def closed_sessions_are_billed_once(facts: Facts) -> list[Any]:
    """Each session that a post-bill closure counted is exactly one invoice line, and no other session is."""
    post_bill = {package.package_id for package in facts.packages if package.post_bill}
    counted = Counter(h.booking_id for h in facts.holds if h.closure_id is not None and h.package_id in post_bill)
    billed = Counter(line.booking_id for line in facts.billed)
    return list((counted - billed).elements()) + list((billed - counted).elements())


def the_bank_knows_each_debit_once(facts: Facts) -> list[Any]:
    """Each debit we sent is one payment in the bank's own log, of the same amount."""
    payments = Counter((str(p["metadata"].get("debit_id")), p["amount"]) for p in facts.bank)
    sent = {(str(debit.debit_id), debit.amount_minor) for debit in facts.debits if debit.state in DEBITED}
    ours = {str(debit.debit_id) for debit in facts.debits}
    doubled = [key for key, times in payments.items() if key[0] in ours and (times != 1 or key not in sent)]
    return doubled + [key for key in sent if not payments[key]]


ACROSS: dict[str, Callable[[Facts], list[Any]]] = {
    "bookings and holds agree": bookings_and_holds_agree,
    "no session without a booking": no_session_without_a_booking,
    "closed sessions are billed once": closed_sessions_are_billed_once,
    "the bank knows each debit once": the_bank_knows_each_debit_once,
}
