"""Clients who are erased, and whom each message is about.

Defaults stay, and the new rule of addresses allows what the old one did: a process of the version before still runs.
"""

import sqlalchemy as sa
from alembic import op

revision = "notify_0003"
down_revision = "notify_0002"


def upgrade() -> None:
    op.add_column("clients", sa.Column("erased", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.add_column("messages", sa.Column("client_id", sa.Uuid))
    op.execute("alter table messages no force row level security")
    op.execute("update messages set client_id = recipient::uuid where recipient <> 'business'")
    # What the business was told of a client, the client was mostly told under the same key.
    op.execute(
        "update messages m set client_id = told.client_id from messages told where m.recipient = 'business'"
        " and told.client_id is not null and told.business_id = m.business_id and told.key = m.key"
    )
    op.execute("alter table messages force row level security")
    op.drop_constraint("ck_messages_goes_somewhere", "messages")
    op.create_check_constraint("ck_messages_goes_somewhere", "messages", "address is not null or state <> 'queued'")
