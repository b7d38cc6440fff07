"""How a message reaches a person: one interface, a file per channel."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Undeliverable(Exception):
    """No further try can deliver this."""


@dataclass(frozen=True)
class Outgoing:
    """A message as a channel hands it over, under an id that stays the same at every try."""

    internet_id: str
    sender_name: str
    reply_to: str
    address: str
    subject: str
    body: str
    date: datetime


class Channel(Protocol):
    """A way out."""

    async def send(self, message: Outgoing) -> None:
        """Hand a message over. Raises Undeliverable when that can never be; anything else may pass."""
        ...
