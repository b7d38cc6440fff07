"""Lots, forfeited sessions, sessions held ahead, renewal; packages sold before get the lot that their sale brought."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import secure

revision = "packages_0002"
down_revision = "packages_0001"
branch_labels = None

SOLD_BEFORE = (
    "insert into lots (package_id, period_index, valid_from, valid_to, size, adjusted, forfeited, ended, business_id)"
    " select package_id, 1, start_date, null, allocated,"
    "  case when terms->>'rollover' = 'reset' then adjusted else 0 end, 0, false, business_id"
    " from packages where not post_bill"
)
"""Before this version a package had one lot, that of its sale, for bookings of any date: it does not end."""


def upgrade() -> None:
    _lots()
    _packages()
    _ledger_and_holds()
    op.execute("alter table packages no force row level security")
    op.execute(SOLD_BEFORE)
    op.execute("update packages set periods_opened = 1 where not post_bill")
    op.execute("alter table packages force row level security")
    secure("lots", "billed_days")


def _lots() -> None:
    op.create_table(
        "lots",
        sa.Column("package_id", sa.Uuid, primary_key=True),
        sa.Column("period_index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("valid_to", sa.Date),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("size", "adjusted", "forfeited")),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.Column("business_id", sa.Uuid, nullable=False, index=True),
        sa.CheckConstraint("size >= 0 and forfeited >= 0 and size + adjusted >= forfeited", name="ck_lots_counts_up"),
    )
    op.create_index("ix_lots_to_end", "lots", ["business_id", "valid_to"], postgresql_where=sa.text("not ended"))
    op.create_table(
        "billed_days",
        sa.Column("business_id", sa.Uuid, primary_key=True),
        sa.Column("business_date", sa.Date, nullable=False),
    )


def _packages() -> None:
    op.add_column("packages", sa.Column("closed_at", sa.DateTime(timezone=True)))
    op.add_column("packages", sa.Column("closed_date", sa.Date))
    op.add_column("packages", sa.Column("auto_renew", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.add_column("packages", sa.Column("predecessor_id", sa.Uuid))
    for name in ("periods_opened", "forfeited"):
        op.add_column("packages", sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0")))
    op.create_unique_constraint("uq_packages_predecessor_id", "packages", ["predecessor_id"])
    op.drop_constraint("ck_packages_counts_up", "packages")
    op.create_check_constraint(
        "ck_packages_counts_up", "packages", "held >= 0 and consumed >= 0 and allocated >= 0 and forfeited >= 0"
    )
    op.drop_constraint("ck_packages_never_overdrawn", "packages")
    op.create_check_constraint(
        "ck_packages_never_overdrawn", "packages", "post_bill or allocated + adjusted >= held + consumed + forfeited"
    )


def _ledger_and_holds() -> None:
    op.add_column("ledger_entries", sa.Column("period_index", sa.Integer))
    op.drop_constraint("uq_ledger_entries_booking_id_kind", "ledger_entries")
    op.create_unique_constraint(
        "uq_ledger_entries_booking_id_package_id_kind", "ledger_entries", ["booking_id", "package_id", "kind"]
    )
    op.drop_constraint("ck_holds_used_somehow", "holds")
    op.create_check_constraint(
        "ck_holds_used_somehow",
        "holds",
        "(state <> 'consumed' or outcome is not null) and (outcome is null or state in ('consumed', 'ahead'))",
    )
    op.create_index("ix_holds_on_a_date", "holds", ["package_id", "session_date"])
