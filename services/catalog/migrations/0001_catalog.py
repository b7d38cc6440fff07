"""Clients and the words that find them, staff, services, and the versions of templates."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from shared.migrations import secure

revision = "catalog_0001"
down_revision = None
branch_labels = ("catalog",)


def _entries(name: str, key: str, *others: sa.schema.SchemaItem) -> None:
    op.create_table(
        name,
        sa.Column(key, sa.Uuid, primary_key=True),
        sa.Column("business_id", sa.Uuid, nullable=False, index=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        *others,
        sa.CheckConstraint("sequence >= 1", name=f"ck_{name}_counts_from_one"),
    )


def upgrade() -> None:
    _entries("clients", "client_id", sa.Column("email", sa.Text))
    op.create_table(
        "client_words",
        sa.Column("business_id", sa.Uuid, nullable=False),
        sa.Column(
            "client_id",
            sa.Uuid,
            sa.ForeignKey("clients.client_id", name="fk_client_words_client_id_clients"),
            primary_key=True,
        ),
        sa.Column("word", sa.Text(collation="C"), primary_key=True),
    )
    op.create_index("ix_client_words_by_word", "client_words", ["business_id", "word", "client_id"])
    _entries(
        "staff",
        "staff_id",
        sa.Column("practitioner", sa.Boolean, nullable=False),
        sa.Column("seller", sa.Boolean, nullable=False),
    )
    _entries(
        "services",
        "service_id",
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.CheckConstraint("minutes between 1 and 1440", name="ck_services_fits_a_day"),
    )
    op.create_table(
        "template_versions",
        sa.Column("template_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("business_id", sa.Uuid, nullable=False, index=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("terms", JSONB, nullable=False),
        sa.CheckConstraint("version >= 1", name="ck_template_versions_counts_from_one"),
    )
    secure("clients", "client_words", "staff", "services", "template_versions")
