"""What must hold of the logs and of who has heard them, each with small harms that break it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace as Some
from typing import Any
from uuid import UUID

import orjson
import pytest

from deploy.audit.books import Told, first_id, made_at, read
from deploy.audit.laws.telling import strangers, telling
from shared.events.billing import DayBilled
from shared.events.booking import AttendanceRecorded, BookingRefused
from shared.events.catalog import ClientChanged
from shared.ids import new_id
from tests.audit.worlds import ANA, BUSINESS, DAY, B, P, books, told


def whats(findings: Any) -> list[str]:
    return sorted(finding.what for finding in findings)


def attended(sequence: int, outcome: Any = "attended") -> AttendanceRecorded:
    return AttendanceRecorded(booking_id=B, sequence=sequence, outcome=outcome, session_date=DAY)


def client(sequence: int = 1, name: str = "Ana") -> ClientChanged:
    return ClientChanged(client_id=ANA, sequence=sequence, name=name, email=None, active=True)


def billed(day: int, since: int, *, current: bool = True, requested: int = 0) -> Told:
    first, on = date(2022, 9, since), date(2022, 9, day)
    event = DayBilled(
        business_id=BUSINESS, since_date=first, business_date=on, current=current, collections_requested=requested
    )
    return told(event, businessdate=on)


def test_a_log_that_counts_up_and_was_heard_is_in_order() -> None:
    facts = [told(client(1)), told(client(2, "Anna")), *(told(attended(n)) for n in (1, 2, 3))]
    days = [billed(9, 9), billed(10, 10, current=False), billed(11, 10), billed(12, 12)]
    assert list(telling(books(*facts, *days))) == []


def test_a_number_that_is_left_out_is_missing() -> None:
    (gap,) = telling(books(told(attended(1)), told(attended(3))))
    assert (gap.what, gap.type) == ("missing", "booking.attendance_recorded.v1")
    assert "number 2" in gap.should
    (gap,) = telling(books(told(attended(2))))
    assert "number 1" in gap.should


def test_a_fact_under_two_ids_is_doubled_and_the_one_nobody_heard_is_named() -> None:
    once, again = told(attended(1)), told(attended(1))
    world = books(again, once)
    world.shelves["packages"].heard.discard(again.event_id)
    found = list(telling(world))
    assert whats(found) == ["doubled", "unheard"]
    assert {finding.event_id for finding in found} == {str(again.event_id)}


def test_two_facts_under_one_number_are_a_double_whatever_their_types() -> None:
    refused = BookingRefused(booking_id=B, sequence=1, client_id=ANA, reason="full")
    assert whats(telling(books(told(attended(1)), told(refused)))) == ["doubled"]


def test_the_book_may_be_told_once_more_as_it_is_and_not_otherwise() -> None:
    assert list(telling(books(told(client()), told(client())))) == []
    assert whats(telling(books(told(client()), told(client(name="Bo"))))) == ["doubled"]


def test_what_is_set_aside_is_not_lost_and_what_is_parked_waits_for_a_person() -> None:
    fact = told(attended(1))
    world = books(fact)
    packages = world.shelves["packages"]
    packages.heard.clear()
    assert whats(telling(world)) == ["unheard"]
    packages.aside.add(fact.event_id)
    assert list(telling(world)) == []
    packages.parked[fact.event_id] = "Reject: no such booking"
    assert whats(telling(world)) == ["parked"]


def test_what_was_published_just_now_may_be_on_its_way() -> None:
    world = books(told(attended(1)), heard_until=datetime.now(UTC) - timedelta(minutes=1))
    world.shelves["packages"].heard.clear()
    assert list(telling(world)) == []


@pytest.mark.parametrize("change", [{"subject": str(P)}, {"type": "booking.confirmed.v1"}, {"source": "billing"}])
def test_an_envelope_speaks_of_its_fact(change: dict[str, str]) -> None:
    fact = told(attended(1))
    altered = replace(fact, envelope=dict(fact.envelope) | change)
    assert {finding.what for finding in telling(books(altered))} == {"altered"}


def test_what_is_no_fact_is_found() -> None:
    row = Some(
        event_id=new_id(), type="booking.confirmed.v1", subject="x", envelope="{}", published_at=datetime.now(UTC)
    )
    assert whats(telling(books(read("booking", row)))) == ["altered"]


@pytest.mark.parametrize(
    ("days", "what"),
    [
        ([billed(9, 9), billed(11, 11)], "missing"),
        ([billed(9, 8)], "altered"),
        ([billed(9, 9), billed(10, 9)], "altered"),
        ([billed(9, 9), billed(10, 8)], "altered"),
        ([billed(9, 9, current=False)], "altered"),
        ([billed(9, 9, requested=1)], "unequal"),
    ],
)
def test_days_follow_each_other_as_their_runs_say(days: list[Told], what: str) -> None:
    assert whats(telling(books(*days))) == [what]


def test_what_was_heard_and_is_in_no_log_is_missing() -> None:
    known, gone = new_id(), new_id()
    (finding,) = strangers([known], {"billing": {known, gone}, "notify": {known}})
    assert (finding.what, finding.event_id, finding.subscriber) == ("missing", str(gone), "billing")


def test_an_id_tells_when_it_was_made() -> None:
    now = datetime.now(UTC)
    assert abs(made_at(new_id()) - now) < timedelta(minutes=1)
    assert made_at(first_id(now)) <= now < made_at(first_id(now)) + timedelta(milliseconds=2)


def test_of_a_log_that_is_kept_for_a_while_nothing_is_concluded_from_what_is_gone() -> None:
    world = books(told(attended(5)), told(attended(6)), kept_since=datetime.now(UTC) - timedelta(days=1))
    assert list(telling(world)) == []
    assert not world.kept(new_id())
    assert not world.kept(UUID(int=2**127))
    assert replace(world, kept_since=datetime.now(UTC) - timedelta(days=3)).kept(new_id())


def test_an_envelope_of_the_log_is_what_the_bus_carries() -> None:
    fact = told(attended(1))
    assert orjson.loads(orjson.dumps(fact.envelope))["data"]["booking_id"] == str(B)
    assert fact.event == attended(1)
