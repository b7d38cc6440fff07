"""The days that are billed, the periods that fall due on them, and payments by hand."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import append_only, secure

revision = "billing_0002"
down_revision = "billing_0001"
depends_on = "plumbing_0002"


def upgrade() -> None:
    _due_date()
    _periods()
    _days()
    _payments()
    _balance_checked_by_statement()
    secure("daily_runs", "payments", "payment_parts")


def _due_date() -> None:
    """As shared/schedule.py; a property test holds the two to each other."""
    op.execute(
        "create function due_date(first date, frequency text, index int) returns date language sql"
        " immutable strict parallel safe as $$ select case frequency"
        " when 'weekly' then first + 7 * (index - 1) when 'fortnightly' then first + 14 * (index - 1)"
        " when 'monthly' then (first + make_interval(months => index - 1))::date end $$"
    )


def _periods() -> None:
    op.add_column("billed_packages", sa.Column("next_index", sa.Integer, nullable=False, server_default="2"))
    op.alter_column("billed_packages", "next_index", server_default=None)
    op.add_column("billed_packages", sa.Column("next_due_date", sa.Date))
    op.add_column("billed_packages", sa.Column("ended_date", sa.Date))
    # What was sold before this version has no next period: whether it still runs was not told here.
    op.create_index(
        "ix_billed_packages_due",
        "billed_packages",
        ["business_id", "next_due_date", "package_id"],
        postgresql_where=sa.text("next_due_date is not null"),
    )


def _days() -> None:
    op.create_table(
        "daily_runs",
        sa.Column("business_id", sa.Uuid, primary_key=True),
        sa.Column("last_done", sa.Date, nullable=False),
        sa.Column("target", sa.Date, nullable=False),
        sa.Column("since_date", sa.Date, nullable=False),
        sa.Column("collections_requested", sa.Integer, nullable=False),
        sa.CheckConstraint("last_done <= target", name="ck_daily_runs_ends_at_its_target"),
    )
    op.create_index(
        "ix_instalments_scheduled",
        "instalments",
        ["business_id", "due_date", "instalment_id"],
        postgresql_where=sa.text("state = 'scheduled'"),
    )


def _payments() -> None:
    op.create_table(
        "payments",
        sa.Column("payment_id", sa.Uuid, primary_key=True),
        sa.Column("invoice_id", sa.Uuid, nullable=False, index=True),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("paid_date", sa.Date, nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("recorded_by", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("business_id", sa.Uuid, nullable=False, index=True),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.invoice_id"], name="fk_payments_invoice_id_invoices"),
        sa.CheckConstraint("amount_minor > 0", name="ck_payments_brings_money"),
    )
    op.create_table(
        "payment_parts",
        sa.Column("payment_id", sa.Uuid, primary_key=True),
        sa.Column("instalment_id", sa.Uuid, primary_key=True, index=True),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("business_id", sa.Uuid, nullable=False, index=True),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.payment_id"], name="fk_payment_parts_payment_id_payments"),
        sa.ForeignKeyConstraint(
            ["instalment_id"], ["instalments.instalment_id"], name="fk_payment_parts_instalment_id_instalments"
        ),
        sa.CheckConstraint("amount_minor > 0", name="ck_payment_parts_brings_money"),
    )
    append_only("payments", "payment_parts")
    op.add_column("instalments", sa.Column("paid_minor", sa.BigInteger, nullable=False, server_default="0"))
    op.alter_column("instalments", "paid_minor", server_default=None)
    op.create_check_constraint(
        "ck_instalments_paid_by_hand", "instalments", "paid_minor >= 0 and paid_minor <= amount_minor"
    )
    op.add_column("journal_entries", sa.Column("payment_id", sa.Uuid))
    op.create_unique_constraint(
        "uq_journal_entries_payment_id_instalment_id", "journal_entries", ["payment_id", "instalment_id"]
    )


def _balance_checked_by_statement() -> None:
    """Entries are written whole: one look at what a statement wrote, instead of one at each row when it commits."""
    op.execute("drop trigger entry_balances on postings")
    op.execute("drop function entry_balances()")
    op.execute(
        "create function entry_balances() returns trigger language plpgsql as $$"
        " declare unbalanced uuid;"
        " begin"
        "  select entry_id into unbalanced from written group by entry_id, currency having sum(amount_minor) <> 0;"
        "  if found then"
        "   raise check_violation using message = 'journal entry ' || unbalanced || ' does not balance',"
        "    constraint = 'entry_balances';"
        "  end if;"
        "  return null;"
        " end $$"
    )
    op.execute(
        "create trigger entry_balances after insert on postings referencing new table as written"
        " for each statement execute function entry_balances()"
    )
