"""What breaks others is seen: a call that is gone, an answer that lost a field, a request that asks for more."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from deploy.local import docs
from deploy.local.contracts import golden
from deploy.local.contracts.changes import broken_calls, broken_events
from deploy.local.docs import DOCS

NAME = {"type": "string"}
STATE = {"type": "string", "enum": ["open", "paid"]}
PLAIN: dict[str, Any] = {
    "type": "object",
    "properties": {"name": NAME, "state": STATE, "note": {"anyOf": [NAME, {"type": "null"}]}},
    "required": ["name"],
}


def shape(required: tuple[str, ...] = ("name",), without: str = "", **fields: Any) -> dict[str, Any]:
    """The plain shape with other fields, without one, or with others required."""
    properties = {name: field for name, field in (PLAIN["properties"] | fields).items() if name != without}
    return PLAIN | {"properties": properties, "required": list(required)}


def api(asks: Any = PLAIN, answers: Any = PLAIN, **changes: Any) -> dict[str, Any]:
    """An API with one call, whose body and answer have these shapes."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 200}}
    call = {
        "parameters": [limit],
        "requestBody": {"content": {"application/json": {"schema": asks}}},
        "responses": {"200": {"content": content}, "202": {"content": content}},
    }
    paths = {"/things": {"post": call | changes}}
    return {"paths": paths, "components": {"schemas": {"Answer": answers}}}


