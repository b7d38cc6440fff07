"""The events as an AsyncAPI 3.0 document: what travels over the broker, who sends it, and who receives it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from shared.bus import queues
from shared.events import Envelope, Event
from shared.outbox import LARGEST_BATCH

BATCH = "application/cloudevents-batch+json"
SCHEMAS = "#/components/schemas/"
EXCHANGE = {"is": "routingKey", "exchange": {"name": "events", "type": "topic", "durable": True}}
ALWAYS = {"specversion": {"const": "1.0"}, "datacontenttype": {"const": "application/json"}}
WHEN_THERE_IS_ONE = {"causationid", "traceparent"}
DESCRIPTION = (
    "The facts that the services tell each other. A message is a batch of CloudEvents 1.0 of one type, and its routing"
    " key is that type. Events about one subject keep their order; any may come twice, and is known by its id. A type"
    " changes only by addition: ignore what you do not know."
)


def asyncapi(told: Mapping[str, Sequence[type[Event]]], heard: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """The document of all events: publisher → its events, and service → the types that it handles."""
    events = [event for published in told.values() for event in published]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Punchcard events", "version": "1", "description": DESCRIPTION},
        "defaultContentType": BATCH,
        "channels": {event.type: _channel(event) for event in events},
        "operations": {
            **{
                f"{service}.send.{event.type}": _operation("send", event.type)
                for service, published in told.items()
                for event in published
            },
            **{
                f"{service}.receive.{kind}": _operation("receive", kind) | {"x-queue": queue}
                for service, types in heard.items()
                for queue, bound in queues({service: types}).items()
                for kind in sorted(bound)
            },
        },
        "components": {
            "messages": {event.type: _message(event) for event in events},
            "schemas": _facts(events) | {"Envelope": _envelope()} | {event.type: _enveloped(event) for event in events},
        },
    }


def _channel(event: type[Event]) -> dict[str, Any]:
    return {
        "address": event.type,
        "description": _says(event),
        "messages": {event.type: {"$ref": f"#/components/messages/{event.type}"}},
        "bindings": {"amqp": EXCHANGE | {"bindingVersion": "0.3.0"}},
        "x-bulk": event.bulk,
    }


def _operation(action: str, kind: str) -> dict[str, Any]:
    channel = f"#/channels/{kind}"
    return {"action": action, "channel": {"$ref": channel}, "messages": [{"$ref": f"{channel}/messages/{kind}"}]}


def _message(event: type[Event]) -> dict[str, Any]:
    batch = {"type": "array", "minItems": 1, "maxItems": LARGEST_BATCH, "items": {"$ref": SCHEMAS + event.type}}
    return {"name": event.type, "summary": _says(event), "contentType": BATCH, "payload": batch}


def _says(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").split("\n\n")[0].split())


def _facts(events: Sequence[type[Event]]) -> dict[str, Any]:
    """The shapes of what events say, and of their parts, as somebody reads them."""
    _, shapes = models_json_schema([(event, "validation") for event in events], ref_template=SCHEMAS + "{model}")
    found: dict[str, Any] = shapes["$defs"]
    return found


def _envelope() -> dict[str, Any]:
    """The attributes of an event: those of CloudEvents, and our extensions."""
    attributes: dict[str, Any] = TypeAdapter(Envelope).json_schema()["properties"]
    present = {name: attributes[name] for name in attributes if name not in {"raw", *WHEN_THERE_IS_ONE}}
    return {
        "type": "object",
        "title": "Envelope",
        "description": "A CloudEvent 1.0 in structured JSON.",
        "required": sorted(ALWAYS | present),
        "properties": {
            **ALWAYS,
            **present,
            "time": {"type": "string", "format": "date-time"},
            **{name: {"type": "string"} for name in sorted(WHEN_THERE_IS_ONE)},
            "sequence": {"type": "integer", "description": "the version of an absolute state, where the fact has one"},
            "data": {"type": "object"},
        },
    }


def _enveloped(event: type[Event]) -> dict[str, Any]:
    """The envelope of one type, with what it says inside."""
    own = {
        "type": {"const": event.type},
        "source": {"const": event.type.partition(".")[0]},
        "subject": {"type": "string", "description": f"the fact's {event.subject_field}"},
        "data": {"$ref": SCHEMAS + event.__name__},
    }
    return {"allOf": [{"$ref": SCHEMAS + "Envelope"}, {"type": "object", "properties": own}]}
