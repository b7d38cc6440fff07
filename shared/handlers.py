"""A service's reactions to facts, by their type."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shared.database import Context, Db
from shared.events import Event

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Heard(Generic[E]):
    """An event of a list, and what its effects carry: for whom, by whom, why, and on which date."""

    event: E
    context: Context


Handler = Callable[[Db, Any], Awaitable[None]]
ListHandler = Callable[[Db, Sequence[Heard[Any]]], Awaitable[None]]


class Handlers:
    """A service's reactions: one small function per event type."""

    def __init__(self) -> None:
        self.by_type: dict[str, Handler] = {}
        self.of_lists: dict[str, ListHandler] = {}

    @property
    def types(self) -> frozenset[str]:
        """All that it reacts to."""
        return frozenset(self.by_type) | frozenset(self.of_lists)

    def __call__(self, *events: type[Event]) -> Callable[[Handler], Handler]:
        """`@handles(BookingCancelled)` names what a function reacts to."""

        def register(handler: Handler) -> Handler:
            for event in events:
                self.by_type[event.type] = handler
            return handler

        return register

    def lists(self, event: type[Event]) -> Callable[[ListHandler], ListHandler]:
        """`@handles.lists(PeriodOpened)`: as many as come together, of one business and in their order, at once.

        For what comes by the thousand. It enters the context of the one that it publishes facts for; and when it
        fails, each of the list is tried alone.
        """

        def register(handler: ListHandler) -> ListHandler:
            self.of_lists[event.type] = handler
            return handler

        return register
