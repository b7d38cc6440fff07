"""The newest date that has started at each business."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import secure

revision = "catalog_0002"
down_revision = "catalog_0001"


def upgrade() -> None:
    op.create_table(
        "started_days",
        sa.Column("business_id", sa.Uuid, primary_key=True),
        sa.Column("started_date", sa.Date, nullable=False),
    )
    secure("started_days")
    if sa.inspect(op.get_bind()).has_table("work"):  # a new database may get its plumbing later, and has no business
        op.execute(
            "insert into work (kind, subject_id, business_id, context)"
            " select 'start_day', business_id, business_id, jsonb_build_object('business_id', business_id,"
            "  'actor', 'service:catalog', 'correlation_id', gen_random_uuid()) from business where test_now is null"
            " on conflict do nothing"
        )
