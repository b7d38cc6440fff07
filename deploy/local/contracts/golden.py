"""Golden events: for each type a batch as it once travelled, which every later version must read and write again.

A golden is only added to. What today's models make is appended where it is new; what stands in the file stays.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import orjson
from pydantic import BaseModel, ValidationError

from deploy.local.servers import ROOT
from shared.events import TYPES, Envelope, Event, encode

GOLDEN = ROOT / "tests" / "house" / "golden" / "events"
IDS = UUID("00000000-0000-0000-0000-000000000000")
DAY = date(2022, 9, 13)
WHAT_TO_DO = "Events out there still have it so: leave this type as it is, and publish a new version (.v2) beside it."
TEXTS = {"uuid": "", "date": DAY.isoformat(), "date-time": "2022-09-13T08:00:00Z"}


def files() -> dict[Path, str]:
    """Each golden file as it should be: what it holds, and what today's model makes that it does not hold yet."""
    ours = {kind: event for kind, event in TYPES.items() if event.__module__.startswith("shared.events.")}
    return {GOLDEN / f"{kind}.json": _text(_grown(kept(kind), made(event))) for kind, event in ours.items()}


def kept(kind: str) -> list[dict[str, Any]]:
    """The golden batch of a type; empty for a new one."""
    file = GOLDEN / f"{kind}.json"
    batch: list[dict[str, Any]] = orjson.loads(file.read_bytes()) if file.exists() else []
    return batch


def _grown(batch: list[dict[str, Any]], today: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return batch + [envelope for envelope in today if envelope not in batch]


def _text(batch: list[dict[str, Any]]) -> str:
    return orjson.dumps(batch, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


# What no longer fits


def broken() -> list[str]:
    """What today's models cannot read of the golden events, or no longer write."""
    found = []
    for file in sorted(GOLDEN.glob("*.json")):
        kind = file.stem
        if kind not in TYPES:
            found.append(f"{kind}: no model has this type any more. {WHAT_TO_DO}")
            continue
        for envelope in kept(kind):
            found += [f"{kind}: {what}. {WHAT_TO_DO}" for what in misread(TYPES[kind], envelope["data"])]
            found += [f"{kind}: {what} of the envelope. {WHAT_TO_DO}" for what in _lost_around(envelope)]
    return list(dict.fromkeys(found))


def misread(model: type[BaseModel], data: Mapping[str, Any]) -> list[str]:
    """What a model cannot read of an event that was written before, or would not write again."""
    try:
        read = model.model_validate(data)
    except ValidationError as error:
        return [f"{'.'.join(map(str, each['loc']))} ({each['msg']})" for each in error.errors()]
    return list(lost(data, orjson.loads(read.model_dump_json())))


def lost(before: Any, now: Any, at: str = "") -> Iterator[str]:
    """Where one document has what another does not repeat; what is new does not count."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name, value in before.items():
            place = f"{at}.{name}".lstrip(".")
            if name not in now:
                yield f"{place} is gone"
            else:
                yield from lost(value, now[name], place)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, value in enumerate(before):
            yield from lost(value, now[index], f"{at}.{index}")
    elif before != now or type(before) is not type(now):
        yield f"{at} was {before!r} and is written as {now!r}"


def _lost_around(envelope: dict[str, Any]) -> Iterator[str]:
    """What today's envelope does not repeat; its data is compared by itself."""
    try:
        read = Envelope.parse(envelope)
        event = read.event()
    except ValidationError:
        return
    except (KeyError, TypeError, ValueError) as error:
        yield f"{error!r} in reading"
        return
    names = set(Envelope.__slots__) - {"type", "subject", "data", "raw"}
    written = orjson.loads(encode(event, **{name: getattr(read, name) for name in names}))
    yield from lost({name: value for name, value in envelope.items() if name != "data"}, written)


# What today's models make


def made(event: type[Event]) -> list[dict[str, Any]]:
    """A batch that shows every field of a type, and every alternative that a field has."""
    shape = event.model_json_schema()
    return [_sent(event, data) for data in samples(shape, event.type, shape.get("$defs", {}))]


def _sent(event: type[Event], data: dict[str, Any]) -> dict[str, Any]:
    envelope: dict[str, Any] = orjson.loads(
        encode(
            event.model_validate(data),
            id=uuid5(IDS, f"{event.type} {data}"),
            source=event.type.partition(".")[0],
            time=f"{DAY}T08:00:00+00:00",
            businessid=uuid5(IDS, "business"),
            businessdate=DAY,
            actor="staff:kim",
            correlationid="a-request",
            causationid=str(uuid5(IDS, "cause")),
            traceparent=f"00-{'1' * 32}-{'2' * 16}-01",
        )
    )
    return envelope


def samples(shape: dict[str, Any], name: str, parts: Mapping[str, Any]) -> list[Any]:
    """Values of a JSON schema, the same at each call, that show each of its alternatives at least once."""
    if "$ref" in shape:
        return samples(parts[shape["$ref"].rpartition("/")[2]], name, parts)
    if "anyOf" in shape:
        return [value for part in shape["anyOf"] for value in samples(part, name, parts)]
    if "enum" in shape:
        return list(shape["enum"])
    match shape.get("type"):
        case "object":
            fields = {key: samples(part, f"{name}.{key}", parts) for key, part in shape["properties"].items()}
            many = max(len(values) for values in fields.values())
            return [{key: values[i % len(values)] for key, values in fields.items()} for i in range(many)]
        case "array":
            return [[value] for value in samples(shape["items"], name, parts)]
        case "boolean":
            return [True, False]
        case "integer":
            return [max(shape.get("minimum", 1), shape.get("exclusiveMinimum", 0) + 1)]
        case "null":
            return [None]
        case "string":
            text = TEXTS.get(shape.get("format", ""), "AUD" if "pattern" in shape else name.rpartition(".")[2])
            return [text or str(uuid5(IDS, name))]
    raise ValueError(f"{name}: no sample is known for {shape}")
