"""The events that notify tells of, as plain data."""

from typing import Any
from uuid import UUID

from shared.ids import new_id


def confirmed(client_id: UUID, **changes: Any) -> dict[str, Any]:
    usual = {
        "booking_id": new_id(),
        "sequence": 2,
        "client_id": client_id,
        "package_id": new_id(),
        "service_id": new_id(),
        "practitioner_id": new_id(),
        "starts_at": "2022-09-15T00:00:00Z",
    }
    return usual | changes


def cancelled(client_id: UUID, **changes: Any) -> dict[str, Any]:
    usual = {
        "booking_id": new_id(),
        "sequence": 3,
        "client_id": client_id,
        "by": "client:x",
        "reason": None,
        "returns_session": True,
        "session_date": "2022-09-15",
    }
    return usual | changes


def invoiced(payer_id: UUID) -> dict[str, Any]:
    dates = ("2022-09-13", "2022-09-27")
    return {
        "invoice_id": new_id(),
        "number": 7,
        "package_id": new_id(),
        "client_id": new_id(),
        "payer_id": payer_id,
        "lines": [{"description": "10 sessions", "amount_minor": 110000}],
        "instalments": [{"instalment_id": new_id(), "due_date": due, "amount_minor": 55000} for due in dates],
        "total_minor": 110000,
        "currency": "AUD",
    }


def failed(payer_id: UUID, **changes: Any) -> dict[str, Any]:
    usual = {
        "instalment_id": new_id(),
        "invoice_id": new_id(),
        "invoice_number": 7,
        "debit_id": new_id(),
        "attempt_no": 1,
        "client_id": payer_id,
        "payer_id": payer_id,
        "amount_minor": 30000,
        "currency": "AUD",
        "reason_class": "soft",
        "final": True,
    }
    return usual | changes
