"""The shared language: facts in the past tense that services tell each other.

One file per publisher. An event is a frozen model whose docstring says what became true; it changes only by
addition. On the wire it travels in a CloudEvents 1.0 envelope (structured JSON).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Self
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict

ERASED = "erased"
"""What stands where somebody wrote about a person who is erased."""
TYPES: dict[str, type["Event"]] = {}
"""Every event type by its name, filled as the classes are made."""


class Part(BaseModel):
    """A piece of an event. Unknown fields are ignored: events grow by addition."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Part):
    """A fact. `subject` names the field with the publisher's aggregate: events about one subject keep their order."""

    type: ClassVar[str]
    subject_field: ClassVar[str]
    bulk: ClassVar[bool]
    """Sent in masses at midnight; travels in a queue of its own so that it never stands before a booking."""
    personal: ClassVar[Mapping[str, str | None]]
    """The fields that may tell who a person is, with what stands there once that person is erased."""

    def __init_subclass__(
        cls,
        *,
        type: str = "",
        subject: str = "",
        bulk: bool = False,
        personal: Mapping[str, str | None] | None = None,
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        if type:
            cls.type, cls.subject_field, cls.bulk, cls.personal = type, subject, bulk, personal or {}
            if unknown := {*cls.personal, *(["client_id"] if personal else [])} - set(cls.__annotations__):
                raise TypeError(f"{cls.__name__} has no {unknown}: what is personal could not be found, or not erased")
            TYPES[type] = cls

    @property
    def subject(self) -> str:
        return str(getattr(self, self.subject_field))


@dataclass(frozen=True, slots=True)
class Envelope:
    """A CloudEvent: the fact's type and data, and who, when and why."""

    id: UUID
    source: str
    type: str
    subject: str
    time: str
    businessid: UUID
    businessdate: date
    actor: str
    correlationid: str
    causationid: str | None
    traceparent: str | None
    data: dict[str, Any]
    raw: dict[str, Any]
    """The element as it came, extensions of others included."""

    @classmethod
    def parse(cls, item: dict[str, Any]) -> Self:
        """Read one decoded element of a batch; extensions that are not ours are ignored.

        Raises KeyError, TypeError or ValueError when it is not one of our events.
        """
        if not isinstance(item["data"], dict):
            raise TypeError("an event's data is an object")
        return cls(
            id=UUID(item["id"]),
            source=item["source"],
            type=item["type"],
            subject=item["subject"],
            time=item["time"],
            businessid=UUID(item["businessid"]),
            businessdate=date.fromisoformat(item["businessdate"]),
            actor=item["actor"],
            correlationid=item["correlationid"],
            causationid=item.get("causationid"),
            traceparent=item.get("traceparent"),
            data=item["data"],
            raw=item,
        )

    def text(self) -> str:
        return orjson.dumps(self.raw).decode()

    def event(self) -> Event:
        """The fact itself. Raises KeyError for an unknown type, ValidationError for data that is not of its shape."""
        return TYPES[self.type].model_validate(self.data)


def encode(event: Event, **attributes: Any) -> str:
    """The JSON text of a fact in its envelope; the same text lies in the outbox, on the wire and in the log."""
    sequence = getattr(event, "sequence", None)
    return orjson.dumps(
        {
            "specversion": "1.0",
            "type": event.type,
            "subject": event.subject,
            "datacontenttype": "application/json",
            **({} if sequence is None else {"sequence": sequence}),
            **{name: value for name, value in attributes.items() if value is not None},
            "data": orjson.Fragment(event.model_dump_json()),
        }
    ).decode()
