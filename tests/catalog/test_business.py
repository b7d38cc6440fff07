"""The profile and the clock of a business, on PostgreSQL."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from shared.events.catalog import BusinessChanged
from tests.catalog.conftest import PROFILE, TUESDAY, Book, fields_of

pytestmark = pytest.mark.servers


async def test_the_first_description_makes_the_business_and_each_is_told(stranger: Book) -> None:
    missing = await stranger.ask("GET", "business", status=404)
    assert missing["type"].endswith(":not-found")
    made = await stranger.ask("PUT", "business", PROFILE)
    assert made == PROFILE | {"business_id": str(stranger.business_id), "test_now": None}
    await stranger.ask("PUT", "business", PROFILE | {"name": "Loft"})
    facts = await stranger.room.facts(stranger.business_id, BusinessChanged)
    assert [(fact.sequence, fact.name) for fact in facts if isinstance(fact, BusinessChanged)] == [
        (1, "Harbour Studio"),
        (2, "Loft"),
    ]


async def test_first_descriptions_at_once_are_told_one_after_the_other(stranger: Book) -> None:
    await asyncio.gather(*(stranger.ask("PUT", "business", PROFILE | {"name": name}) for name in "ABCDE"))
    facts = await stranger.room.facts(stranger.business_id, BusinessChanged)
    assert sorted(fact.sequence for fact in facts if isinstance(fact, BusinessChanged)) == [1, 2, 3, 4, 5]
    newest = max((fact for fact in facts if isinstance(fact, BusinessChanged)), key=lambda fact: fact.sequence)
    assert (await stranger.ask("GET", "business"))["name"] == newest.name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("zone", "Sydney"),
        ("zone", "australia/sydney"),
        ("zone", "+10:00"),
        ("zone", "../etc/passwd"),
        ("currency", "aud"),
        ("email", "no address"),
        ("email", "a@b.test\nBcc: c@d.test"),
        ("name", " "),
        ("name", "a\x00b"),
        ("name", None),
        ("test_now", "2022-09-13T00:00:00"),
        ("test_now", "1999-12-31T00:00:00Z"),
    ],
)
async def test_a_description_that_cannot_be_names_the_field(stranger: Book, field: str, value: Any) -> None:
    problem = await stranger.ask("PUT", "business", PROFILE | {field: value}, status=422)
    assert fields_of(problem) == [field]
    assert await stranger.room.facts(stranger.business_id) == []


async def test_a_test_clock_begins_with_the_business_moves_forward_and_outlives_a_new_zone(timed: Book) -> None:
    assert (await timed.ask("GET", "business"))["test_now"] == TUESDAY
    refused = await timed.ask("PUT", "business/clock", {"now": "2022-09-12T23:59:59Z"}, status=409)
    assert refused["type"].endswith(":clock-runs-forward")
    kept = await timed.ask("PUT", "business", PROFILE | {"zone": "Europe/Paris"})
    assert (kept["zone"], kept["test_now"]) == ("Europe/Paris", TUESDAY)
    moved = await timed.ask("PUT", "business/clock", {"now": "2022-09-14T00:00:00+10:00"})
    assert moved["test_now"] == "2022-09-13T14:00:00Z"


async def test_a_description_does_not_move_a_test_clock(timed: Book) -> None:
    await timed.ask("PUT", "business", PROFILE | {"test_now": TUESDAY})
    refused = await timed.ask("PUT", "business", PROFILE | {"test_now": "2022-09-14T00:00:00Z"}, status=409)
    assert refused["type"].endswith(":clock-moves-elsewhere")
    assert fields_of(refused) == ["test_now"]
    assert (await timed.ask("GET", "business"))["test_now"] == TUESDAY


async def test_a_business_in_real_time_stays_there(book: Book) -> None:
    described = await book.ask("PUT", "business", PROFILE | {"test_now": TUESDAY}, status=409)
    moved = await book.ask("PUT", "business/clock", {"now": TUESDAY}, status=409)
    for refused in (described, moved):
        assert refused["type"].endswith(":lives-in-real-time")
    assert fields_of(described) == ["test_now"]
    assert (await book.ask("GET", "business"))["test_now"] is None


async def test_facts_carry_the_date_that_it_is_at_the_business(timed: Book) -> None:
    await timed.ask("PUT", "business/clock", {"now": "2022-10-01T15:30:00Z"})
    async with timed.room.inside(timed.business_id) as db:
        dates = "select envelope::json ->> 'businessdate' from outbox where business_id = :id union all"
        dates += " select envelope::json ->> 'businessdate' from event_log where business_id = :id"
        found = list((await db.execute(text(dates), {"id": timed.business_id})).scalars())
        assert str(db.today) == "2022-10-02"
    assert sorted(found) == ["2022-09-13"] * 2 + ["2022-10-02"] * 2


@pytest.mark.parametrize("now", ["2022-09-13T00:00:00", "1999-12-31T00:00:00Z", "9999-12-31T23:59:59Z", "soon"])
async def test_a_clock_takes_an_instant_of_our_times(timed: Book, now: str) -> None:
    assert fields_of(await timed.ask("PUT", "business/clock", {"now": now}, status=422)) == ["now"]


async def test_a_clock_needs_a_business(stranger: Book) -> None:
    await stranger.ask("PUT", "business/clock", {"now": TUESDAY}, status=404)


async def test_production_has_no_test_clock(stranger: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stranger.room.running.settings, "environment", "production")
    refused = await stranger.ask("PUT", "business", PROFILE | {"test_now": TUESDAY}, status=409)
    assert refused["type"].endswith(":no-test-clock")
    assert fields_of(refused) == ["test_now"]
    await stranger.ask("GET", "business", status=404)
    await stranger.ask("PUT", "business", PROFILE)
    refused = await stranger.ask("PUT", "business/clock", {"now": TUESDAY}, status=409)
    assert refused["type"].endswith(":no-test-clock")
