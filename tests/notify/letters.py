"""The events that notify tells of, as plain data; and each kind of message with its fields."""

from typing import Any
from uuid import UUID

from services.notify.rules import letters
from services.notify.rules.kinds import KindName
from services.notify.rules.letters import Fields
from shared.events.billing import CollectionFailed, InstalmentOverdue, InvoiceIssued
from shared.events.booking import BookingCancelled, BookingConfirmed
from shared.ids import new_id
from tests.harness.terms import sold


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


def overdue(payer_id: UUID, **changes: Any) -> dict[str, Any]:
    usual = {
        "instalment_id": new_id(),
        "invoice_id": new_id(),
        "invoice_number": 7,
        "client_id": payer_id,
        "payer_id": payer_id,
        "due_date": "2022-09-13",
        "amount_minor": 22000,
        "currency": "AUD",
    }
    return usual | changes


def fields_of_each_kind() -> dict[KindName, Fields]:
    """What a usual event of each kind says."""
    ana = new_id()
    client, payer = {"client": "Ana", "business": "Harbour Studio"}, {"payer": "Ana", "business": "Harbour Studio"}
    confirmation = BookingConfirmed.model_validate(confirmed(ana))
    failure = CollectionFailed.model_validate(failed(ana))
    return {
        "purchase_confirmed": letters.purchase_confirmed(sold(ana), **client),
        "booking_confirmed": letters.booking_confirmed(confirmation, **client, zone="Australia/Sydney"),
        "booking_cancelled": letters.booking_cancelled(BookingCancelled.model_validate(cancelled(ana)), **client),
        "invoice_issued": letters.invoice_issued(InvoiceIssued.model_validate(invoiced(ana)), **payer),
        "collection_failed": letters.collection_failed(failure, **payer),
        "collection_failed_for_staff": letters.collection_failed_for_staff(failure, **payer),
        "instalment_overdue": letters.instalment_overdue(InstalmentOverdue.model_validate(overdue(ana)), **payer),
    }
