"""Each log against itself, and against the inboxes of those who are to hear: nothing lost, nothing told twice."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from deploy.audit.books import Books, Told
from deploy.audit.findings import Finding, about_fact
from deploy.audit.folding.bills import CLOSURE_BILLED, ISSUED
from deploy.audit.folding.collected import FAILED, OVERDUE, REQUESTED
from deploy.audit.folding.copies import PUBLISHED, STARTED
from deploy.audit.folding.packages import BILLED, CLOSED, HELD, MOVED, NOT_HELD, OPENED, SOLD, SWITCHED
from shared.events import TYPES

NUMBERS: dict[str, str] = {
    SWITCHED: "version",
    REQUESTED: "version",
    PUBLISHED: "version",
    OPENED: "period_index",
}
"""Facts whose order within their subject is told by another field than `sequence`."""
ONCE: dict[str, Callable[[Any], Any]] = {
    STARTED: lambda event: event.business_date,
    SOLD: lambda event: event.package_id,
    HELD: lambda event: event.booking_id,
    NOT_HELD: lambda event: event.booking_id,
    MOVED: lambda event: event.package_id,
    CLOSED: lambda event: event.closure_id,
    ISSUED: lambda event: event.invoice_id,
    CLOSURE_BILLED: lambda event: event.closure_id,
    BILLED: lambda event: event.business_date,
    FAILED: lambda event: (event.debit_id, event.instalment_id),
    OVERDUE: lambda event: event.instalment_id,
}
"""What is told once, by the ids of the fact; all others are told once under each number of their subject."""
AGAIN = "catalog"
"""Who is in doubt is told the whole book once more, under the same numbers; only what differs then is a double."""
FIRST = {OPENED: 2}
"""The number that a subject begins with, where that is not 1."""


def telling(books: Books) -> Iterator[Finding]:
    """Each log is whole and says each thing once; everybody has heard what is for them."""
    for service, shelf in books.shelves.items():
        for told in shelf.log:
            yield from _envelope(books, service, told)
    yield from _twice(books)
    yield from _gaps(books)
    yield from _days(books)
    yield from _closures(books)
    yield from _unheard(books)


def _envelope(books: Books, service: str, told: Told) -> Iterator[Finding]:
    """A row of the log, its envelope and the fact in it speak of one thing."""

    def altered(what: str, should: object, found: object) -> Finding:
        return about_fact("altered", told, service, what, str(should), str(found))

    if told.event is None:
        shape = TYPES[told.type].__name__ if told.type in TYPES else "a type that we know"
        yield altered("envelope", f"a fact of {shape}", "something else")
        return
    says = {
        "id": str(told.event_id),
        "type": told.type,
        "subject": told.subject,
        "businessid": str(books.business_id),
        "source": service,
    }
    for member, should in says.items():
        if told.says(member) != should:
            yield altered(member, should, told.says(member))
    if told.type.partition(".")[0] != service:
        yield altered("type", f"a type of {service}", told.type)
    if told.event.subject != told.subject:
        yield altered("subject", told.subject, told.event.subject)
    sequence = getattr(told.event, "sequence", None)
    if told.says("sequence") not in (None, sequence):
        yield altered("sequence", sequence, told.says("sequence"))


def _number(told: Told) -> int | None:
    number = getattr(told.event, NUMBERS.get(told.type, "sequence"), None)
    return int(number) if number is not None else None


def _key(told: Told) -> tuple[Any, ...]:
    """By what a fact is known again, whatever its id: numbered ones by all types of their subject together."""
    once = ONCE.get(told.type)
    if once:
        return told.type, once(told.event)
    return _line(told), _number(told)


def _line(told: Told) -> tuple[Any, ...]:
    """The facts among which numbers count up: those of one subject, and of all its types where they share numbers."""
    of_all = told.type.startswith(("booking.", "directdebit."))
    return told.publisher if of_all else told.type, told.subject


def _facts(books: Books) -> Iterator[Told]:
    return (told for shelf in books.shelves.values() for facts in shelf.by_type.values() for told in facts)


def _twice(books: Books) -> Iterator[Finding]:
    """No fact is told twice under two ids; the one that was heard by fewer is the double."""
    told: defaultdict[tuple[Any, ...], list[Told]] = defaultdict(list)
    for fact in _facts(books):
        told[_key(fact)].append(fact)
    for facts in told.values():
        first, *more = sorted(facts, key=lambda fact: (-len(hearers(books, fact)), fact.event_id))
        for fact in more:
            if fact.publisher == AGAIN and fact.type not in ONCE and fact.event == first.event:
                continue
            about = f"the same as {first.event_id}"
            if fact.type != first.type:
                about = f"under the number of {first.type} {first.event_id}"
            yield about_fact("doubled", fact, fact.publisher, about, "told once", f"{len(facts)} times")


def hearers(books: Books, told: Told) -> set[str]:
    """Who has heard a fact."""
    return {service for service, shelf in books.shelves.items() if told.event_id in shelf.heard}


def _gaps(books: Books) -> Iterator[Finding]:
    """Numbers count up by one, from the first on where that is still in the log."""
    lines: defaultdict[tuple[Any, ...], dict[int, Told]] = defaultdict(dict)
    for told in _facts(books):
        number = _number(told)
        if number is not None and told.type not in ONCE:
            lines[_line(told)][number] = told
    for facts in lines.values():
        lowest = facts[min(facts)]
        first = FIRST.get(lowest.type, 1) if books.kept(UUID(lowest.subject)) else min(facts)
        for number in sorted(set(range(first, max(facts))) - facts.keys()):
            after = facts[min(later for later in facts if later > number)]
            about = f"{after.subject}, before {after.type} {after.event_id}"
            yield about_fact("missing", after.type, after.publisher, about, f"an event with number {number}", "a gap")


def _days(books: Books) -> Iterator[Finding]:
    """Each day is billed, one after the other, as its run says; and asks for so many collections."""
    asked: defaultdict[Any, int] = defaultdict(int)
    for told in books.told(REQUESTED):
        asked[told.event.run_date] += 1
    for told in books.told(STARTED):
        if told.date != told.event.business_date:
            dates = str(told.date), str(told.event.business_date)
            yield about_fact("altered", told, "catalog", "business_date", *dates)
    before: Told | None = None
    for told in sorted(books.told(BILLED), key=lambda told: told.event.business_date):
        day = told.event.business_date
        whole = before is not None or books.kept(books.business_id)
        if before and day > before.event.business_date + timedelta(days=1):
            should = f"the days after {before.event.business_date}"
            yield about_fact("missing", told.type, "billing", f"before {told.event_id}", should, f"{day}")
        elif whole:
            yield from _since(before, told)
        if told.date != day or told.event.business_id != books.business_id:
            yield about_fact("altered", told, "billing", "businessdate", str(day), str(told.date))
        if whole and told.event.collections_requested != asked[day]:
            found = f"{asked[day]} in the log"
            yield about_fact(
                "unequal", told, "billing", f"{day}", f"{told.event.collections_requested} requests", found
            )
        before = told
    if before and not before.event.current:
        yield about_fact(
            "altered", before, "billing", "current", "the newest day of a run that has ended", "not current"
        )


def _since(before: Told | None, told: Told) -> Iterator[Finding]:
    """A run goes on until a day is current; then a new one begins. Where two days disagree, either may be altered."""
    day, since = told.event.business_date, told.event.since_date
    first = before.event.since_date if before and not before.event.current else day
    if since == first:
        return
    if before and since in (day, before.event.since_date):
        about = f"{before.event.business_date}, current (or since_date of {told.event_id})"
        should = str(since == day)
        yield about_fact("altered", before, "billing", about, should, str(before.event.current))
    else:
        yield about_fact("altered", told, "billing", f"{day}, since_date", str(first), str(since))


def _closures(books: Books) -> Iterator[Finding]:
    """Each closure of a package goes on counting where the one before ended."""
    for package_id, facts in books.grouped("package_id", CLOSED, order="counted_before").items():
        counted = 0
        for told in facts:
            if told.event.counted_before != counted and books.kept(package_id):
                about = f"package_id={package_id}, counted_before"
                yield about_fact("altered", told, "packages", about, str(counted), str(told.event.counted_before))
            counted += len(told.event.sessions)


def _unheard(books: Books) -> Iterator[Finding]:
    """Everybody has handled what is for them, or has set it aside; what is parked waits for a person."""
    for service, shelf in books.shelves.items():
        reached = shelf.heard | shelf.aside
        for told in (told for other in books.shelves.values() for told in other.log):
            if told.type not in books.subscriptions[service]:
                continue
            if told.event_id in shelf.parked:
                error = shelf.parked[told.event_id]
                yield about_fact("parked", told, service, "inbox_failed", "handled", error.partition("\n")[0][:100])
            elif told.event_id not in reached and told.published_at < books.heard_until:
                yield about_fact("unheard", told, service, "inbox", "heard", "neither handled nor set aside")


def strangers(known: Iterable[UUID], inboxes: Mapping[str, Iterable[UUID]]) -> Iterator[Finding]:
    """Events that somebody has handled, and nobody has told: they are gone from the log of whoever did."""
    told = set(known)
    for service, heard in inboxes.items():
        for event_id in sorted(set(heard) - told):
            yield Finding("missing", "an event", str(event_id), "unknown", service, "inbox", "in a log", "in none")
