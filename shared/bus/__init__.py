"""How facts get from one service to the others: one interface, two transports.

RabbitMQ between processes (`rabbit`), and the embedded one within a process (`local`). Both carry the same batches
from the same outbox to the same inbox, so the guarantees are the same.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from shared.events import TYPES
from shared.inbox import Consumer
from shared.outbox import Publisher

Subscriptions = Mapping[str, frozenset[str]]
"""Service → the event types it handles; for all services, whichever of them run in this process."""


class Bus(Protocol):
    """A transport, as one service of this process sees it."""

    def publisher(self, service: str) -> AbstractAsyncContextManager[Publisher]:
        """A session for sending; leaving it, or losing it, ends it for good: ask for another."""
        ...

    async def consume(self, consumer: Consumer) -> None:
        """Bring a service its events until cancelled. Raises when the session is lost."""
        ...


def queues(subscriptions: Subscriptions) -> dict[str, frozenset[str]]:
    """Queue → the types bound to it. Each service has one queue, and one for types that come in bulk."""
    made: dict[str, frozenset[str]] = {}
    for service, types in subscriptions.items():
        bulk = frozenset(name for name in types if TYPES[name].bulk)
        made |= {f"{service}.events": types - bulk, f"{service}.bulk": bulk}
    return {queue: types for queue, types in made.items() if types}
