"""The texts that businesses have put in place of ours."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import secure

revision = "notify_0002"
down_revision = "notify_0001"


def upgrade() -> None:
    op.create_table(
        "templates",
        sa.Column("business_id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.CheckConstraint(
            "length(subject) between 1 and 200 and subject !~ '[\\n\\r]'", name="ck_templates_has_a_subject_of_one_line"
        ),
        sa.CheckConstraint("length(body) between 1 and 5000", name="ck_templates_has_a_body"),
    )
    secure("templates")
