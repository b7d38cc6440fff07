"""What must hold between services, and between them and the bank, once all is quiet. Pure: rows in, offenders out."""

from collections import Counter
from collections.abc import Callable, Container, Mapping
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
DEBITED = {"submitted", "settled", "declined", "returned_by_bank", "claimed", "in_review"}
"""The states of a debit that the bank has."""
AT_THE_BANK = {
    "confirmed": "settled",
    "paid_out": "settled",
    "failed": "declined",
    "cancelled": "declined",
    "charged_back": "claimed",
}
"""What a step in the bank's log makes of a debit; any other leaves it on its way."""


@dataclass(frozen=True)
class Facts:
    """Rows of one business, from the services that own them, and the bank's own log of it.

    `brought` is what billing has of each debit by the newest facts; `held` names the callbacks it keeps back.
    """

    bookings: list[Any]
    holds: list[Any]
    packages: list[Any]
    billed: list[Any]
    debits: list[Any]
    brought: list[Any]
    bank: list[dict[str, Any]]
    held: set[str]


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
    """Each debit we sent is one payment in the bank's own log, of the same amount; and each such payment is one."""
    named = ((p["metadata"].get("debit_id"), p["amount"]) for p in facts.bank)
    payments = Counter((debit_id, amount) for debit_id, amount in named if debit_id)
    sent = Counter((str(debit.debit_id), debit.amount_minor) for debit in facts.debits if debit.state in DEBITED)
    return list((payments - sent).elements()) + list((sent - payments).elements())


def end_at_the_bank(payment: Mapping[str, Any], held: Container[str]) -> str:
    """What the bank has told of a payment, as a state of a debit; a callback that it keeps back is not told yet."""
    end = "submitted"
    for step in payment["history"]:
        if step["links"]["callback"] not in held:
            becomes = AT_THE_BANK.get(step["action"], end)
            end = "returned_by_bank" if (end, becomes) == ("settled", "declined") else becomes
    return end


def debits_end_as_at_the_bank(facts: Facts) -> list[Any]:
    """A debit is settled, failed, claimed or on its way, as the bank has told; one in review waits for a person.

    A bank that is asked says `failed` before and after the money came, so declined and returned are one end here.
    """
    ends = {p["metadata"].get("debit_id"): _failed(end_at_the_bank(p, facts.held)) for p in facts.bank}
    return [
        (debit.debit_id, debit.state, ends[str(debit.debit_id)])
        for debit in facts.debits
        if debit.state in DEBITED - {"in_review"}
        and ends.get(str(debit.debit_id), _failed(debit.state)) != _failed(debit.state)
    ]


def _failed(state: str) -> str:
    return "failed" if state in ("declined", "returned_by_bank") else state


def billing_has_what_debits_brought(facts: Facts) -> list[Any]:
    """What billing has of each debit as collected, on its way and final is what directdebit says of it."""
    nothing = (0, 0, False)
    reviewed = {debit.debit_id for debit in facts.debits if debit.state == "in_review"}
    has = {row.debit_id: (row.collected_minor, row.in_flight_minor, row.final) for row in facts.brought}
    says = {
        debit.debit_id: (
            debit.amount_minor if debit.state == "settled" else 0,
            debit.amount_minor if debit.state == "submitted" else 0,
            debit.final,
        )
        for debit in facts.debits
    }
    return [
        (debit_id, says.get(debit_id), has.get(debit_id))
        for debit_id in (says.keys() | has.keys()) - reviewed
        if says.get(debit_id, nothing) != has.get(debit_id, nothing)
    ]


def nobody_is_debited_twice_on_a_day(facts: Facts) -> list[Any]:
    """A mandate is charged once on a date, by the bank's own log (R-35)."""
    ours = {str(debit.debit_id) for debit in facts.debits}
    charged = Counter(
        (payment["links"]["mandate"], payment["charge_date"])
        for payment in facts.bank
        if payment["metadata"].get("debit_id") in ours
    )
    return [charge for charge, times in charged.items() if times > 1]


ACROSS: dict[str, Callable[[Facts], list[Any]]] = {
    "bookings and holds agree": bookings_and_holds_agree,
    "no session without a booking": no_session_without_a_booking,
    "closed sessions are billed once": closed_sessions_are_billed_once,
    "the bank knows each debit once": the_bank_knows_each_debit_once,
    "nobody is debited twice on a day": nobody_is_debited_twice_on_a_day,
    "debits end as at the bank": debits_end_as_at_the_bank,
    "billing has what debits brought": billing_has_what_debits_brought,
}
