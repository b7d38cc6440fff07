"""Do the files agree with each other? Names that nobody bears, things there twice, dates in the wrong order."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from itertools import pairwise
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from deploy.local.demo.problems import Problem, shown
from deploy.local.demo.shapes import CLOSES, OPENS, Booking, Mandate, Payment, Row, Sale, Template
from deploy.practice_bank.scenarios import SCENARIOS
from services.catalog import rules
from services.catalog.tables import OfferedService, Staff
from shared.events.catalog import Terms, Tier
from shared.schedule import due_date

Names = Mapping[str, set[str] | None]
"""What each file calls things; None where it could not be read."""

NAMED_IN = {"sales": "sales.csv", "templates": "templates.json"}
REFERENCES = {
    "mandates": {"client": "clients"},
    "sales": {"client": "clients", "template": "templates", "sold_by": "staff"},
    "payments": {"client": "clients", "package": "sales"},
    "bookings": {"client": "clients", "package": "sales", "service": "services", "practitioner": "staff"},
    "templates": {"services": "services", "practitioners": "staff"},
}
KEYS = {
    "staff": ("name",),
    "services": ("name",),
    "templates": ("name",),
    "clients": ("name",),
    "mandates": ("client", "starts_on"),
    "sales": ("package",),
    "payments": ("client", "package", "paid_on", "method"),
    "bookings": ("client", "starts_at"),
}


def contradictions(rows: Mapping[str, Sequence[Any]], names: Names) -> list[Problem]:
    """What rows, each good by itself, get wrong together."""
    found = [*_unknown(rows, names), *_twice(rows)]
    for mandate in rows["mandates"]:
        found += _mandate(mandate)
    for template in rows["templates"]:
        found += _template(template)
    templates = {template.name: template for template in rows["templates"]}
    sales = {sale.package: sale for sale in rows["sales"]}
    staff = {person.name: person for person in rows["staff"]}
    for sale in sales.values():
        found += _sale(sale, templates.get(sale.template), seller=staff.get(sale.sold_by))
    for payment in rows["payments"]:
        found += _payment(payment, sales.get(payment.package), templates)
    for booking in rows["bookings"]:
        found += _booking(booking, sales.get(booking.package), practitioner=staff.get(booking.practitioner))
    return found


def _unknown(rows: Mapping[str, Sequence[Row]], names: Names) -> Iterator[Problem]:
    for sheet, fields in REFERENCES.items():
        for row in rows[sheet]:
            for field, target in fields.items():
                value = getattr(row, field)
                known = names[target]
                for name in value if isinstance(value, list) else [value]:
                    if name is not None and known is not None and name not in known:
                        file = NAMED_IN.get(target, f"{target}.csv")
                        yield Problem(row.place, field, f"{shown(name)} is not in {file}; write {_likely(name, known)}")


def _likely(name: str, known: set[str]) -> str:
    """The name that may have been meant, else the first few there are."""
    alike = get_close_matches(name, known, n=1)
    if alike:
        return alike[0]
    first = sorted(known)[:6]
    return f"one of {', '.join(first)}{' …' if len(known) > len(first) else ''}" if first else "it there first"


def _twice(rows: Mapping[str, Sequence[Row]]) -> Iterator[Problem]:
    for sheet, key in KEYS.items():
        seen: dict[tuple[Any, ...], Row] = {}
        for row in rows[sheet]:
            value = tuple(getattr(row, field) for field in key)
            first = seen.setdefault(value, row)
            if first is not row and not _rebooked(first, row):
                what = " and ".join(str(part) for part in value if part is not None)
                message = f"{shown(what)} is also in {first.place}; leave one out, or write another"
                yield Problem(row.place, key[0], message)
            seen[value] = row


def _rebooked(first: Row, again: Row) -> bool:
    """A time may be booked again once it was cancelled, or while somebody else has it and it is refused."""
    if not (isinstance(first, Booking) and isinstance(again, Booking)):
        return False
    freed = first.cancelled_on is not None and again.booked_on >= first.cancelled_on
    return freed or "refused" in (first.outcome, again.outcome)


def _before(row: Row, field: str, earlier: str, value: date | None, limit: date) -> Iterator[Problem]:
    if value is not None and value < limit:
        yield Problem(row.place, field, f"{value} lies before {earlier}, {limit}; write that day or a later one")


def without_mandate(mandates: Sequence[Mandate]) -> Iterator[Problem]:
    """What the bank does with a client's debits is said once there is a mandate; for rows that are all good."""
    firsts: dict[str, Mandate] = {}
    for row in sorted(mandates, key=lambda row: row.starts_on):
        if firsts.setdefault(row.client, row) is row and row.mandate is None:
            message = f"{row.client} has none yet on {row.starts_on}; write signed or registered"
            yield Problem(row.place, "mandate", message)


def _mandate(mandate: Mandate) -> Iterator[Problem]:
    if (mandate.mandate == "registered") != (mandate.account_number is not None):
        yield Problem(mandate.place, "account_number", "goes with the mandate registered; write both, or neither")
    if mandate.cause and not _fails(mandate.scenario):
        message = f"{shown(mandate.cause)} is for payments that fail, and {mandate.scenario} has none; leave it out"
        yield Problem(mandate.place, "cause", message)


