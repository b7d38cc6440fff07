"""Clients who are erased. The default stays, for a process of the version before knows nothing of the column."""

import sqlalchemy as sa
from alembic import op

revision = "catalog_0003"
down_revision = "catalog_0002"


def upgrade() -> None:
    op.add_column("clients", sa.Column("erased", sa.Boolean, nullable=False, server_default=sa.text("false")))
