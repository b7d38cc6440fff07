"""What a change of a contract breaks for those who hold to the old one; pure functions of two documents.

What we are asked with may become wider, what we answer and tell narrower; the other way round somebody breaks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
VERBS = ("get", "put", "post", "delete", "patch")
KEYWORDS = ("format", "pattern")
LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


@dataclass(frozen=True)
class Pair:
    """The same thing in the old document and in the new one, and the way it goes: asked of us, or answered."""

    documents: tuple[Document, Document]
    old: Any
    new: Any
    asked: bool

    def of(self, old: Any, new: Any) -> "Pair":
        before, now = self.documents
        return Pair(self.documents, _resolved(before, old), _resolved(now, new), self.asked)

    def part(self, *names: str) -> "Pair":
        old, new = self.old, self.new
        for name in names:
            old, new = old.get(name, {}), new.get(name, {})
        return self.of(old, new)


def _resolved(document: Document, shape: Any) -> Any:
    while isinstance(shape, dict) and "$ref" in shape:
        place: Any = document
        for name in shape["$ref"].removeprefix("#/").split("/"):
            place = place[name]
        shape = place
    return shape


# The API


def broken_calls(old: Document, new: Document) -> list[str]:
    """What breaks for callers of an API: two OpenAPI documents."""
    return [what for path, item in old.get("paths", {}).items() for what in _path((old, new), path, item)]


def _path(documents: tuple[Document, Document], path: str, item: dict[str, Any]) -> Iterator[str]:
    for verb in VERBS:
        if verb not in item:
            continue
        now = documents[1].get("paths", {}).get(path, {}).get(verb)
        where = f"{verb.upper()} {path}"
        if now is None:
            yield f"{where} is gone"
            continue
        yield from _parameters(Pair(documents, item[verb], now, asked=True), where)
        yield from _body(Pair(documents, item[verb], now, asked=True), where)
        yield from _answers(Pair(documents, item[verb], now, asked=False), where)


def _parameters(pair: Pair, where: str) -> Iterator[str]:
    before, after = ({(p["in"], p["name"]): p for p in side.get("parameters", [])} for side in (pair.old, pair.new))
    for (place, name), parameter in before.items():
        if (place, name) in after:
            yield from _shape(pair.of(parameter["schema"], after[place, name]["schema"]), f"{where}: {name}")
        else:
            yield f"{where}: the {place} parameter {name} is gone"
    for key, parameter in after.items():
        if parameter.get("required") and not before.get(key, {}).get("required"):
            yield f"{where}: the {key[0]} parameter {key[1]} is required now"


def _body(pair: Pair, where: str) -> Iterator[str]:
    body = pair.part("requestBody")
    if body.new.get("required") and not body.old.get("required"):
        yield f"{where}: a body is required now"
    if body.old and not body.new:
        yield f"{where}: takes no body any more"
    yield from _content(body, f"{where}: body")


def _answers(pair: Pair, where: str) -> Iterator[str]:
    answers = pair.part("responses")
    for status in answers.old:
        if status not in answers.new:
            yield f"{where}: the status {status} is gone"
        else:
            yield from _content(answers.part(status), f"{where}: {status}")


def _content(pair: Pair, where: str) -> Iterator[str]:
    if not pair.new:
        return
    for kind, content in pair.old.get("content", {}).items():
        now = pair.new.get("content", {}).get(kind)
        if now is None:
            yield f"{where}: {kind} is gone"
        else:
            yield from _shape(pair.of(content.get("schema", {}), now.get("schema", {})), where)


# The events


def broken_events(old: Document, new: Document) -> list[str]:
    """What breaks for readers of events: two AsyncAPI documents."""
    found: list[str] = []
    for kind, channel in old.get("channels", {}).items():
        if kind not in new.get("channels", {}):
            found.append(f"{kind} is gone: nobody sends it any more")
            continue
        now = new["channels"][kind]
        if channel["address"] != now["address"]:
            found.append(f"{kind}: its address is {now['address']} now")
        payloads = [document["components"]["messages"][kind]["payload"] for document in (old, new)]
        found += _shape(Pair((old, new), {}, {}, asked=False).of(*payloads), kind)
    return found


# Shapes


def _shape(pair: Pair, where: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Compare two JSON schemas."""
    mark = f"{id(pair.old)} {id(pair.new)}"
    if mark in seen or not (isinstance(pair.old, dict) and isinstance(pair.new, dict)):
        return
    seen |= {mark}
    before, after = _kinds(pair.documents[0], pair.old), _kinds(pair.documents[1], pair.new)
    lost, added = before.keys() - after.keys(), after.keys() - before.keys()
    if pair.asked and lost and not _any(after):
        yield f"{where} may be {_names(lost)} no longer"
    elif not pair.asked and added and not _any(before):
        yield f"{where} may be {_names(added)} now"
    for kind in before.keys() & after.keys():
        yield from _alike(pair.of(before[kind], after[kind]), where, seen)


