"""What has once been told stays readable: the golden events, and the document of the events that others read."""

import json
from collections.abc import Iterator
from typing import Any, Literal
from uuid import UUID

import jsonschema_rs
import pytest
from pydantic import ConfigDict

from deploy.local.contracts import golden
from deploy.local.contracts.golden import GOLDEN, kept, lost, misread, samples
from deploy.local.docs import DOCS, published
from shared.events import TYPES, Part

GIVEN = sorted(event.type for events in published().values() for event in events)
DOCUMENT = json.loads((DOCS / "asyncapi.json").read_text())

# The golden events


def test_today_every_golden_event_is_read_and_written_again() -> None:
    assert golden.broken() == []


def test_every_type_has_a_golden_that_shows_all_it_can_say() -> None:
    stale = [path.name for path, text in golden.files().items() if not path.exists() or path.read_text() != text]
    assert stale == [], "run ./dev docs and commit what it writes"


@pytest.mark.parametrize("kind", GIVEN)
def test_a_golden_shows_every_field_of_today(kind: str) -> None:
    newest = kept(kind)[-1]["data"]
    assert newest.keys() == TYPES[kind].model_fields.keys()


class Tier(Part):
    rate_minor: int


class Noted(Part):
    """An event as it was."""

    note_id: UUID
    state: Literal["open", "paid"]
    tiers: list[Tier]
    note: str | None = None


class WithMore(Noted):
    day: str | None = None


class WithMoreToSay(Noted):
    state: Literal["open", "paid", "late"]  # type: ignore[assignment]


class WithoutNote(Part):
    note_id: UUID
    state: Literal["open", "paid"]
    tiers: list[Tier]


class Retyped(Noted):
    note: int | None = None  # type: ignore[assignment]


class QuietlyRetyped(Noted):
    model_config = ConfigDict(coerce_numbers_to_str=True)
    tiers: list[dict[str, str]]  # type: ignore[assignment]


class NewlyRequired(Noted):
    day: str


class WithLessToSay(Noted):
    state: Literal["open"]


class DeepDown(Noted):
    tiers: list[Part]  # type: ignore[assignment]


def _written() -> list[dict[str, Any]]:
    shape = Noted.model_json_schema()
    return samples(shape, "things.noted.v1", shape["$defs"])


@pytest.mark.parametrize("model", [Noted, WithMore, WithMoreToSay])
def test_an_addition_reads_what_was_written_before(model: type[Part]) -> None:
    assert [misread(model, data) for data in _written()] == [[], []]


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (WithoutNote, "note is gone"),
        (Retyped, "note (Input should be a valid integer, unable to parse string as an integer)"),
        (QuietlyRetyped, "tiers.0.rate_minor was 1 and is written as '1'"),
        (NewlyRequired, "day (Field required)"),
        (WithLessToSay, "state (Input should be 'open')"),
        (DeepDown, "tiers.0.rate_minor is gone"),
    ],
)
def test_any_other_change_is_named(model: type[Part], what: str) -> None:
    assert what in [found for data in _written() for found in misread(model, data)]


def test_a_sample_shows_every_alternative() -> None:
    assert [(data["state"], data["note"]) for data in _written()] == [("open", "note"), ("paid", None)]


def test_true_is_not_one() -> None:
    assert list(lost({"a": 1}, {"a": True})) == ["a was 1 and is written as True"]


def test_a_type_that_is_gone_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    # A copy: put back, it would be the last of all types.
    monkeypatch.setattr(golden, "TYPES", {kind: each for kind, each in TYPES.items() if kind != "booking.confirmed.v1"})
    assert golden.broken() == [f"booking.confirmed.v1: no model has this type any more. {golden.WHAT_TO_DO}"]


def test_an_envelope_that_lost_something_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    (first, *_) = kept("booking.confirmed.v1")
    monkeypatch.setattr(golden, "kept", lambda _: [first | {"specversion": "0.3", "tenant": "x"}])
    told = [line for line in golden.broken() if line.startswith("booking.confirmed.v1")]
    assert [line.partition(" of the envelope")[0] for line in told] == [
        "booking.confirmed.v1: specversion was '0.3' and is written as '1.0'",
        "booking.confirmed.v1: tenant is gone",
    ]


def test_a_golden_is_only_added_to(monkeypatch: pytest.MonkeyPatch) -> None:
    older = [{"type": "booking.confirmed.v1", "data": {"from": "before"}}]
    monkeypatch.setattr(golden, "kept", lambda _: older)
    batch = json.loads(golden.files()[GOLDEN / "booking.confirmed.v1.json"])
    assert batch == older + golden.made(TYPES["booking.confirmed.v1"])


# The document of the events


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else [])
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def test_what_the_document_refers_to_is_in_it() -> None:
    for reference in set(references(DOCUMENT)):
        place = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


def test_every_event_has_a_channel_somebody_who_sends_it_and_all_who_receive_it() -> None:
    assert sorted(DOCUMENT["channels"]) == GIVEN
    sent = [name.partition(".send.")[2] for name in DOCUMENT["operations"] if ".send." in name]
    assert sorted(sent) == GIVEN


def _schema(kind: str) -> dict[str, Any]:
    return {"$ref": f"#/components/messages/{kind}/payload", "components": DOCUMENT["components"]}


@pytest.mark.parametrize("kind", GIVEN)
def test_a_golden_batch_is_as_the_document_says(kind: str) -> None:
    validator = jsonschema_rs.Draft7Validator(_schema(kind))
    assert [error.message for error in validator.iter_errors(kept(kind))] == []


def test_the_document_refuses_a_batch_that_is_not_so() -> None:
    validator = jsonschema_rs.Draft7Validator(_schema("booking.confirmed.v1"))
    (whole,) = kept("booking.confirmed.v1")
    wrongs: list[dict[str, Any]] = [
        {"type": "x"},
        {"source": "packages"},
        {"businessid": 1},
        {"data": {}},
        {"specversion": "0.3"},
    ]
    for wrong in wrongs:
        assert not validator.is_valid([whole | wrong])
    assert not validator.is_valid([])
    assert not validator.is_valid(whole)
