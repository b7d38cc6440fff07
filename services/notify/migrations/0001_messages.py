"""Messages, and a copy of clients."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import secure

revision = "notify_0001"
down_revision = None
branch_labels = ("notify",)

instant = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "clients",
        sa.Column("client_id", sa.Uuid, primary_key=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("business_id", sa.Uuid, nullable=False, index=True),
    )
    op.create_table(
        "messages",
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("written_at", instant, nullable=False, server_default=sa.func.now()),
        sa.Column("sent_at", instant),
        sa.Column("business_id", sa.Uuid, nullable=False, index=True),
        sa.UniqueConstraint(
            "business_id", "key", "recipient", "channel", name="uq_messages_business_id_key_recipient_channel"
        ),
        sa.CheckConstraint("state in ('queued', 'sent', 'failed', 'skipped')", name="ck_messages_has_a_state"),
        sa.CheckConstraint("(sent_at is not null) = (state = 'sent')", name="ck_messages_was_sent_at_a_time"),
        sa.CheckConstraint("address is not null or state = 'skipped'", name="ck_messages_goes_somewhere"),
    )
    op.create_index("ix_messages_of_a_recipient", "messages", ["business_id", "recipient", "message_id"])
    secure("clients", "messages")
