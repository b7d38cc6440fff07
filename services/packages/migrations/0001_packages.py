"""Packages, their ledger and holds; copies of clients, staff and templates."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from shared.migrations import append_only, secure

revision = "packages_0001"
down_revision = None
branch_labels = ("packages",)

instant = sa.DateTime(timezone=True)


def _business() -> sa.Column[object]:
    return sa.Column("business_id", sa.Uuid, nullable=False, index=True)


def upgrade() -> None:
    _packages()
    _ledger()
    op.create_table(
        "clients",
        sa.Column("client_id", sa.Uuid, primary_key=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        _business(),
    )
    op.create_table(
        "staff",
        sa.Column("staff_id", sa.Uuid, primary_key=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("seller", sa.Boolean, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        _business(),
    )
    op.create_table(
        "templates",
        sa.Column("template_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("terms", JSONB, nullable=False),
        _business(),
    )
    append_only("ledger_entries")
    secure("packages", "ledger_entries", "holds", "clients", "staff", "templates")


def _packages() -> None:
    op.create_table(
        "packages",
        sa.Column("package_id", sa.Uuid, primary_key=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("template_id", sa.Uuid, nullable=False),
        sa.Column("template_version", sa.Integer, nullable=False),
        sa.Column("terms", JSONB, nullable=False),
        sa.Column("post_bill", sa.Boolean, nullable=False),
        sa.Column("start_date", sa.Date, nullable=False),
        sa.Column("first_due_date", sa.Date, nullable=False),
        sa.Column("expiry_date", sa.Date),
        sa.Column("auto_pay", sa.Boolean, nullable=False),
        sa.Column("sold_by", sa.Uuid),
        sa.Column("sold_date", sa.Date, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("closure_id", sa.Uuid),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("allocated", "adjusted", "held", "consumed")),
        _business(),
        sa.UniqueConstraint("closure_id", name="uq_packages_closure_id"),
        sa.CheckConstraint("held >= 0 and consumed >= 0 and allocated >= 0", name="ck_packages_counts_up"),
        sa.CheckConstraint("post_bill or allocated + adjusted >= held + consumed", name="ck_packages_never_overdrawn"),
    )
    op.create_index("ix_packages_of_a_client", "packages", ["business_id", "client_id", "package_id"])


def _ledger() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("entry_id", sa.Uuid, primary_key=True),
        sa.Column("package_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("booking_id", sa.Uuid),
        sa.Column("reason", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("cause_id", sa.Text, nullable=False),
        sa.Column("business_date", sa.Date, nullable=False),
        sa.Column("recorded_at", instant, nullable=False, server_default=sa.func.now()),
        _business(),
        sa.UniqueConstraint("booking_id", "kind", name="uq_ledger_entries_booking_id_kind"),
        sa.CheckConstraint("quantity > 0 or kind = 'adjusted'", name="ck_ledger_entries_counts"),
        sa.CheckConstraint(
            "(booking_id is not null) = (kind in ('held', 'returned', 'consumed'))",
            name="ck_ledger_entries_of_a_booking",
        ),
    )
    op.create_index("ix_ledger_entries_of_a_package", "ledger_entries", ["package_id", "entry_id"])
    op.create_table(
        "holds",
        sa.Column("booking_id", sa.Uuid, primary_key=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("package_id", sa.Uuid),
        sa.Column("service_id", sa.Uuid),
        sa.Column("starts_at", instant),
        sa.Column("session_date", sa.Date),
        sa.Column("outcome", sa.Text),
        sa.Column("closure_id", sa.Uuid),
        _business(),
        sa.CheckConstraint(
            "package_id is not null or state in ('asked', 'refused', 'returned')", name="ck_holds_of_a_package"
        ),
        sa.CheckConstraint("(outcome is not null) = (state = 'consumed')", name="ck_holds_used_somehow"),
    )
    op.create_index("ix_holds_of_a_package", "holds", ["package_id", "state"])
