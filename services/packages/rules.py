"""What packages allows. Nothing here waits: a rule takes rows and values, and returns a fact or raises."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from services.packages.tables import Client, Hold, LedgerEntry, Package, Staff, Template
from shared.errors import Conflict, Invalid
from shared.events.booking import HoldRequested
from shared.events.catalog import Terms
from shared.events.packages import ExpiryMoved, PackageClosed, PackageSold, SessionHeld, UsedSession


class NotForSale(Invalid):
    """This package cannot be sold so."""


class NotActive(Conflict):
    """The package is closed."""


class BelowNothing(Conflict):
    """That would leave fewer sessions than are held and used."""


class NothingToCount(Conflict):
    """A post-bill package has no session count to adjust."""


class Unverified(Conflict):
    """Sessions of the package have started, and nobody said who came; record their attendance first."""


class Refused(Conflict):
    """No session can be held."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def sold_terms(template: Template, *, price_minor: int | None, session_count: int | None) -> Terms:
    """A package inherits its template's terms; price and count may be changed for this client (PB-05, PB-06)."""
    if not template.active:
        raise NotForSale("template_id: the template is no longer on sale.", field="template_id")
    changes = {"price_minor": price_minor, "session_count": session_count}
    for field, value in changes.items():
        if value is not None and template.terms.post_bill:
            raise NotForSale(f"{field}: a post-bill package has none before it is closed.", field=field)
    return template.terms.model_copy(update={name: value for name, value in changes.items() if value is not None})


def sell(
    package_id: UUID,
    *,
    template: Template,
    terms: Terms,
    client: Client,
    payer: Client,
    seller: Staff | None,
    auto_pay: bool,
    start_date: date,
    first_due_date: date,
) -> PackageSold:
    """A client gets a package on its terms as sold; client and payer are active, the seller sells (EZ-05, FSP-08)."""
    for field, person in (("client_id", client), ("payer_id", payer)):
        if not person.active:
            raise NotForSale(f"{field}: the client is inactive.", field=field)
    if seller is not None and not (seller.active and seller.seller):
        raise NotForSale("sold_by: this member of staff does not sell.", field="sold_by")
    return PackageSold(
        package_id=package_id,
        client_id=client.client_id,
        payer_id=payer.client_id,
        template_id=template.template_id,
        template_version=template.version,
        terms=terms,
        start_date=start_date,
        first_due_date=first_due_date,
        auto_pay=auto_pay,
        sold_by=seller.staff_id if seller else None,
    )


def allocation_at_sale(terms: Terms) -> int:
    """All sessions are there at the sale; of a recurring package, the first period's (CC-05, CC-08, CC-15, EZ-20)."""
    return 0 if terms.post_bill else terms.session_count or 0


def expiry(terms: Terms, *, start_date: date, chosen: date | None) -> date | None:
    """The last usable date: as chosen for this client, or so many days from the start, or none (PB-06, OE-01)."""
    if chosen is not None:
        if chosen < start_date:
            raise NotForSale("expiry_date: it lies before the start date.", field="expiry_date")
        return chosen
    return None if terms.valid_days is None else start_date + timedelta(days=terms.valid_days - 1)


def move_expiry(package: Package, *, expiry_date: date | None) -> ExpiryMoved:
    """Deleting the expiry date, or moving it to a future one, gives the client access again (PB-19)."""
    if package.state != "active":
        raise NotActive
    if expiry_date is not None and expiry_date < package.start_date:
        raise NotForSale("expiry_date: it lies before the start date.", field="expiry_date")
    return ExpiryMoved(expiry_date=expiry_date)


def hold(package: Package | None, ask: HoldRequested, *, today: date) -> SessionHeld:
    """A session is set aside for a booking, if the package's terms allow it; else Refused says why.

    Payment is never asked for (CC-02). After expiry clients cannot book, staff can (PB-18, PB-20). A post-bill
    package is never short of sessions (EZ-20).
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
    last = package.expiry_date
    if last is not None and max(today, ask.session_date) > last and not ask.by_staff:
        raise Refused("expired")
    if not package.post_bill and package.available < 1:
        raise Refused("no_sessions_left")
    return SessionHeld(
        package_id=package.package_id,
        booking_id=ask.booking_id,
        late_cancel_hours=package.terms.late_cancel_hours,
        last_usable_date=last,
        needs_approval=package.terms.needs_approval,
    )


def choose(packages: Sequence[Package], ask: HoldRequested, *, today: date) -> Package | None:
    """Of a client's packages that can give the session, the one that ends first does, then the oldest (R-12, PB-13).

    For staff, an expired one comes last.
    """

    def gives(package: Package) -> bool:
        try:
            return bool(hold(package, ask, today=today))
        except Refused:
            return False

    fitting = [package for package in packages if gives(package)]

    def order(package: Package) -> tuple[bool, date, UUID]:
        last = package.expiry_date or date.max
        return last < max(today, ask.session_date), last, package.package_id

    return min(fitting, key=order, default=None)


def adjust(package: Package, *, sessions: int) -> int:
    """Staff add sessions or take some away, never below what is held and used (PB-12)."""
    if package.state != "active":
        raise NotActive
    if package.post_bill:
        raise NothingToCount
    if package.available + sessions < 0:
        raise BelowNothing(f"{package.available} are available.")
    return sessions


def close(package: Package, holds: Sequence[Hold], *, closure_id: UUID, now: datetime) -> PackageClosed:
    """A package ends at an instant: sessions used are counted, later ones stay booked, unverified ones block.

    (EZ-22, R-27, R-29, R-31.)
    """
    if package.state != "active":
        raise NotActive
    unverified = [h.booking_id for h in holds if h.state == "held" and h.starts_at is not None and h.starts_at <= now]
    if unverified:
        raise Unverified(f"{len(unverified)} of them.", booking_ids=unverified)
    return PackageClosed(
        package_id=package.package_id,
        closure_id=closure_id,
        counted_before=0,
        sessions=[used_session(hold) for hold in holds if hold.state == "consumed"],
        tiers=package.terms.tiers,
        currency=package.terms.currency,
    )


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


def explain(entry: LedgerEntry) -> int:
    """What an entry of the ledger adds to the sessions available."""
    return {"held": -1, "consumed": 0, "returned": 1}.get(entry.kind, 1) * entry.quantity
