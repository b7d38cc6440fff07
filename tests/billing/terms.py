"""Terms as packages are sold on: ten sessions for $500, paid in full, unless a test says otherwise."""

from typing import Any

from shared.events.catalog import Terms


def terms(**changes: Any) -> Terms:
    ten_sessions = {
        "name": "10 sessions",
        "billing_mode": "pre_bill",
        "form": "paid_in_full",
        "service_ids": [],
        "practitioner_ids": [],
        "session_count": 10,
        "price_minor": 50000,
        "currency": "AUD",
        "tiers": [],
        "frequency": None,
        "instalment_count": None,
        "rollover": None,
        "term_weeks": None,
        "valid_days": None,
        "late_cancel_hours": 0,
        "needs_approval": False,
    }
    return Terms.model_validate(ten_sessions | changes)
