"""Runs of debits, mandates that are registered from here, retries with a date, money that came back, bank holidays."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import secure

revision = "directdebit_0002"
down_revision = "directdebit_0001"
depends_on = "plumbing_0002"

instant = sa.DateTime(timezone=True)

ASK_WHAT_CAME_BACK = (
    "insert into work (kind, subject_id, business_id, context) select 'ask', debit_id, business_id,"
    " jsonb_build_object('business_id', business_id, 'actor', 'service:directdebit', 'correlation_id', debit_id)"
    " from debits where review in ('returned_by_bank', 'claimed')"
)
"""Before this version, money that came back waited in review: the provider says how it stands, and billing hears it."""


def upgrade() -> None:
    _mandates()
    _collections()
    _runs()
    _debits()
    _facts()
    secure("billed_days", "runs", "bank_holidays")


def _mandates() -> None:
    op.alter_column("mandates", "provider_mandate", nullable=True)
    op.add_column("mandates", sa.Column("sealed_account", sa.LargeBinary))
    op.drop_constraint("ck_mandates_has_a_state", "mandates")
    for name, holds in {
        "has_a_state": "state in ('pending', 'active', 'suspended', 'cancelled', 'failed', 'expired', 'replaced')",
        "forgets_the_account": "sealed_account is null or state = 'pending'",
        "has_a_name": "provider_mandate is not null or state not in ('active', 'suspended')",
    }.items():
        op.create_check_constraint(f"ck_mandates_{name}", "mandates", holds)
    op.create_index("ix_mandates_of_a_payer", "mandates", ["business_id", "payer_id"])
    op.add_column(
        "provider_accounts", sa.Column("process_billing", sa.Text, nullable=False, server_default="automatic")
    )
    op.create_check_constraint(
        "ck_provider_accounts_is_processed_somehow", "provider_accounts", "process_billing in ('automatic', 'reviewed')"
    )
    op.create_table(
        "bank_holidays",
        sa.Column("business_id", sa.Uuid, primary_key=True),
        sa.Column("holiday_date", sa.Date, primary_key=True),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
    )


def _collections() -> None:
    op.add_column("collections", sa.Column("run_date", sa.Date))
    op.add_column("collections", sa.Column("next_date", sa.Date))
    for table in ("collections", "debit_items"):
        op.execute(f"alter table {table} no force row level security")
    # What was asked for and never sent goes out with the next run; what failed waits for a person, as it did.
    op.execute(
        "update collections c set next_date = collect_date where target_minor > 0"
        " and not exists (select from debit_items i where i.instalment_id = c.instalment_id)"
    )
    for table in ("collections", "debit_items"):
        op.execute(f"alter table {table} force row level security")
    for name, column, columns in (
        ("ix_collections_due", "next_date", ["business_id", "next_date", "payer_id"]),
        ("ix_collections_of_a_run", "run_date", ["business_id", "run_date"]),
    ):
        op.create_index(name, "collections", columns, postgresql_where=sa.text(f"{column} is not null"))
    op.create_table(
        "billed_days",
        sa.Column("business_id", sa.Uuid, primary_key=True),
        sa.Column("billed_date", sa.Date, primary_key=True),
        sa.Column("announced", sa.Integer, nullable=False),
        sa.Column("since_date", sa.Date),
        sa.Column("heard_at", instant, nullable=False, server_default=sa.func.now()),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Uuid, primary_key=True),
        sa.Column("run_date", sa.Date, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("confirmed_by", sa.Text),
        sa.Column("recorded_at", instant, nullable=False, server_default=sa.func.now()),
        sa.Column("business_id", sa.Uuid, nullable=False, index=True),
        sa.CheckConstraint("state in ('listed', 'confirmed', 'cancelled')", name="ck_runs_has_a_state"),
    )
    op.create_index("one_open_run", "runs", ["business_id"], unique=True, postgresql_where=sa.text("state = 'listed'"))


def _debits() -> None:
    op.add_column("debits", sa.Column("run_id", sa.Uuid, sa.ForeignKey("runs.run_id")))
    op.add_column("debits", sa.Column("settled_date", sa.Date))
    op.add_column("debits", sa.Column("final", sa.Boolean, nullable=False, server_default="false"))
    op.alter_column("debits", "final", server_default=None)
    op.drop_constraint("ck_debits_is_at_the_provider", "debits")
    for name, holds in {
        "is_at_the_provider": "provider_ref is not null"
        " or state not in ('submitted', 'settled', 'declined', 'returned_by_bank', 'claimed')",
        "is_final_once_settled": "not final or state = 'settled'",
    }.items():
        op.create_check_constraint(f"ck_debits_{name}", "debits", holds)
    op.execute("alter table debits no force row level security")
    op.execute(ASK_WHAT_CAME_BACK)
    op.execute("update debits set review = 'contradiction' where review in ('returned_by_bank', 'claimed')")
    op.execute("update debits set settled_date = charge_date where state = 'settled'")
    op.execute("alter table debits force row level security")
    op.create_index("ix_debits_of_a_date", "debits", ["business_id", "charge_date", "payer_id"])
    op.create_index("ix_debits_of_a_run", "debits", ["run_id"])
    op.create_index(
        "ix_debits_not_final",
        "debits",
        ["business_id", "settled_date"],
        postgresql_where=sa.text("state = 'settled' and not final"),
    )


def _facts() -> None:
    op.alter_column("provider_facts", "delivery_id", nullable=True)
    op.alter_column("provider_facts", "claimed_debit_id", new_column_name="named_id")
    op.add_column("provider_facts", sa.Column("mandate_id", sa.Uuid, sa.ForeignKey("mandates.mandate_id")))
    op.create_index("ix_provider_facts_of_a_mandate", "provider_facts", ["mandate_id"])
