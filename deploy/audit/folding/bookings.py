"""What booking must have: every booking as its own facts, and those of packages, have made it."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any
from uuid import UUID

from deploy.audit.books import Books, Told, once
from deploy.audit.findings import Finding, Must, about_fact, disagreements, unexplained
from deploy.audit.folding.packages import HELD, MOVED, NOT_HELD

ASKED = "booking.hold_requested.v1"
CONFIRMED = "booking.confirmed.v1"
REFUSED = "booking.refused.v1"
CANCELLED = "booking.cancelled.v1"
ATTENDED = "booking.attendance_recorded.v1"
NEXT: Mapping[str, tuple[str, ...]] = {
    ASKED: (CONFIRMED, REFUSED, CANCELLED),
    CONFIRMED: (CANCELLED, ATTENDED),
    ATTENDED: (ATTENDED,),
}
"""What may follow what; what is not named is the end of a booking."""


@once
def stories(books: Books) -> dict[UUID, list[Told]]:
    """What booking told of each booking, in the order of the sequence."""
    return books.grouped("booking_id", ASKED, CONFIRMED, REFUSED, CANCELLED, ATTENDED)


@once
def chains(books: Books) -> dict[UUID, list[tuple[UUID, Told]]]:
    """The packages that held a session for each booking, one after the other, with the fact that says so."""
    moves = {
        (booking_id, moved.event.package_id): moved
        for moved in books.told(MOVED)
        for booking_id in moved.event.booking_ids
    }
    found: dict[UUID, list[tuple[UUID, Told]]] = {}
    for held in books.told(HELD):
        chain = [(held.event.package_id, held)]
        while (moved := moves.pop((held.event.booking_id, chain[-1][0]), None)) is not None:
            chain.append((moved.event.successor_id, moved))
        found.setdefault(held.event.booking_id, chain)
    return found


def bookings(books: Books) -> Iterator[Finding]:
    """Every booking is what was told of it."""
    told, held = stories(books), chains(books)
    for booking_id, story in told.items():
        if story[0].type == ASKED:
            yield from disagreements(books, _booking(booking_id, story, held.get(booking_id, [])))
        yield from _steps(story)
    yield from _as_told(books, told)
    yield from _refusals(books, told)
    known = {(booking_id,) for booking_id in told}
    yield from unexplained(books, "booking", "bookings", ("booking_id",), known, ASKED)


def _steps(story: list[Told]) -> Iterator[Finding]:
    """Each fact about a booking may follow the one before."""
    for before, after in pairwise(story):
        if after.event.sequence == before.event.sequence + 1 and after.type not in NEXT.get(before.type, ()):
            should = " or ".join(NEXT.get(before.type, ())) or "nothing"
            about = f"sequence {after.event.sequence}, after {before.type}"
            yield about_fact("altered", after, "booking", about, should, after.type)


def _booking(booking_id: UUID, story: list[Told], chain: list[tuple[UUID, Told]]) -> Iterator[Must]:
    asked, last = story[0], story[-1]

    def must(because: Told | str, **values: Any) -> Must:
        return Must("booking", "bookings", {"booking_id": booking_id}, values, because)

    event = asked.event
    people = {"client_id": event.client_id, "service_id": event.service_id, "practitioner_id": event.practitioner_id}
    times = {"session_date": event.session_date, "starts_at": event.starts_at, "decide_by": event.decide_by}
    yield must(asked, **people, **times)
    yield must(last, sequence=last.event.sequence)
    if last.type == ASKED:
        yield must(chain[0][1] if chain else asked, state="requested" if chain else "holding")
    else:
        yield must(last, state=state_after(last))
    for told in story:
        if told.type in (REFUSED, CANCELLED):
            yield must(told, reason=told.event.reason)
    hours = chain[0][1].event.late_cancel_hours if chain else 0
    if chain and not _came_too_late(story):
        yield must(chain[-1][1], package_id=chain[-1][0])
        yield must(chain[0][1], late_cancel_hours=hours)
    elif not hours:
        yield must(asked, late_cancel_hours=0)
    if not chain:
        yield must(asked, package_id=event.package_id)


def _came_too_late(story: list[Told]) -> bool:
    """Whether a session that was held may have found the booking at its end."""
    last = story[-1]
    return last.type == REFUSED or (last.type == CANCELLED and not last.event.had_session)


def state_after(told: Told) -> str:
    """The state that a fact of booking leaves."""
    if told.type == CANCELLED:
        return "cancelled" if told.event.returns_session else "late_cancelled"
    return {CONFIRMED: "confirmed", REFUSED: "refused"}.get(told.type) or str(told.event.outcome)


def _as_told(books: Books, told: Mapping[UUID, list[Told]]) -> Iterator[Finding]:
    """What facts repeat of a booking is what the booking is; what they say of the actor is who told them."""
    packages = {its_id: {package for package, _ in chain} for its_id, chain in chains(books).items()}
    for booking_id, story in told.items():
        for fact in story:
            columns = ("client_id", "service_id", "practitioner_id", "starts_at", "session_date")
            repeats = {name: value for name in columns if (value := getattr(fact.event, name, None)) is not None}
            yield from disagreements(
                books, [Must("booking", "bookings", {"booking_id": booking_id}, repeats, fact)] if repeats else []
            )
            whole = story[0].type == ASKED
            if whole and fact.type == CONFIRMED and fact.event.package_id not in packages.get(booking_id, ()):
                held = " or ".join(map(str, packages.get(booking_id, ()))) or "a package that holds a session"
                yield about_fact("altered", fact, "booking", "package_id", held, str(fact.event.package_id))
            if fact.type == CANCELLED and fact.event.by != fact.says("actor"):
                yield about_fact("altered", fact, "booking", "by", str(fact.says("actor")), fact.event.by)


def _refusals(books: Books, told: Mapping[UUID, list[Told]]) -> Iterator[Finding]:
    """What packages refuses, booking refuses for the reason that packages gave."""
    for refused in books.told(NOT_HELD):
        for fact in told.get(refused.event.booking_id, ()):
            caused = fact.type == REFUSED and fact.says("causationid") == str(refused.event_id)
            if caused and fact.event.reason != refused.event.reason:
                about = f"booking_id={refused.event.booking_id}, reason"
                yield about_fact("altered", refused, "booking", about, fact.event.reason, refused.event.reason)