def parameter(name: str, required: bool = False, **of: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": {"type": "integer", "maximum": 200} | of}


BREAKING = {
    "POST /things is gone": {"paths": {"/things": {"get": {}}}},
    "POST /things: the query parameter limit is gone": api(parameters=[]),
    "POST /things: limit may be integer no longer": api(parameters=[parameter("limit", type="string")]),
    "POST /things: limit: its maximum is narrower": api(parameters=[parameter("limit", maximum=100)]),
    "POST /things: the query parameter limit is required now": api(parameters=[parameter("limit", required=True)]),
    "POST /things: the query parameter day is required now": api(
        parameters=[parameter("limit"), parameter("day", required=True)]
    ),
    "POST /things: the status 202 is gone": api(
        responses={"200": api()["paths"]["/things"]["post"]["responses"]["200"]}
    ),
    "POST /things: body: note is gone": api(asks=shape(without="note")),
    "POST /things: body: note is required now": api(asks=shape(required=("name", "note"))),
    "POST /things: body: day is required now": api(asks=shape(required=("name", "day"), day=NAME)),
    "POST /things: body: note may be null no longer": api(asks=shape(note=NAME)),
    "POST /things: body: state may be ['paid'] no longer": api(asks=shape(state={"const": "open"})),
    "POST /things: body: name: its format was None and is uuid": api(asks=shape(name=NAME | {"format": "uuid"})),
    "POST /things: body: name: its maxLength is narrower": api(asks=shape(name=NAME | {"maxLength": 9})),
    "POST /things: 200: note is gone": api(answers=shape(without="note")),
    "POST /things: 200: name may be integer now": api(answers=shape(name={"type": "integer"})),
    "POST /things: 200: name may be null now": api(answers=shape(name={"anyOf": [NAME, {"type": "null"}]})),
    "POST /things: 200: name may be missing now": api(answers=shape(required=())),
}


@pytest.mark.parametrize("what", BREAKING)
def test_a_change_of_the_api_that_breaks_callers_is_named(what: str) -> None:
    assert what in broken_calls(api(), BREAKING[what])


ADDITIONS = {
    "nothing": api(),
    "an endpoint": {**api(), "paths": {**api()["paths"], "/more": {"get": {"responses": {}}}}},
    "an optional parameter": api(parameters=[parameter("limit"), parameter("day")]),
    "a wider limit": api(parameters=[parameter("limit", maximum=500)]),
    "an optional field of a request": api(asks=shape(day=NAME)),
    "a field of a request that is optional now": api(asks=shape(required=())),
    "a value that a request may have": api(asks=shape(state=STATE | {"enum": ["open", "paid", "late"]})),
    "a field of an answer": api(answers=shape(day=NAME)),
    "a value of an answer": api(answers=shape(state=STATE | {"enum": ["open", "paid", "late"]})),
    "an answer that is never null any more": api(answers=shape(note=NAME)),
    "a status": api(responses={**api()["paths"]["/things"]["post"]["responses"], "409": {}}),
}


@pytest.mark.parametrize("what", ADDITIONS)
def test_an_addition_to_the_api_breaks_nobody(what: str) -> None:
    assert broken_calls(api(), ADDITIONS[what]) == []


def events(data: Any = PLAIN, address: str = "things.made.v1") -> dict[str, Any]:
    """A document of one event; like ours, its shape adds to that of the envelope."""
    envelope = {"type": "object", "properties": {"id": NAME, "data": {"type": "object"}}, "required": ["id"]}
    whole = {"allOf": [{"$ref": "#/components/schemas/E"}, {"type": "object", "properties": {"data": data}}]}
    message = {"payload": {"type": "array", "items": whole}}
    return {
        "channels": {"things.made.v1": {"address": address}},
        "components": {"messages": {"things.made.v1": message}, "schemas": {"E": envelope}},
    }


@pytest.mark.parametrize(
    ("now", "what"),
    [
        ({"channels": {}}, "things.made.v1 is gone: nobody sends it any more"),
        (events(address="things"), "things.made.v1: its address is things now"),
        (events(shape(without="note")), "things.made.v1[]: data: note is gone"),
        (events(shape(name={"type": "integer"})), "things.made.v1[]: data: name may be integer now"),
        (events(shape(state={"const": "open"})), "things.made.v1[]: data: state may be ['paid'] no longer"),
    ],
)
def test_a_change_of_an_event_that_breaks_readers_is_named(now: dict[str, Any], what: str) -> None:
    assert broken_events(events(), now) == [what]


def test_an_addition_to_an_event_breaks_nobody() -> None:
    assert broken_events(events(), events(shape(day=NAME))) == []
    assert broken_events({}, events()) == []


# ./dev docs


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[Path, str]:
    """A folder of documents whose code has lost a field of an answer since."""
    monkeypatch.setattr(docs, "DOCS", tmp_path)
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "CHANGES", tmp_path / "api-changes.md")
    monkeypatch.setattr(golden, "files", dict)
    (tmp_path / "openapi.json").write_text(json.dumps(api()))
    (tmp_path / "api-changes.md").write_text("# Changes that break\n")
    made = {
        tmp_path / "openapi.json": json.dumps(api(answers=shape(without="note"))),
        tmp_path / "asyncapi.json": json.dumps(events()),
    }
    monkeypatch.setattr(docs, "pages", lambda: dict(made))
    return made


def test_documents_that_break_others_are_not_written(
    pages: dict[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        docs.docs()
    assert "POST /things: 200: note is gone" in capsys.readouterr().err
    assert [path.exists() and path.read_text() == text for path, text in pages.items()] == [False, False]


def test_with_a_reason_they_are_written_and_the_reason_is_kept(pages: dict[Path, str]) -> None:
    docs.docs(breaking="nobody reads it")
    assert all(path.read_text() == text for path, text in pages.items())
    page = docs.CHANGES.read_text()
    assert page.startswith("# Changes that break\n")
    assert ": nobody reads it\n\n* POST /things: 200: note is gone\n" in page


def test_golden_events_that_are_misread_stop_everything(
    pages: dict[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(golden, "broken", lambda: ["things.made.v1: note is gone"])
    with pytest.raises(typer.Exit):
        docs.docs(breaking="even so")
    assert "things.made.v1: note is gone" in capsys.readouterr().err
    assert not (docs.DOCS / "asyncapi.json").exists()


@pytest.mark.parametrize("compare", [broken_calls, broken_events])
def test_what_we_have_does_not_break_what_we_have(compare: Any) -> None:
    name = "openapi.json" if compare is broken_calls else "asyncapi.json"
    text = (DOCS / name).read_text()
    assert compare(json.loads(text), json.loads(text)) == []
