"""Bookings, and copies of clients, staff and services."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSTZRANGE

from shared.migrations import secure

revision = "booking_0001"
down_revision = None
branch_labels = ("booking",)

instant = sa.DateTime(timezone=True)


def _copy(name: str, key: str, *columns: sa.Column[object]) -> None:
    op.create_table(
        name,
        sa.Column(key, sa.Uuid, primary_key=True),
        sa.Column("business_id", sa.Uuid, nullable=False, index=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        *columns,
        sa.Column("active", sa.Boolean, nullable=False),
    )


def upgrade() -> None:
    op.execute("create extension if not exists btree_gist")
    op.create_table(
        "bookings",
        sa.Column("booking_id", sa.Uuid, primary_key=True),
        sa.Column("business_id", sa.Uuid, nullable=False, index=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("package_id", sa.Uuid),
        sa.Column("service_id", sa.Uuid, nullable=False),
        sa.Column("practitioner_id", sa.Uuid, nullable=False),
        sa.Column("during", TSTZRANGE, nullable=False),
        sa.Column("session_date", sa.Date, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("decide_by", instant, nullable=False),
        sa.Column("late_cancel_hours", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text),
        sa.CheckConstraint("not isempty(during)", name="ck_bookings_takes_some_time"),
        sa.CheckConstraint(
            "package_id is not null or state in ('holding', 'refused', 'cancelled')", name="ck_bookings_has_a_session"
        ),
    )
    op.execute(
        "alter table bookings add constraint one_client_at_a_time"
        " exclude using gist (business_id with =, practitioner_id with =, during with &&)"
        " where (state in ('holding', 'requested', 'confirmed', 'attended', 'no_show'))"
    )
    op.create_index("ix_bookings_of_a_client", "bookings", ["business_id", "client_id", "booking_id"])
    op.create_index("ix_bookings_of_a_package", "bookings", ["package_id", "booking_id"])
    _copy("clients", "client_id")
    _copy("staff", "staff_id", sa.Column("practitioner", sa.Boolean, nullable=False))
    _copy("services", "service_id", sa.Column("minutes", sa.Integer, nullable=False))
    secure("bookings", "clients", "staff", "services")
