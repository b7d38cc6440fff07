"""Auto-pay of a package may be switched after its sale."""

import sqlalchemy as sa
from alembic import op

revision = "packages_0003"
down_revision = "packages_0002"


def upgrade() -> None:
    op.add_column("packages", sa.Column("auto_pay_version", sa.Integer, nullable=False, server_default="0"))
