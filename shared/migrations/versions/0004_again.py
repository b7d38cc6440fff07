"""What is sent again keeps the instant at which it was first published, and a chore when it last came to an end."""

import sqlalchemy as sa
from alembic import op

revision = "plumbing_0004"
down_revision = "plumbing_0003"

instant = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("outbox", sa.Column("published_at", instant))
    a_day_ago = sa.text("now() - interval '1 day'")
    op.add_column("chores", sa.Column("done_at", instant, nullable=False, server_default=a_day_ago))
    op.create_index(
        "ix_outbox_unconfirmed",
        "outbox",
        [sa.text("not_before nulls first"), "id"],
        postgresql_where=sa.text("attempts > 0 and published_at is null"),
    )