def _fails(scenario: str) -> bool:
    behaves = SCENARIOS[scenario]
    return behaves.at_once == "decline" or any(step.cause for step in behaves.steps)


def _sale(sale: Sale, template: Template | None, *, seller: Any) -> Iterator[Problem]:
    if seller is not None and not seller.seller:
        yield Problem(sale.place, "sold_by", f"{shown(sale.sold_by)} is no seller in staff.csv; write one who is")
    if template is not None and template.billing_mode == "post_bill":
        for field in ("price", "session_count", "first_due_date"):
            if getattr(sale, field) is not None:
                yield Problem(sale.place, field, "a post-billed package has none; leave it out")
    yield from _before(sale, "expiry_date", "the sale", sale.expiry_date, sale.sold_on)
    yield from _before(sale, "first_due_date", "the sale", sale.first_due_date, sale.sold_on)
    if template is not None and template.form == "recurring" and template.frequency and sale.first_due_date:
        latest = due_date(sale.sold_on, template.frequency, 2)
        if sale.first_due_date > latest:
            message = f"{sale.first_due_date} lies more than a period after the sale; write {latest} or an earlier day"
            yield Problem(sale.place, "first_due_date", message)
    yield from _closes(sale)


def _closes(sale: Sale) -> Iterator[Problem]:
    """A package is closed once, unless it renews; then its successors are, each later than the one before."""
    for day in sale.close_on[:1]:
        yield from _before(sale, "close_on", "the sale", day, sale.sold_on)
    for earlier, later in pairwise(sale.close_on):
        if later <= earlier:
            yield Problem(sale.place, "close_on", f"{later} is not after {earlier}; write each date once, in order")
    if len(sale.close_on) > 1 and not sale.auto_renew:
        yield Problem(sale.place, "close_on", "only a package that renews is closed again; write one date")


def _payment(payment: Payment, sale: Sale | None, templates: Mapping[str, Template]) -> Iterator[Problem]:
    if sale is None:
        return
    if sale.client != payment.client:
        message = f"{shown(sale.package)} is {sale.client}'s; write a package of {payment.client}'s"
        yield Problem(payment.place, "package", message)
    template = templates.get(sale.template)
    if template is not None and template.billing_mode == "post_bill":
        if not sale.close_on:
            message = f"{shown(sale.package)} is never closed, so nothing is owed for it; close it in sales.csv"
            yield Problem(payment.place, "package", message)
        for day in sale.close_on[:1]:
            yield from _before(payment, "paid_on", "the close of the package", payment.paid_on, day)
    yield from _before(payment, "paid_on", "the sale of the package", payment.paid_on, sale.sold_on)


def _booking(booking: Booking, sale: Sale | None, *, practitioner: Any) -> Iterator[Problem]:
    if practitioner is not None and not practitioner.practitioner:
        name = shown(booking.practitioner)
        yield Problem(booking.place, "practitioner", f"{name} takes no bookings in staff.csv; write one who does")
    if sale is not None:
        if sale.client != booking.client:
            message = f"{shown(sale.package)} is {sale.client}'s; write a package of {booking.client}'s"
            yield Problem(booking.place, "package", message)
        yield from _before(booking, "booked_on", "the sale of the package", booking.booked_on, sale.sold_on)
    if not OPENS <= booking.starts_at.time() <= CLOSES:
        hours = f"{OPENS:%H:%M} and {CLOSES:%H:%M}"
        yield Problem(
            booking.place, "starts_at", f"{booking.starts_at:%H:%M} is not between {hours}; write a time that is"
        )
    yield from _before(booking, "starts_at", "the day of booking", booking.starts_at.date(), booking.booked_on)
    if (booking.outcome == "cancelled") != (booking.cancelled_on is not None):
        message = "goes with the outcome cancelled; write both, or neither"
        yield Problem(booking.place, "cancelled_on", message)
    if booking.cancelled_on is not None:
        yield from _before(booking, "cancelled_on", "the day of booking", booking.cancelled_on, booking.booked_on)
        if booking.cancelled_on > booking.starts_at.date():
            message = (
                f"{booking.cancelled_on} lies after the session, {booking.starts_at:%Y-%m-%d}; write an earlier day"
            )
            yield Problem(booking.place, "cancelled_on", message)


def _template(template: Template) -> Iterator[Problem]:
    """The catalog's own rule judges the terms, and names the fields that are wrong with them."""

    def id_of(name: str) -> UUID:
        return uuid5(NAMESPACE_OID, name)

    terms = Terms(
        **template.model_dump(exclude={"place", "description", "services", "practitioners", "price", "tiers"}),
        service_ids=[id_of(name) for name in template.services],
        practitioner_ids=[id_of(name) for name in template.practitioners],
        price_minor=template.price,
        currency="AUD",
        tiers=[Tier(at_least=tier.at_least, rate_minor=tier.rate) for tier in template.tiers],
        needs_approval=False,
    )
    services = [OfferedService(service_id=service_id, active=True) for service_id in terms.service_ids]
    staff = [Staff(staff_id=staff_id, active=True, practitioner=True) for staff_id in terms.practitioner_ids]
    try:
        rules.offer(id_of(template.name), 1, terms, services, staff)
    except rules.TermsRefused as refused:
        for error in refused.members["errors"]:
            field = error["field"].replace("_minor", "").replace("_ids", "s")
            yield Problem(template.place, field, error["message"])
