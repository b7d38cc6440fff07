"""Small worlds for the laws of the audit: a few facts and rows, and nothing else."""

from dataclasses import replace
from datetime import UTC, date, datetime
from types import SimpleNamespace as Some
from typing import Any

from deploy.audit.books import Books, Shelf, Told, read
from deploy.audit.reading import SERVICES, SUBSCRIPTIONS, tables
from shared.events import Event, encode
from shared.ids import new_id

BUSINESS, ANA, P, B, D, PART, V = (new_id() for _ in range(7))
DAY = date(2022, 9, 9)


def told(event: Event, **envelope: Any) -> Told:
    """A fact, as it lies in its publisher's log."""
    event_id = new_id()
    publisher = event.type.partition(".")[0]
    usual = {"id": event_id, "source": publisher, "time": datetime.now(UTC), "businessid": BUSINESS}
    text = encode(event, **usual | {"businessdate": DAY, "actor": "staff:test", "correlationid": "test"} | envelope)
    row = Some(event_id=event_id, type=event.type, subject=event.subject, envelope=text, published_at=datetime.now(UTC))
    return read(publisher, row)


def books(*facts: Told, rows: dict[str, dict[str, list[Any]]] | None = None, **changes: Any) -> Books:
    """A world in which these facts were told, and everybody has heard them."""
    shelves = {
        service: Shelf(
            log=[fact for fact in facts if fact.publisher == service],
            heard={fact.event_id for fact in facts if fact.type in SUBSCRIPTIONS[service]},
            aside=set(),
            parked={},
            tables={table.name: [] for table in tables(service)} | (rows or {}).get(service, {}),
        )
        for service in SERVICES
    }
    return replace(Books(BUSINESS, shelves, SUBSCRIPTIONS), **changes)
