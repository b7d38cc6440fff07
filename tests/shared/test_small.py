"""The small things that all else stands on: ids, money, clocks, codes, logs."""

import logging
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
import structlog

from shared import errors
from shared.clock import BusinessClock
from shared.errors import Conflict, NotYetKnown, Problem
from shared.events import Event
from shared.ids import new_id
from shared.log import log
from tests.harness.logs import Lines, logged

SYDNEY = "Australia/Sydney"


def test_ids_are_of_version_seven_and_never_the_same() -> None:
    made = [new_id() for _ in range(2000)]
    assert len(set(made)) == len(made)
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}


def test_ids_sort_by_the_time_they_were_made() -> None:
    made = []
    for _ in range(5):
        made.append(new_id())
        time.sleep(0.002)
    assert made == sorted(made)
    assert [*map(str, made)] == sorted(map(str, made))


def test_an_id_begins_with_the_milliseconds_of_its_making() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= UUID(str(new_id())).int >> 80 <= time.time_ns() // 1_000_000


@pytest.mark.parametrize(
    ("instant", "local"),
    [
        ("2022-10-01T15:59:59+00:00", "2022-10-02T01:59:59+10:00"),
        ("2022-10-01T16:00:00+00:00", "2022-10-02T03:00:00+11:00"),
        ("2022-04-02T15:30:00+00:00", "2022-04-03T02:30:00+11:00"),
        ("2022-04-02T16:30:00+00:00", "2022-04-03T02:30:00+10:00"),
    ],
)
def test_a_clock_in_sydney_jumps_with_the_season(instant: str, local: str) -> None:
    """02:00 is left out on the first Sunday of October, and comes twice on the first Sunday of April."""
    clock = BusinessClock(SYDNEY, datetime.fromisoformat(instant))
    assert clock.now().isoformat() == local


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2022-10-01T13:59:59+00:00", date(2022, 10, 1)),
        ("2022-10-01T14:00:00+00:00", date(2022, 10, 2)),
        ("2022-10-02T12:59:59+00:00", date(2022, 10, 2)),
        ("2022-10-02T13:00:00+00:00", date(2022, 10, 3)),
        ("2022-04-02T13:00:00+00:00", date(2022, 4, 3)),
        ("2022-04-03T13:59:59+00:00", date(2022, 4, 3)),
        ("2022-04-03T14:00:00+00:00", date(2022, 4, 4)),
    ],
)
def test_a_day_in_sydney_may_have_twenty_three_hours_or_twenty_five(instant: str, day: date) -> None:
    assert BusinessClock(SYDNEY).date_of(datetime.fromisoformat(instant)) == day


def test_a_clock_that_nobody_set_shows_the_time_it_is() -> None:
    assert abs(BusinessClock(SYDNEY).now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_problem_is_named_and_described_by_its_class() -> None:
    class PractitionerBusy(Conflict):
        """The practitioner is busy then.

        More about it.
        """

    assert PractitionerBusy.code() == "practitioner-busy"
    assert str(PractitionerBusy()) == PractitionerBusy.title() == "The practitioner is busy then."
    assert str(PractitionerBusy("Try at ten.")) == "Try at ten."
    assert PractitionerBusy(at="ten").members == {"at": "ten"}
    assert NotYetKnown("client", 7).members == {"kind": "client"}


def test_every_problem_has_a_message_and_a_status_of_its_own() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Problem)]
    assert all(kind.title() and "__doc__" in vars(kind) for kind in kinds)
    ours = [kind for kind in kinds if "status" in vars(kind)]
    assert len({kind.status for kind in ours}) == len(ours)


@pytest.fixture
def lines() -> Iterator[Lines]:
    with logged() as made:
        yield made


@pytest.mark.parametrize(
    "name", ["password", "provider_token", "Authorization", "account_number", "IBAN", "set_cookie"]
)
def test_a_value_under_a_telling_name_is_masked(lines: Lines, name: str) -> None:
    log.info("told", **{name: "do-not-tell", "harmless": 1})
    (line,) = lines.said()
    assert line[name] == "•••"
    assert (line["event"], line["harmless"], line["level"]) == ("told", 1, "info")


def test_what_a_context_binds_is_masked_too(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(token="do-not-tell", request_id="r-1"):
        log.info("told")
    (line,) = lines.said()
    assert (line["token"], line["request_id"]) == ("•••", "r-1")


def test_libraries_speak_through_the_same_pipe(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        logging.getLogger("aiormq.connection").warning("lost %s", "it")
        logging.getLogger("aiormq.connection").info("too quiet to hear")
    (line,) = lines.said()
    assert (line["event"], line["level"], line["request_id"]) == ("lost it", "warning", "r-1")


def test_an_exception_is_one_line_too(lines: Lines) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        log.error("failed", exc_info=error)
    (line,) = lines.said()
    assert "ValueError: two\nlines" in str(line["exception"])


def test_an_event_with_personal_fields_says_whose_they_are() -> None:
    with pytest.raises(TypeError, match="client_id"):

        class Noted(Event, type="test.noted.v1", subject="note_id", personal={"note": None}):
            note_id: UUID
            note: str | None

    with pytest.raises(TypeError, match="note"):

        class NotedOf(Event, type="test.noted_of.v1", subject="client_id", personal={"note": None}):
            client_id: UUID