def _kinds(document: Document, shape: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The alternatives of a schema by their type."""
    shape = _resolved(document, shape)
    kinds: dict[str, dict[str, Any]] = {}
    for part in shape.get("anyOf") or shape.get("oneOf") or []:
        kinds |= _kinds(document, part)
    for part in shape.get("allOf", []):
        for kind, found in _kinds(document, part).items():
            kinds[kind] = _merged(kinds.get(kind, {}), found)
    if not kinds:
        types = shape.get("type", "string" if "const" in shape or "enum" in shape else "anything")
        kinds = dict.fromkeys([types] if isinstance(types, str) else types, shape)
    return kinds


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two schemas that both hold."""
    fields = {**one.get("properties", {}), **other.get("properties", {})}
    return {**one, **other, "properties": fields, "required": [*one.get("required", []), *other.get("required", [])]}


def _any(kinds: dict[str, Any]) -> bool:
    return "anything" in kinds


def _names(kinds: set[str]) -> str:
    return " or ".join(sorted(kinds))


def _alike(pair: Pair, where: str, seen: frozenset[str]) -> Iterator[str]:
    """Compare two schemas of one type."""
    old, new = pair.old, pair.new
    for keyword in KEYWORDS:
        if old.get(keyword) != new.get(keyword) and (keyword in new if pair.asked else keyword in old):
            yield f"{where}: its {keyword} was {old.get(keyword)} and is {new.get(keyword)}"
    values, values_now = _values(old), _values(new)
    if values and values_now and (gone := [value for value in values if value not in values_now]):
        yield f"{where} may be {gone} no longer"
    elif values_now and not values and pair.asked:
        yield f"{where} may only be one of {values_now} now"
    if pair.asked:
        yield from (f"{where}: its {limit} is narrower" for limit in _narrower(old, new))
    yield from _fields(pair, where, seen)
    if "items" in old and "items" in new:
        yield from _shape(pair.part("items"), f"{where}[]", seen)


def _values(shape: dict[str, Any]) -> list[Any]:
    """The values that a schema allows, where it lists them."""
    return [shape["const"]] if "const" in shape else list(shape.get("enum", []))


def _narrower(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    yield from (name for name in LEAST if name in new and new[name] > old.get(name, float("-inf")))
    yield from (name for name in MOST if name in new and new[name] < old.get(name, float("inf")))


def _fields(pair: Pair, where: str, seen: frozenset[str]) -> Iterator[str]:
    before, after = pair.old.get("properties", {}), pair.new.get("properties", {})
    needed, needed_now = set(pair.old.get("required", [])), set(pair.new.get("required", []))
    for name, shape in before.items():
        if name in after:
            yield from _shape(pair.of(shape, after[name]), f"{where}: {name}", seen)
        else:
            yield f"{where}: {name} is gone"
    for name in sorted(needed_now - needed if pair.asked else needed - needed_now):
        if pair.asked or name in after:
            yield f"{where}: {name} {'is required now' if pair.asked else 'may be missing now'}"
