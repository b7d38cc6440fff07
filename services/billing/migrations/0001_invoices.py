"""Packages as billed, invoices with their instalments, debit facts, and a journal that the database keeps balanced."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import append_only, secure

revision = "billing_0001"
down_revision = None
branch_labels = ("billing",)

instant = sa.DateTime(timezone=True)


def _table(name: str, *columns: sa.schema.SchemaItem) -> None:
    op.create_table(name, sa.Column("business_id", sa.Uuid, nullable=False, index=True), *columns)


def _parent(child: str, key: str, parent: str) -> sa.ForeignKey:
    return sa.ForeignKey(f"{parent}.{key}", name=f"fk_{child}_{key}_{parent}")


def _recorded_at() -> sa.Column[object]:
    return sa.Column("recorded_at", instant, nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    _packages()
    _invoices()
    _instalments()
    _journal()
    secure(
        "billed_packages",
        "closures",
        "invoice_counters",
        "invoices",
        "invoice_lines",
        "instalments",
        "debit_facts",
        "journal_entries",
        "postings",
    )


def _packages() -> None:
    _table(
        "billed_packages",
        sa.Column("package_id", sa.Uuid, primary_key=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("post_bill", sa.Boolean, nullable=False),
        sa.Column("form", sa.Text),
        sa.Column("price_minor", sa.BigInteger),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("frequency", sa.Text),
        sa.Column("term_weeks", sa.Integer),
        sa.Column("first_due_date", sa.Date, nullable=False),
        sa.Column("auto_pay", sa.Boolean, nullable=False),
    )
    _table(
        "closures",
        sa.Column("closure_id", sa.Uuid, primary_key=True),
        sa.Column(
            "package_id", sa.Uuid, _parent("closures", "package_id", "billed_packages"), nullable=False, index=True
        ),
        sa.Column("closed_date", sa.Date, nullable=False),
        sa.Column("total_minor", sa.BigInteger, nullable=False),
    )


def _invoices() -> None:
    op.create_table(
        "invoice_counters",
        sa.Column("business_id", sa.Uuid, primary_key=True),
        sa.Column("last_number", sa.Integer, nullable=False),
    )
    _table(
        "invoices",
        sa.Column("invoice_id", sa.Uuid, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("package_id", sa.Uuid, _parent("invoices", "package_id", "billed_packages"), nullable=False),
        sa.Column("period_index", sa.Integer),
        sa.Column("closure_id", sa.Uuid, _parent("invoices", "closure_id", "closures")),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("total_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("issued_date", sa.Date, nullable=False),
        _recorded_at(),
        sa.UniqueConstraint("business_id", "number", name="uq_invoices_business_id_number"),
        sa.UniqueConstraint("package_id", "period_index", name="uq_invoices_package_id_period_index"),
        sa.UniqueConstraint("closure_id", name="uq_invoices_closure_id"),
        sa.CheckConstraint("num_nonnulls(period_index, closure_id) = 1", name="ck_invoices_for_one_thing"),
        sa.CheckConstraint("total_minor > 0", name="ck_invoices_asks_for_money"),
    )
    op.create_index("ix_invoices_of_a_client", "invoices", ["business_id", "client_id", "invoice_id"])
    op.create_index("ix_invoices_of_a_payer", "invoices", ["business_id", "payer_id", "invoice_id"])
    _table(
        "invoice_lines",
        sa.Column("invoice_id", sa.Uuid, _parent("invoice_lines", "invoice_id", "invoices"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("booking_id", sa.Uuid),
        sa.UniqueConstraint("booking_id", name="uq_invoice_lines_booking_id"),
    )


def _instalments() -> None:
    _table(
        "instalments",
        sa.Column("instalment_id", sa.Uuid, primary_key=True),
        sa.Column("invoice_id", sa.Uuid, _parent("instalments", "invoice_id", "invoices"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("due_date", sa.Date, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("collection_version", sa.Integer, nullable=False),
        sa.UniqueConstraint("invoice_id", "position", name="uq_instalments_invoice_id_position"),
        sa.CheckConstraint("amount_minor > 0", name="ck_instalments_asks_for_money"),
        sa.CheckConstraint(
            "state in ('scheduled', 'due', 'paid', 'void', 'waived')", name="ck_instalments_has_a_state"
        ),
    )
    _table(
        "debit_facts",
        sa.Column("debit_id", sa.Uuid, primary_key=True),
        sa.Column(
            "instalment_id",
            sa.Uuid,
            _parent("debit_facts", "instalment_id", "instalments"),
            primary_key=True,
            index=True,
        ),
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempt_no", sa.Integer, nullable=False),
        sa.Column("collected_minor", sa.BigInteger, nullable=False),
        sa.Column("in_flight_minor", sa.BigInteger, nullable=False),
        sa.Column("final", sa.Boolean, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("reason_class", sa.Text),
        sa.Column("fact_date", sa.Date, nullable=False),
        _recorded_at(),
        sa.CheckConstraint("collected_minor >= 0 and in_flight_minor >= 0", name="ck_debit_facts_counts_up"),
        sa.CheckConstraint("state in ('submitted', 'settled', 'declined')", name="ck_debit_facts_has_a_state"),
    )


def _journal() -> None:
    _table(
        "journal_entries",
        sa.Column("entry_id", sa.Uuid, primary_key=True),
        sa.Column(
            "invoice_id", sa.Uuid, _parent("journal_entries", "invoice_id", "invoices"), nullable=False, index=True
        ),
        sa.Column("debit_id", sa.Uuid),
        sa.Column("instalment_id", sa.Uuid),
        sa.Column("sequence", sa.Integer),
        sa.Column("entry_date", sa.Date, nullable=False),
        _recorded_at(),
        sa.UniqueConstraint(
            "debit_id", "instalment_id", "sequence", name="uq_journal_entries_debit_id_instalment_id_sequence"
        ),
    )
    _table(
        "postings",
        sa.Column("entry_id", sa.Uuid, _parent("postings", "entry_id", "journal_entries"), primary_key=True),
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.CheckConstraint("amount_minor <> 0", name="ck_postings_moves_money"),
    )
    # A deferred trigger runs under the business that the transaction entered last: it enters the posting's own.
    op.execute(
        "create function entry_balances() returns trigger language plpgsql as $$"
        " declare entered text := current_setting('punchcard.business', true);"
        " begin"
        "  perform set_config('punchcard.business', new.business_id::text, true);"
        "  if exists (select 1 from postings where entry_id = new.entry_id group by currency"
        "   having sum(amount_minor) <> 0) then"
        "   raise check_violation using message = 'journal entry ' || new.entry_id || ' does not balance',"
        "    constraint = 'entry_balances';"
        "  end if;"
        "  perform set_config('punchcard.business', entered, true);"
        "  return null;"
        " end $$"
    )
    op.execute(
        "create constraint trigger entry_balances after insert on postings deferrable initially deferred"
        " for each row execute function entry_balances()"
    )
    append_only("journal_entries", "postings")
