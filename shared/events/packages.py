"""What packages tells: what was sold, which sessions are held, what was closed."""

from datetime import date
from typing import Literal
from uuid import UUID

from shared.events import Event, Part
from shared.events.catalog import Terms, Tier
from shared.money import Currency


class PackageSold(Event, type="packages.sold.v1", subject="package_id"):
    """A client holds a new package, on the terms as sold."""

    package_id: UUID
    client_id: UUID
    payer_id: UUID
    template_id: UUID
    template_version: int
    terms: Terms
    start_date: date
    first_due_date: date
    auto_pay: bool
    sold_by: UUID | None
    predecessor_id: UUID | None = None
    """The closed package that this one renews (EZ-15)."""


class AutoPaySwitched(Event, type="packages.auto_pay_switched.v1", subject="package_id"):
    """Whether what falls due of a package is collected by debit from now on; the newest version wins."""

    package_id: UUID
    auto_pay: bool
    version: int


class SessionHeld(Event, type="packages.session_held.v1", subject="package_id"):
    """One session of a package is set aside for a booking."""

    package_id: UUID
    booking_id: UUID
    late_cancel_hours: int
    last_usable_date: date | None
    needs_approval: bool


class HoldRefused(Event, type="packages.hold_refused.v1", subject="booking_id"):
    """No session could be set aside for a booking."""

    booking_id: UUID
    reason: str


class HoldsMoved(Event, type="packages.holds_moved.v1", subject="package_id"):
    """Sessions booked after a package's close are held by its successor now (R-29)."""

    package_id: UUID
    successor_id: UUID
    booking_ids: list[UUID]


class UsedSession(Part):
    """A session counted by a closure."""

    booking_id: UUID
    service_id: UUID
    session_date: date
    outcome: Literal["attended", "no_show", "late_cancelled"]


class ExpiryMoved(Part):
    """The last usable date of a package is now this, or there is none; a fact of packages alone."""

    expiry_date: date | None


class PackageClosed(Event, type="packages.closed.v1", subject="package_id"):
    """A package has ended; these are the sessions that were used, and the tiers as sold.

    A session whose use becomes known later comes in a closure of its own; `counted_before` says how many sessions
    the closures before it held, since the rate follows the running total.
    """

    package_id: UUID
    closure_id: UUID
    counted_before: int
    sessions: list[UsedSession]
    tiers: list[Tier]
    currency: Currency
