"""Selling a package, and selling it again when it is renewed."""

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from services.packages.rules import NotActive, NotForSale
from services.packages.tables import Client, Package, RenewalChosen, Staff, Template
from shared.events.catalog import Terms
from shared.events.packages import AutoPaySwitched, ExpiryMoved, PackageSold
from shared.schedule import due_date, period_count


def sold_terms(template: Template, *, price_minor: int | None, session_count: int | None) -> Terms:
    """A package inherits its template's terms; price and count may be changed for this client (PB-05, PB-06).

    No instalment is of nothing, as in a template.
    """
    if not template.active:
        raise NotForSale("template_id: the template is no longer on sale.", field="template_id")
    changes = {"price_minor": price_minor, "session_count": session_count}
    for field, value in changes.items():
        if value is not None and template.terms.post_bill:
            raise NotForSale(f"{field}: a post-bill package has none before it is closed.", field=field)
    terms = template.terms.model_copy(update={name: value for name, value in changes.items() if value is not None})
    if terms.price_minor is not None and terms.price_minor < (terms.instalment_count or 0):
        raise NotForSale(f"price_minor: no part of {terms.instalment_count} may be of nothing.", field="price_minor")
    return terms


def dates(
    terms: Terms, *, start_date: date | None, first_due_date: date | None, sold_date: date, allow_gap: bool
) -> tuple[date, date]:
    """Start and first due date: today unless chosen (CC-07).

    A recurring package gives its first sessions at the sale, so it falls due within a period of it, before or after,
    unless staff allow a longer gap; and it starts before its second period does (R-11).
    """
    start, first_due = start_date or sold_date, first_due_date or sold_date
    if terms.form == "recurring" and terms.frequency:
        if first_due > due_date(sold_date, terms.frequency, 2) and not allow_gap:
            raise NotForSale("first_due_date: it lies more than one period after the sale.", field="first_due_date")
        if due_date(first_due, terms.frequency, 2) < sold_date and not allow_gap:
            raise NotForSale("first_due_date: it lies more than one period before the sale.", field="first_due_date")
        if start >= due_date(first_due, terms.frequency, 2):
            raise NotForSale("start_date: it lies after the first period.", field="start_date")
    return start, first_due


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


def renew(closed: Package, package_id: UUID, *, on: date) -> PackageSold:
    """The successor of a closed package: the terms as sold, the same people, and a start of its own (EZ-15, R-32)."""
    return PackageSold(
        package_id=package_id,
        client_id=closed.client_id,
        payer_id=closed.payer_id,
        template_id=closed.template_id,
        template_version=closed.template_version,
        terms=closed.terms,
        start_date=on,
        first_due_date=on,
        auto_pay=closed.auto_pay,
        sold_by=closed.sold_by,
        predecessor_id=closed.package_id,
    )


def is_to_renew(package: Package, closure_id: UUID, people: Sequence[Client]) -> bool:
    """A package that renews does so once its own close is billed; supplementary closures renew nothing (R-32).

    Nothing is sold to a client, or on account of a payer, who is inactive.
    """
    renews = package.auto_renew and package.state == "closed" and package.closure_id == closure_id
    return renews and all(person.active for person in people)


def change_renewal(package: Package, *, auto_renew: bool) -> RenewalChosen:
    """Until it is closed, a package may be made to renew, or not to (EZ-15)."""
    if package.state != "active":
        raise NotActive
    return RenewalChosen(auto_renew)


def switch_auto_pay(package: Package, *, auto_pay: bool) -> AutoPaySwitched | None:
    """Auto-pay may be switched on or off at any time, after the close too; what is on its way goes on (EZ-11, R-40)."""
    if package.auto_pay == auto_pay:
        return None
    return AutoPaySwitched(package_id=package.package_id, auto_pay=auto_pay, version=package.auto_pay_version + 1)


def expiry(terms: Terms, *, start_date: date, first_due_date: date, chosen: date | None) -> date | None:
    """The last usable date: as chosen for this client, or so many days from the start, or with the last period.

    Else there is none: an open-ended package never expires (PB-06, OE-01).
    """
    if chosen is not None:
        return _chosen(terms, chosen, start_date=start_date, first_due_date=first_due_date)
    if terms.form == "recurring":
        return _last_day(terms, first_due_date)
    return None if terms.valid_days is None else start_date + timedelta(days=terms.valid_days - 1)


def _last_day(terms: Terms, first_due_date: date) -> date | None:
    """The last day of the last period of a recurring package; an open-ended one has none."""
    periods = period_count(terms.frequency, terms.term_weeks or 0) if terms.frequency else None
    if terms.frequency is None or periods is None:
        return None
    return due_date(first_due_date, terms.frequency, periods + 1) - timedelta(days=1)


def _chosen(terms: Terms, chosen: date, *, start_date: date, first_due_date: date) -> date:
    """An expiry date after the start, and never before the last period that is billed."""
    if chosen < start_date:
        raise NotForSale("expiry_date: it lies before the start date.", field="expiry_date")
    if terms.form == "recurring":
        last = _last_day(terms, first_due_date)
        if last is None:
            raise NotForSale("expiry_date: an open-ended package has none; close it to end it.", field="expiry_date")
        if chosen < last:
            raise NotForSale(f"expiry_date: its last period ends on {last}; close it to end it.", field="expiry_date")
    return chosen


def move_expiry(package: Package, *, expiry_date: date | None) -> ExpiryMoved:
    """Deleting the expiry date, or moving it to a future one, gives the client access again (PB-19)."""
    if package.state != "active":
        raise NotActive
    if expiry_date is not None:
        dates_of = {"start_date": package.start_date, "first_due_date": package.first_due_date}
        _chosen(package.terms, expiry_date, **dates_of)
    return ExpiryMoved(expiry_date=expiry_date)
