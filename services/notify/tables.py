"""The rows notify owns: messages, the texts that businesses put for them, and copies of whom they may go to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import BusinessRow, Row, metadata

State = Literal["queued", "sent", "failed", "skipped"]
Channel = Literal["email"]
BUSINESS = "business"
"""The recipient that is no client: the business itself, at its own address."""


@dataclass(frozen=True)
class Sent:
    """The mail server has taken a message."""

    at: datetime


@dataclass(frozen=True)
class Failed:
    """A message cannot be delivered, and is not tried again."""

    reason: str


class Base(Row):
    __abstract__ = True
    metadata = metadata()


class Client(BusinessRow, Base):
    """A copy of catalog's client."""

    __tablename__ = "clients"

    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    name: Mapped[str]
    email: Mapped[str | None]
    erased: Mapped[bool] = mapped_column(server_default=text("false"))


class MessageTemplate(BusinessRow, Base):
    """The text that a business has put for one kind of message; where there is no row, ours is in use."""

    __tablename__ = "templates"
    __table_args__ = (
        CheckConstraint(
            "length(subject) between 1 and 200 and subject !~ '[\\n\\r]'", name="has_a_subject_of_one_line"
        ),
        CheckConstraint("length(body) between 1 and 5000", name="has_a_body"),
    )

    business_id: Mapped[UUID] = mapped_column(primary_key=True, index=False)
    kind: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str]
    body: Mapped[str]


class Message(BusinessRow, Base):
    """What one recipient is told of one fact over one channel: written once, and sent as it was written."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("business_id", "key", "recipient", "channel"),
        CheckConstraint("state in ('queued', 'sent', 'failed', 'skipped')", name="has_a_state"),
        CheckConstraint("(sent_at is not null) = (state = 'sent')", name="was_sent_at_a_time"),
        CheckConstraint("address is not null or state <> 'queued'", name="goes_somewhere"),
        Index("ix_messages_of_a_recipient", "business_id", "recipient", "message_id"),
    )

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str]
    """The fact by its business ids, such as `booking_confirmed:<booking_id>`."""
    recipient: Mapped[str]
    """A client's id, or `business`."""
    client_id: Mapped[UUID | None]
    """The client whom it is to, or about; unknown of some that an earlier version wrote to the business."""
    channel: Mapped[Channel] = mapped_column(Text)
    address: Mapped[str | None]
    subject: Mapped[str]
    body: Mapped[str]
    state: Mapped[State] = mapped_column(Text)
    reason: Mapped[str | None]
    """Why it was skipped or failed, or says nothing any more."""
    written_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]

    @property
    def internet_id(self) -> str:
        """Its Message-ID (RFC 5322, section 3.6.4), the same however often it is handed over."""
        return f"<{self.message_id}@notify.punchcard>"

    def apply(self, fact: Sent | Failed) -> None:
        """The only way a message changes."""
        match fact:
            case Sent():
                self.state, self.sent_at = "sent", fact.at
            case Failed():
                self.state, self.reason = "failed", fact.reason


FORGETS = {
    "messages": (
        "update messages set body = '' where message_id in (select message_id from messages"
        "  where written_at < now() - make_interval(days => :days) and body <> '' and state <> 'queued' limit :most)"
    )
}
"""What a message said. That it was told stays, or a repeated fact would tell it again."""
