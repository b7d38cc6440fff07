"""The tables that every service's database has beside its own: outbox, inbox, log, work, keys, the business itself.

They carry `business_id` without row-level security: the relay, the inbox and the workers serve all businesses.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
plumbing = MetaData(naming_convention=NAMES)

instant = DateTime(timezone=True)
now = func.now()

business = Table(
    "business",
    plumbing,
    Column("business_id", Uuid, primary_key=True),
    Column("sequence", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("test_now", instant),
)
"""The business as catalog last told; in catalog itself, the original."""

outbox = Table(
    "outbox",
    plumbing,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("business_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("envelope", Text, nullable=False),
    Column("created_at", instant, nullable=False, server_default=now),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("not_before", instant),
    Column("published_at", instant),
    Index("ix_outbox_in_order", text("not_before nulls first"), "id"),
    Index(
        "ix_outbox_unconfirmed",
        text("not_before nulls first"),
        "id",
        postgresql_where=text("attempts > 0 and published_at is null"),
    ),
)
"""Facts committed here and not yet confirmed by the bus; rows leave when they are.

What has no `not_before` is sent in the order of `id`. What has one goes behind all that is fresh, and not earlier: a
fact that the bus did not confirm again and again, and one that is sent again from the log. The latter alone has a
`published_at`: when the bus first confirmed it.
"""

event_log = Table(
    "event_log",
    plumbing,
    Column("event_id", Uuid, primary_key=True),
    Column("business_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("envelope", Text, nullable=False),
    Column("published_at", instant, nullable=False, server_default=now),
    Index(None, "published_at"),
)
"""Every fact that the bus has confirmed: the audit trail, and the way back when a broker is lost."""

inbox = Table(
    "inbox",
    plumbing,
    Column("event_id", Uuid, primary_key=True),
    Column("handled_at", instant, nullable=False, server_default=now),
    Index(None, "handled_at"),
)
"""The events whose effects are in this database."""

inbox_failed = Table(
    "inbox_failed",
    plumbing,
    Column("event_id", Uuid, primary_key=True),
    Column("business_id", Uuid),
    Column("type", Text, nullable=False),
    Column("envelope", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_failed_at", instant, nullable=False, server_default=now),
    Column("next_attempt_at", instant),
    Index(None, "next_attempt_at"),
)
"""Events that could not be handled yet. `next_attempt_at` is null for a parked one, which waits for a person.

Without a business it is no event but bytes that nobody could read, in base64.
"""

interventions = Table(
    "interventions",
    plumbing,
    Column("intervention_id", BigInteger, Identity(), primary_key=True),
    Column("done_at", instant, nullable=False, server_default=now),
    Column("done_by", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("event_ids", ARRAY(Uuid), nullable=False),
)
"""What a person did to failed events: who, when, why, and to which."""

chores = Table(
    "chores",
    plumbing,
    Column("name", Text, primary_key=True),
    Column("due_at", instant, nullable=False),
    Column("done_at", instant, nullable=False, server_default=text("now() - interval '1 day'")),
)
"""What each database is to have done now and then; who moves `due_at` on does it.

`done_at` is the beginning of the last one that came to an end; before the first, a day ago.
"""

work = Table(
    "work",
    plumbing,
    Column("kind", Text, primary_key=True),
    Column("subject_id", Uuid, primary_key=True),
    Column("business_id", Uuid, nullable=False),
    Column("due_at", instant, nullable=False, server_default=now),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("error", Text),
    Column("context", JSONB, nullable=False),
    Index("ix_work_due_at", "kind", "due_at"),
)
"""Outward calls and short deadlines that are due; a lease is a `due_at` moved into the future."""

idempotency = Table(
    "idempotency",
    plumbing,
    Column("business_id", Uuid, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("made_id", Uuid, nullable=False),
    Column("created_at", instant, nullable=False, server_default=now),
    Index(None, "created_at"),
)
"""What a request with this Idempotency-Key made; the answer is rendered from its present state."""
