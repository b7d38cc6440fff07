"""What the book accepts. Nothing here waits: a rule takes rows and values, and returns a fact or raises."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from services.catalog.tables import Client, Entry, OfferedService, Staff, TemplateVersion
from shared.errors import Conflict, Invalid
from shared.events import Event
from shared.events.catalog import ERASED_CLIENT, BusinessChanged, Form, TemplatePublished, Terms

PRICED = frozenset({"session_count", "price_minor"})
NEEDS: Mapping[Form | None, frozenset[str]] = {
    "paid_in_full": PRICED,
    "instalments": PRICED | {"frequency", "instalment_count"},
    "recurring": PRICED | {"frequency", "rollover", "term_weeks"},
    None: frozenset({"tiers"}),
}
"""What each form asks for, and no other form has (CC-01, OE-06, OE-07, OE-12, OE-13); none is post-billed."""
OF_SOME_FORM = frozenset[str]().union(*NEEDS.values())
LONGEST_WORD = 50

Wrong = tuple[str, str]
"""A field by its path, and what is wrong with it."""


class TermsRefused(Invalid):
    """These terms do not make a template."""


class AlreadyWithdrawn(Conflict):
    """This template is not on sale any more."""


class ClientErased(Conflict):
    """This client is erased."""


class NoTestClock(Conflict):
    """A business in production lives in real time."""


class LivesInRealTime(Conflict):
    """This business lives in real time. Give `test_now` with the first description of a new one."""


class ClockMovesElsewhere(Conflict):
    """The test clock of this business stands at another instant. Move it by `PUT /business/clock`."""


class ClockRunsForward(Conflict):
    """A test clock only moves forward."""


def describe(
    last: BusinessChanged,
    *,
    name: str,
    zone: str,
    currency: str,
    email: str,
    test_now: datetime | None,
    production: bool,
) -> BusinessChanged:
    """A business is as it describes itself, from the first time on in real time or on a test clock (R-08).

    Its real dates would already have been billed when a test clock took it back. A test clock stays where it stands,
    in a new zone too (R-10); an equal `test_now` is the first description sent again.
    """
    if test_now and production:
        raise NoTestClock("Leave `test_now` out.", errors=[{"field": "test_now", "message": "production has none"}])
    if test_now and last.sequence and test_now != last.test_now:
        wrong = [{"field": "test_now", "message": "it is given with the first description only"}]
        raise ClockMovesElsewhere(errors=wrong) if last.test_now else LivesInRealTime(errors=wrong)
    return BusinessChanged(
        business_id=last.business_id,
        sequence=last.sequence + 1,
        name=name,
        zone=zone,
        currency=currency,
        email=email,
        test_now=last.test_now if last.sequence else test_now,
    )


def move_clock(last: BusinessChanged, *, now: datetime, production: bool) -> BusinessChanged:
    """A test clock only moves forward; in production there is none, and in real time none comes to be."""
    if production:
        raise NoTestClock("Move the clocks of a development environment.")
    if last.test_now is None:
        raise LivesInRealTime
    if now < last.test_now:
        raise ClockRunsForward(f"It stands at {last.test_now.isoformat()}.")
    return last.model_copy(update={"sequence": last.sequence + 1, "test_now": now})


def next_start(started: date, zone: str, now: datetime) -> datetime:
    """The instant, in UTC, at which the date after the newest that has started begins in a zone (R-08).

    A midnight that clocks skip is the instant of the skip. One that they show twice is its first time, or its second
    where a new zone or a late worker has let the first go by.
    """
    midnight = datetime.combine(started + timedelta(days=1), time(), ZoneInfo(zone))
    first, again = (midnight.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return first if first > now else again


def change(entry: Entry, changes: Mapping[str, Any]) -> Event:
    """An entry that changes is told whole, under the next number. Raises ClientErased."""
    if isinstance(entry, Client) and entry.erased:
        raise ClientErased("Enter a client who comes back as a new one.")
    known = {name: getattr(entry, name) for name in entry.told.model_fields}
    return entry.told.model_validate(known | dict(changes) | {"sequence": entry.sequence + 1})


def erase(client: Client) -> Event:
    """Who a client was is known no more; the id stays, and with it all books. Raises ClientErased."""
    return change(client, {"name": ERASED_CLIENT, "email": None, "active": False, "erased": True})


def may_see(entry: Entry, client_id: UUID | None) -> bool:
    """Staff see the whole book; a client sees themselves, and the services on offer."""
    if client_id is None:
        return True
    if isinstance(entry, Client):
        return entry.client_id == client_id
    return isinstance(entry, OfferedService) and entry.active


def words(*texts: str | None) -> frozenset[str]:
    """The words of some texts, without case and accents: what finds a client, and what is looked for (EZ-01)."""
    spelled_out = unicodedata.normalize("NFKD", " ".join(filter(None, texts))).casefold()
    plain = "".join(letter for letter in spelled_out if not unicodedata.combining(letter))
    return frozenset(word[:LONGEST_WORD] for word in re.findall(r"\w+", plain))


def offer(
    template_id: UUID, version: int, terms: Terms, services: Iterable[OfferedService], staff: Iterable[Staff]
) -> TemplatePublished:
    """A version of a template is on sale, if its terms are those of its form and name what the book has.

    `services` and `staff` are those of the business that the terms name. Raises TermsRefused with every field that is
    wrong (EZ-02, EZ-06, PB-09).
    """
    wrong = [
        *_of_another_form(terms),
        *_uneven(terms),
        *_not_rising(terms),
        *_not_named_once("service_ids", terms.service_ids),
        *_not_named_once("practitioner_ids", terms.practitioner_ids),
        *_not_in_the_book(terms, services, staff),
    ]
    if wrong:
        raise TermsRefused(
            "; ".join(f"{field}: {message}" for field, message in wrong),
            errors=[{"field": field, "message": message} for field, message in wrong],
        )
    return TemplatePublished(template_id=template_id, version=version, active=True, terms=terms)


def withdraw(newest: TemplateVersion) -> TemplatePublished:
    """A withdrawn template is sold no more (FSP-09); what was sold on it goes on."""
    if not newest.active:
        raise AlreadyWithdrawn
    return TemplatePublished(
        template_id=newest.template_id, version=newest.version + 1, active=False, terms=newest.terms
    )


def _of_another_form(terms: Terms) -> Iterator[Wrong]:
    """A pre-billed template has one of three forms, a post-billed one has none; each form has exactly its fields."""
    if terms.post_bill and terms.form:
        yield "form", "a post-billed template has none"
    if not terms.post_bill and not terms.form:
        yield "form", "a pre-billed template has one: paid_in_full, instalments or recurring"
        return
    form = None if terms.post_bill else terms.form
    kind = f"the form {form}" if form else "a post-billed template"
    for field in sorted(OF_SOME_FORM):
        given = getattr(terms, field) not in (None, [])
        if field in NEEDS[form] and not given:
            yield field, f"{kind} needs it"
        if field not in NEEDS[form] and given:
            yield field, f"{kind} does not have it"


def _uneven(terms: Terms) -> Iterator[Wrong]:
    """A term is whole periods, in weeks or, billed monthly, in months (R-15), and has no other end.

    No instalment is of nothing.
    """
    if terms.form == "recurring" and terms.frequency == "fortnightly" and (terms.term_weeks or 0) % 2:
        yield "term_weeks", "a fortnightly term is an even number of weeks, or 0 for no end"
    if terms.form == "recurring" and terms.valid_days is not None:
        yield "valid_days", "a recurring template ends with its term, or never"
    if (
        terms.form == "instalments"
        and terms.price_minor is not None
        and terms.price_minor < (terms.instalment_count or 0)
    ):
        yield "price_minor", f"it cannot be split into {terms.instalment_count} instalments"


def _not_rising(terms: Terms) -> Iterator[Wrong]:
    """Every count of sessions of a post-billed package has one rate (R-28)."""
    if not terms.post_bill:
        return
    if terms.tiers and terms.tiers[0].at_least != 1:
        yield "tiers.0.at_least", "the first tier starts at 1 session"
    for number, (lower, upper) in enumerate(pairwise(terms.tiers), start=1):
        if upper.at_least <= lower.at_least:
            yield f"tiers.{number}.at_least", "each tier starts above the one before"


def _not_named_once(field: str, ids: Sequence[UUID]) -> Iterator[Wrong]:
    for number, named_id in enumerate(ids):
        if named_id in ids[:number]:
            yield f"{field}.{number}", "it is named twice"


def _not_in_the_book(terms: Terms, services: Iterable[OfferedService], staff: Iterable[Staff]) -> Iterator[Wrong]:
    """Only services of this business that are on offer are sold (EZ-06), with its own practitioners (PB-09)."""
    offered = {service.service_id for service in services if service.active}
    working = {person.staff_id for person in staff if person.active and person.practitioner}
    for number, service_id in enumerate(terms.service_ids):
        if service_id not in offered:
            yield f"service_ids.{number}", "there is no such service on offer"
    for number, practitioner_id in enumerate(terms.practitioner_ids):
        if practitioner_id not in working:
            yield f"practitioner_ids.{number}", "there is no such practitioner"
