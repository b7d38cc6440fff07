"""Why a debit was not collected, and what follows from it. The causes are the provider's own words."""

from services.directdebit.tables import ReasonClass

SOFT = frozenset({"insufficient_funds", "refer_to_payer"})
ENDS_MANDATE = frozenset(
    {
        "account_blocked_for_any_financial_transaction",
        "authorisation_disputed",
        "bank_account_closed",
        "direct_debit_not_enabled",
        "invalid_bank_details",
        "mandate_cancelled",
        "mandate_expired",
    }
)


def reason_class(cause: str | None) -> ReasonClass:
    """Soft is what may pass by itself. Every other cause, an unknown one too, is hard: never tried unasked (R-35)."""
    return "soft" if cause in SOFT else "hard"


def ends_mandate(cause: str | None) -> bool:
    """Some hard causes are about the account itself: no debit under this mandate can ever be collected (R-35)."""
    return cause in ENDS_MANDATE
