"""A debit's facts, and the states that they leave: in billing, in directdebit, and in the bank's own log."""

SUBMITTED = "directdebit.debit_submitted.v1"
SETTLED = "directdebit.debit_settled.v1"
DECLINED = "directdebit.debit_declined.v1"
RETURNED = "directdebit.debit_returned.v1"
CLAIMED = "directdebit.debit_claimed.v1"

IN_BILLING = {
    SUBMITTED: "submitted",
    SETTLED: "settled",
    DECLINED: "declined",
    RETURNED: "returned",
    CLAIMED: "claimed",
}
IN_DIRECTDEBIT = IN_BILLING | {RETURNED: "returned_by_bank"}
TOLD_IN_BILLING = {state: kind for kind, state in IN_BILLING.items()}
TOLD_IN_DIRECTDEBIT = {state: kind for kind, state in IN_DIRECTDEBIT.items()} | {"refused": DECLINED}

AT_PROVIDER = frozenset(IN_DIRECTDEBIT.values())
"""The states of a debit that the provider's facts have made."""
DEBITED = AT_PROVIDER | {"in_review"}
"""The states of a debit that the bank has."""
BY_STEP = {
    "confirmed": "settled",
    "paid_out": "settled",
    "failed": "declined",
    "cancelled": "declined",
    "charged_back": "claimed",
}
"""What a step in the bank's log makes of a debit, in directdebit's words; any other leaves it on its way."""
