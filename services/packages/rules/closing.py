"""Closing a package: what was used is counted."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from services.packages.rules import NotActive
from services.packages.tables import Hold, Package, PackageEnded
from shared.errors import Conflict
from shared.events.packages import PackageClosed, UsedSession


class Unverified(Conflict):
    """Sessions of the package have started, and nobody said who came; record their attendance first."""


def close(package: Package, holds: Sequence[Hold], *, closure_id: UUID, now: datetime, today: date) -> PackageEnded:
    """A package ends at an instant: sessions used are counted, unverified ones block; later ones never do.

    A late cancellation is use from the moment it is made, also of a session still to come.

    (EZ-22, R-27, R-29, R-31.)
    """
    if package.state != "active":
        raise NotActive
    open_holds = [hold for hold in holds if hold.state in ("held", "ahead") and hold.outcome is None]
    unverified = [hold.booking_id for hold in open_holds if hold.starts_at is not None and hold.starts_at <= now]
    if unverified:
        raise Unverified(f"{len(unverified)} of them.", booking_ids=unverified)
    closure = PackageClosed(
        package_id=package.package_id,
        closure_id=closure_id,
        counted_before=0,
        sessions=[used_session(hold) for hold in holds if hold.state == "consumed"],
        tiers=package.terms.tiers,
        currency=package.terms.currency,
    )
    return PackageEnded(closure=closure, closed_at=now, closed_date=today)


def close_again(package: Package, late: Hold, *, closure_id: UUID, counted_before: int) -> PackageClosed:
    """Use that becomes known only after the close makes a closure of its own, rated by the running total (R-31)."""
    return PackageClosed(
        package_id=package.package_id,
        closure_id=closure_id,
        counted_before=counted_before,
        sessions=[used_session(late)],
        tiers=package.terms.tiers,
        currency=package.terms.currency,
    )


def used_session(hold: Hold) -> UsedSession:
    """A session that counts: attended, missed, or cancelled too late (R-27)."""
    return UsedSession.model_validate(
        {
            "booking_id": hold.booking_id,
            "service_id": hold.service_id,
            "session_date": hold.session_date,
            "outcome": hold.outcome,
        }
    )
