"""Who holds back what a business sends to the provider, after a restore."""

import sqlalchemy as sa
from alembic import op

revision = "directdebit_0003"
down_revision = "directdebit_0002"


def upgrade() -> None:
    op.add_column("provider_accounts", sa.Column("held_by", sa.Text))
