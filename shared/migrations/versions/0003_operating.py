"""A second lane of the outbox, what people did to failed events, chores, and the index by which the inbox forgets."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "plumbing_0003"
down_revision = "plumbing_0002"

instant = sa.DateTime(timezone=True)
now = sa.func.now()


def upgrade() -> None:
    op.add_column("outbox", sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.add_column("outbox", sa.Column("not_before", instant))
    op.create_index("ix_outbox_in_order", "outbox", [sa.text("not_before nulls first"), "id"])
    op.create_index("ix_inbox_handled_at", "inbox", ["handled_at"])
    op.create_table(
        "interventions",
        sa.Column("intervention_id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("done_at", instant, nullable=False, server_default=now),
        sa.Column("done_by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("event_ids", ARRAY(sa.Uuid), nullable=False),
    )
    op.create_table(
        "chores",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("due_at", instant, nullable=False),
    )
