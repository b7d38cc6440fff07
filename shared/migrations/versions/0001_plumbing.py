"""Outbox, inbox, event log, work, idempotency keys and the business itself."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "plumbing_0001"
down_revision = None
branch_labels = ("plumbing",)

instant = sa.DateTime(timezone=True)
now = sa.func.now()


def upgrade() -> None:
    op.create_table(
        "business",
        sa.Column("business_id", sa.Uuid, primary_key=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("test_now", instant),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("business_id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("envelope", sa.Text, nullable=False),
        sa.Column("created_at", instant, nullable=False, server_default=now),
    )
    # Every row is deleted soon after it came: vacuum by count, and at once.
    op.execute(
        "alter table outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,"
        " autovacuum_vacuum_cost_delay = 0)"
    )
    op.create_table(
        "event_log",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("business_id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("envelope", sa.Text, nullable=False),
        sa.Column("published_at", instant, nullable=False, server_default=now),
    )
    op.create_index("ix_event_log_published_at", "event_log", ["published_at"])
    op.create_table(
        "inbox",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("handled_at", instant, nullable=False, server_default=now),
    )
    op.create_table(
        "inbox_failed",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("business_id", sa.Uuid),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("envelope", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_failed_at", instant, nullable=False, server_default=now),
        sa.Column("next_attempt_at", instant),
    )
    op.create_index("ix_inbox_failed_next_attempt_at", "inbox_failed", ["next_attempt_at"])
    op.create_table(
        "work",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("subject_id", sa.Uuid, primary_key=True),
        sa.Column("business_id", sa.Uuid, nullable=False),
        sa.Column("due_at", instant, nullable=False, server_default=now),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("error", sa.Text),
        sa.Column("context", JSONB, nullable=False),
    )
    op.create_index("ix_work_due_at", "work", ["kind", "due_at"])
    op.create_table(
        "idempotency",
        sa.Column("business_id", sa.Uuid, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("made_id", sa.Uuid, nullable=False),
        sa.Column("created_at", instant, nullable=False, server_default=now),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])
