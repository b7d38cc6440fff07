"""Mandates, collections, debits and their items, callbacks and their facts; a copy of clients."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import secure

revision = "directdebit_0001"
down_revision = None
branch_labels = ("directdebit",)

instant = sa.DateTime(timezone=True)


def _business() -> sa.Column[object]:
    return sa.Column("business_id", sa.Uuid, nullable=False, index=True)


def _recorded(name: str) -> sa.Column[object]:
    return sa.Column(name, instant, nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    _mandates()
    _debits()
    op.create_table(
        "collections",
        sa.Column("instalment_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("target_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("collect_date", sa.Date, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        _business(),
    )
    op.create_index("ix_collections_of_a_payer", "collections", ["business_id", "payer_id", "instalment_id"])
    _callbacks()
    op.create_table(
        "provider_accounts",
        sa.Column("business_id", sa.Uuid, primary_key=True),
        sa.Column("access_token", sa.LargeBinary, nullable=False),
        sa.Column("callback_secrets", sa.LargeBinary, nullable=False),
    )
    secure(
        "clients",
        "mandates",
        "collections",
        "debits",
        "debit_items",
        "deliveries",
        "provider_facts",
        "provider_accounts",
    )


def _mandates() -> None:
    op.create_table(
        "clients",
        sa.Column("client_id", sa.Uuid, primary_key=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        _business(),
    )
    op.create_table(
        "mandates",
        sa.Column("mandate_id", sa.Uuid, primary_key=True),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("provider_mandate", sa.Text, nullable=False),
        sa.Column("account_ending", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("recorded_by", sa.Text, nullable=False),
        sa.Column("recorded_date", sa.Date, nullable=False),
        _recorded("recorded_at"),
        _business(),
        sa.CheckConstraint("account_ending ~ '^[0-9]{2,4}$'", name="ck_mandates_shows_an_ending"),
        sa.CheckConstraint("state in ('active', 'replaced', 'cancelled')", name="ck_mandates_has_a_state"),
    )
    for name, column in (("one_active_mandate", "payer_id"), ("one_payer_of_a_mandate", "provider_mandate")):
        active = sa.text("state = 'active'")
        op.create_index(name, "mandates", ["business_id", column], unique=True, postgresql_where=active)


def _debits() -> None:
    op.create_table(
        "debits",
        sa.Column("debit_id", sa.Uuid, primary_key=True),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("mandate_id", sa.Uuid, sa.ForeignKey("mandates.mandate_id"), nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("charge_date", sa.Date, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("request", sa.Text),
        sa.Column("sent_at", instant),
        *(sa.Column(name, sa.Text) for name in ("provider_ref", "code", "reason_class", "review")),
        sa.Column("created_date", sa.Date, nullable=False),
        _recorded("recorded_at"),
        _business(),
        sa.CheckConstraint("amount_minor > 0", name="ck_debits_asks_for_money"),
        sa.CheckConstraint(
            "provider_ref is not null or state not in ('submitted', 'settled', 'declined')",
            name="ck_debits_is_at_the_provider",
        ),
        sa.CheckConstraint(
            "request is not null or state not in ('submitting', 'unknown', 'refused')",
            name="ck_debits_was_written_down",
        ),
        sa.CheckConstraint("(review is not null) = (state = 'in_review')", name="ck_debits_has_a_question"),
    )
    op.create_index("one_debit_of_a_payment", "debits", ["business_id", "provider_ref"], unique=True)
    op.create_index("ix_debits_of_a_payer", "debits", ["business_id", "payer_id", "debit_id"])
    op.create_table(
        "debit_items",
        sa.Column("debit_id", sa.Uuid, sa.ForeignKey("debits.debit_id"), primary_key=True),
        sa.Column("instalment_id", sa.Uuid, primary_key=True),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("attempt_no", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        _business(),
        sa.CheckConstraint("amount_minor > 0", name="ck_debit_items_asks_for_money"),
    )
    op.create_index("one_live_item", "debit_items", ["instalment_id"], unique=True, postgresql_where=sa.text("live"))
    op.create_index("ix_debit_items_of_an_instalment", "debit_items", ["instalment_id"])


def _callbacks() -> None:
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.Uuid, primary_key=True),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("trouble", sa.Text),
        sa.Column("business_date", sa.Date, nullable=False),
        _recorded("received_at"),
        _business(),
        sa.UniqueConstraint("business_id", "sha256", name="uq_deliveries_business_id_sha256"),
    )
    op.create_table(
        "provider_facts",
        sa.Column("fact_id", sa.Uuid, primary_key=True),
        sa.Column("delivery_id", sa.Uuid, sa.ForeignKey("deliveries.delivery_id"), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("event_id", "resource", "action")),
        *(sa.Column(name, sa.Text) for name in ("kind", "provider_ref")),
        sa.Column("claimed_debit_id", sa.Uuid),
        *(sa.Column(name, sa.Text) for name in ("cause", "code", "reason_class")),
        sa.Column("ends_mandate", sa.Boolean, nullable=False),
        sa.Column("occurred_at", instant, nullable=False),
        sa.Column("business_date", sa.Date, nullable=False),
        _recorded("received_at"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("debit_id", sa.Uuid, sa.ForeignKey("debits.debit_id")),
        _business(),
        sa.UniqueConstraint("business_id", "event_id", name="uq_provider_facts_business_id_event_id"),
    )
    op.create_index("ix_provider_facts_of_a_debit", "provider_facts", ["debit_id"])
    op.create_index("ix_provider_facts_of_a_payment", "provider_facts", ["business_id", "provider_ref"])
