"""Terms, and a sale on them: ten sessions for $500, paid in full (V-01), unless a test says otherwise."""

from datetime import date
from typing import Any
from uuid import UUID

from shared.events.catalog import Terms
from shared.events.packages import PackageSold
from shared.ids import new_id

SALE, FIRST_DUE = date(2022, 9, 9), date(2022, 9, 13)
POST_BILL: dict[str, Any] = {
    "billing_mode": "post_bill",
    "form": None,
    "session_count": None,
    "price_minor": None,
    "tiers": [{"at_least": 1, "rate_minor": 6000}, {"at_least": 5, "rate_minor": 5500}],
}
"""V-08."""


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


def sold(
    client_id: UUID,
    payer_id: UUID | None = None,
    *,
    first_due: date = FIRST_DUE,
    auto_pay: bool = True,
    **changes: Any,
) -> PackageSold:
    """A package is sold, with these changes to its terms; the client pays, unless somebody else does."""
    return PackageSold(
        package_id=new_id(),
        client_id=client_id,
        payer_id=payer_id or client_id,
        template_id=new_id(),
        template_version=1,
        terms=terms(**changes),
        start_date=SALE,
        first_due_date=first_due,
        auto_pay=auto_pay,
        sold_by=None,
    )
