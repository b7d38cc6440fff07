"""Debits that fail after they were paid, reminders, and what auto-pay asks for."""

import sqlalchemy as sa
from alembic import op

revision = "billing_0003"
down_revision = "billing_0002"


def upgrade() -> None:
    # The owner of a forced table sees no business's rows either: what is filled in here is of all of them.
    for table in ("debit_facts", "instalments"):
        op.execute(f"alter table {table} no force row level security")
    _failures()
    _targets()
    _reminders()
    op.add_column("billed_packages", sa.Column("auto_pay_version", sa.Integer, nullable=False, server_default="0"))
    for table in ("debit_facts", "instalments"):
        op.execute(f"alter table {table} force row level security")


def _failures() -> None:
    op.drop_constraint("ck_debit_facts_has_a_state", "debit_facts")
    op.create_check_constraint(
        "ck_debit_facts_has_a_state",
        "debit_facts",
        "state in ('submitted', 'settled', 'declined', 'returned', 'claimed')",
    )
    op.add_column("debit_facts", sa.Column("next_attempt_date", sa.Date))
    op.add_column("debit_facts", sa.Column("told", sa.Boolean, nullable=False, server_default="false"))
    # Until here the first decline of a debit to be heard was told.
    op.execute(
        "update debit_facts f set told = true where state = 'declined' and not exists (select from debit_facts e"
        " where e.debit_id = f.debit_id and e.instalment_id = f.instalment_id and e.state = 'declined'"
        "  and (e.recorded_at, e.sequence) < (f.recorded_at, f.sequence))"
    )
    op.create_check_constraint(
        "ck_debit_facts_tells_of_a_failure", "debit_facts", "not told or state in ('declined', 'returned', 'claimed')"
    )
    op.create_index(
        "uq_debit_facts_told",
        "debit_facts",
        ["debit_id", "instalment_id"],
        unique=True,
        postgresql_where=sa.text("told"),
    )


def _targets() -> None:
    op.add_column("instalments", sa.Column("target_minor", sa.BigInteger, nullable=False, server_default="0"))
    op.execute(
        "update instalments set target_minor = amount_minor - paid_minor"
        " where collection_version > 0 and state not in ('void', 'waived')"
    )
    op.create_check_constraint(
        "ck_instalments_asks_for_no_more",
        "instalments",
        "target_minor between 0 and amount_minor and (collection_version > 0 or target_minor = 0)",
    )


def _reminders() -> None:
    op.add_column("instalments", sa.Column("reminded_date", sa.Date))
    op.create_check_constraint("ck_instalments_reminded_when_overdue", "instalments", "reminded_date > due_date")
    op.create_index(
        "ix_instalments_unreminded",
        "instalments",
        ["business_id", "due_date", "instalment_id"],
        postgresql_where=sa.text("state = 'due' and reminded_date is null"),
    )
