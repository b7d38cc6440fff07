"""Setting a session aside for a booking."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from services.packages.rules.lots import Left
from services.packages.tables import Package
from shared.errors import Conflict
from shared.events.booking import HoldRequested
from shared.events.packages import SessionHeld

Candidate = tuple[Package, Left]
"""A package that may give a session, and what is left of it for the session's date."""


class Refused(Conflict):
    """No session can be held."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def allows(package: Package | None, ask: HoldRequested, *, today: date) -> Package:
    """The package, if its terms allow the booking; else Refused says why. Whether a session is left is not asked.

    Payment is never asked for (CC-02). After expiry clients cannot book, staff can (PB-18, PB-20).
    """
    if package is None:
        raise Refused("no_package")
    if package.state != "active":
        raise Refused(package.state)
    if package.client_id != ask.client_id:
        raise Refused("not_their_package" if ask.by_staff else "no_package")
    if ask.service_id not in package.terms.service_ids:
        raise Refused("service_not_included")
    if package.terms.practitioner_ids and ask.practitioner_id not in package.terms.practitioner_ids:
        raise Refused("practitioner_not_included")
    if ask.session_date < package.start_date:
        raise Refused("not_started")
    if _expired(package, ask, today) and not ask.by_staff:
        raise Refused("expired")
    return package


def hold(package: Package, left: Left, ask: HoldRequested) -> SessionHeld:
    """A session is set aside for a booking, if one is left for its date; a post-bill package is never short (EZ-20)."""
    if left.is_short:
        raise Refused("no_sessions_left")
    return SessionHeld(
        package_id=package.package_id,
        booking_id=ask.booking_id,
        late_cancel_hours=package.terms.late_cancel_hours,
        last_usable_date=last_date(package, left),
        needs_approval=package.terms.needs_approval,
    )


def choose(candidates: Sequence[Candidate], ask: HoldRequested, *, today: date) -> Candidate | None:
    """Of the client's packages with a session left for the date, the one that ends first gives it, then the oldest.

    For staff, an expired one comes last (R-12, PB-13).
    """

    def order(candidate: Candidate) -> tuple[bool, date, UUID]:
        package, left = candidate
        last = last_date(package, left) or date.max
        return _expired(package, ask, today), last, package.package_id  # ids are in the order of their making

    return min((each for each in candidates if not each[1].is_short), key=order, default=None)


def last_date(package: Package, left: Left) -> date | None:
    """The last date on which the session that a booking takes could be used: the end of its lot, or the expiry."""
    ends = (left.last_date, package.expiry_date)
    return min((end for end in ends if end is not None), default=None)


def _expired(package: Package, ask: HoldRequested, today: date) -> bool:
    return package.expiry_date is not None and package.expiry_date < max(today, ask.session_date)
