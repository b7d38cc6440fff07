"""Which corruptions an audit can find at all: written down by what is corrupted, never by what was found.

A corruption is beyond any audit where nobody keeps what was changed, so that nothing disagrees with it.
"""

from collections.abc import Mapping

REPLACED = (
    "catalog.business_changed.v1",
    "catalog.client_changed.v1",
    "catalog.staff_changed.v1",
    "catalog.service_changed.v1",
    "billing.collection_requested.v1",
    "packages.auto_pay_switched.v1",
    "booking.attendance_recorded.v1",
)
"""Facts of which a newer one of the same subject replaces all: what an older one said, no row says any more.

Its number and its subject count all the same.
"""

UNKEPT: Mapping[str, frozenset[str]] = {
    "booking.hold_requested.v1": frozenset({"by_staff"}),
    "booking.cancelled.v1": frozenset({"had_session", "waived"}),
    "packages.session_held.v1": frozenset({"last_usable_date"}),
}
"""Fields that no subscriber keeps, and no row of the publisher says; of a type that is not here, every field counts."""

DATED = frozenset(
    {
        "catalog.business_day_started.v1",
        "packages.sold.v1",
        "packages.closed.v1",
        "billing.invoice_issued.v1",
        "billing.period_opened.v1",
        "billing.day_billed.v1",
        "billing.instalment_overdue.v1",
        "directdebit.debit_submitted.v1",
        "directdebit.debit_settled.v1",
        "directdebit.debit_declined.v1",
        "directdebit.debit_returned.v1",
        "directdebit.debit_claimed.v1",
    }
)
"""Facts whose business date a row keeps; of the others nothing is dated."""

NOTES: Mapping[str, frozenset[str]] = {
    "packages": frozenset({"expiry_date", "auto_renew", "closed_at"}),
    "ledger_entries": frozenset({"reason", "recorded_at"}),
    "bookings": frozenset({"during"}),
    "daily_runs": frozenset({"collections_requested"}),
    "invoices": frozenset({"recorded_at"}),
    "journal_entries": frozenset({"recorded_at"}),
    "payments": frozenset({"method", "reference", "recorded_by", "recorded_at", "paid_date"}),
    "debit_facts": frozenset({"recorded_at"}),
    "collections": frozenset({"next_date"}),
    "debits": frozenset({"run_id", "request", "sent_at", "settled_date", "created_date", "recorded_at"}),
    "messages": frozenset(
        {"message_id", "channel", "address", "subject", "body", "state", "reason", "written_at", "sent_at"}
    ),
    "template_versions": frozenset({"description"}),
    "mandates": frozenset({"account_ending", "state", "recorded_by", "recorded_date", "recorded_at", "sealed_account"}),
    "provider_facts": frozenset(
        {"fact_id", "delivery_id", "resource", "cause", "code", "reason_class", "ends_mandate", "mandate_id"}
        | {"occurred_at", "business_date", "received_at", "state", "kind", "named_id"}
    ),
}
"""Columns that a person sets at will, or that note how a thing was done; no fact tells them, and no sum holds them."""

NO_EFFECT = frozenset({"mandates"})
"""Tables that no event makes rows in, and whose rows hold no session and no cent."""

KEPT_TRUE: Mapping[tuple[str, str], str] = {
    ("packages", "allocated"): "a balance differs from its ledger",
    ("packages", "adjusted"): "a balance differs from its ledger",
    ("packages", "held"): "a balance differs from its ledger",
    ("packages", "consumed"): "a balance differs from its ledger",
    ("packages", "forfeited"): "a balance differs from its ledger",
    ("ledger_entries", "quantity"): "a balance differs from its ledger",
    ("ledger_entries", "kind"): "a balance differs from its ledger",
    ("ledger_entries", "package_id"): "a balance differs from its ledger",
    ("ledger_entries", ""): "a balance differs from its ledger",
    ("invoice_counters", "last_number"): "the invoice numbers do not run from 1 without a gap",
    ("invoice_counters", ""): "the invoice numbers do not run from 1 without a gap",
    ("instalments", "paid_minor"): "what was paid by hand is not the sum of its parts",
    ("instalments", "target_minor"): "what is to be collected by debit is not what is due, or what auto-pay says",
    ("journal_entries", ""): "an entry does not balance",
    ("payments", "amount_minor"): "a payment is not the sum of its parts",
    ("debits", "amount_minor"): "the items of a debit are not its amount",
    ("debit_items", "live"): "an item is live and its debit is not, or the other way round",
}
"""The invariant of the service itself that finds a column, or the row as a whole (""), of which no event says anything.

It names the row, and the row is all there is to name.
"""


def invariant_of(table: str, row: Mapping[str, object], column: str = "") -> str | None:
    """The invariant that has to find it; of the ledger's entries only what a person entered has no event."""
    if table == "ledger_entries" and row["kind"] != "adjusted":
        return None
    return KEPT_TRUE.get((table, column))


def row_counts(table: str, row: Mapping[str, object], column: str | None = None) -> bool:
    """Whether anybody can tell that a row is gone or doubled, or that a column of it is another.

    Of a payment by hand only the day that is written on it is known; when it was entered, nobody else notes. A fact of
    the provider about a mandate makes no debit.
    """
    if table in NO_EFFECT or (table == "provider_facts" and row["debit_id"] is None):
        return False
    if column is None:
        return True
    if table == "journal_entries" and column == "entry_date" and row["payment_id"] is not None:
        return False
    return column not in NOTES.get(table, frozenset())
