"""Rows that must not exist in billing's database. Each query returns the offenders of one business."""

NEWEST = (
    "(select distinct on (debit_id, instalment_id) * from debit_facts order by debit_id, instalment_id, sequence desc)"
)
SUMS = (
    "(select i.*, case when i.state in ('void', 'waived') then 0 else amount_minor end owed,"  # noqa: S608
    " paid_minor + coalesce(sum(collected_minor), 0) brought, coalesce(sum(in_flight_minor), 0) in_flight"
    f" from instalments i left join {NEWEST} f using (instalment_id) group by i.instalment_id)"
)
"""Every instalment with what is owed for it, what was brought, and what its debits may still bring."""


def _disagree(account: str, expression: str) -> str:
    """The invoices of which the journal says something else of an account than their instalments do."""
    return (
        "with booked as (select e.invoice_id, sum(p.amount_minor) said from journal_entries e"  # noqa: S608
        f"  join postings p using (entry_id) where p.account = '{account}' group by e.invoice_id),"
        f" standing as (select s.invoice_id, sum({expression}) said from {SUMS} s group by s.invoice_id)"
        " select invoice_id from invoices left join booked using (invoice_id) left join standing using (invoice_id)"
        " where coalesce(booked.said, 0) <> coalesce(standing.said, 0)"
    )


INVARIANTS = {
    "an invoice is not the sum of its lines": (
        "select invoice_id from invoices left join invoice_lines using (invoice_id)"
        " group by invoice_id having total_minor <> coalesce(sum(amount_minor), 0)"
    ),
    "an invoice is not the sum of its instalments, void ones included": (
        "select invoice_id from invoices left join instalments using (invoice_id)"
        " group by invoice_id having total_minor <> coalesce(sum(amount_minor), 0)"
    ),
    "an entry does not balance": (
        "select entry_id from journal_entries left join postings using (entry_id)"
        " group by entry_id, currency having coalesce(sum(amount_minor), 1) <> 0"
    ),
    "what is receivable of an invoice is not what is owed less what was brought": (
        _disagree("receivable", "owed - least(owed, brought)")
    ),
    "the cash of an invoice is not what debits and payments brought": (_disagree("cash", "brought")),
    "what was brought twice is not kept for the payer": (_disagree("account_balance", "least(owed - brought, 0)")),
    "the invoice numbers do not run from 1 without a gap": (
        "select count(*), max(number), max(last_number) from invoices full join invoice_counters using (business_id)"
        " having count(distinct number) <> count(*) or min(number) <> 1"
        " or count(*) <> max(number) or count(*) <> max(last_number) or count(last_number) <> count(*)"
    ),
    "a period of a package is billed twice": (
        "select package_id, period_index from invoices where period_index is not null"
        " group by package_id, period_index having count(*) > 1"
    ),
    "the invoices of an open-ended package are not those of its periods so far": (
        "select package_id from billed_packages p where form = 'recurring' and term_weeks = 0 and price_minor > 0"
        " and next_index - 1 <> (select count(*) from invoices i where i.package_id = p.package_id"
        "  and i.period_index between 1 and p.next_index - 1)"
    ),
    "a closure that is owed for has not exactly one invoice": (
        "select closure_id from closures left join invoices using (closure_id)"
        " group by closure_id, closures.total_minor"
        " having closures.total_minor <> coalesce(sum(invoices.total_minor), 0)"
        " or count(invoice_id) <> (closures.total_minor > 0)::int"
    ),
    "an instalment is paid and open, or covered and not paid": (
        f"select instalment_id from {SUMS} s where state in ('scheduled', 'due', 'paid')"  # noqa: S608
        " and (state = 'paid') <> (brought >= amount_minor)"
    ),
    "more is in flight than was asked for": (
        f"select instalment_id from {SUMS} s where in_flight > amount_minor"  # noqa: S608
    ),
    "what is to be collected by debit is not what is due, or what auto-pay says": (
        "select instalment_id from instalments join invoices using (invoice_id)"
        " join billed_packages using (package_id) where state in ('due', 'void', 'waived')"
        " and target_minor <> (state = 'due' and auto_pay)::int * (amount_minor - paid_minor)"
        " or state = 'due' and auto_pay and collection_version = 0"
    ),
    "what was paid by hand is not the sum of its parts": (
        "select instalment_id from instalments i left join payment_parts p using (instalment_id)"
        " group by i.instalment_id having i.paid_minor <> coalesce(sum(p.amount_minor), 0)"
    ),
    "a payment is not the sum of its parts": (
        "select payment_id from payments left join payment_parts p using (payment_id)"
        " group by payment_id having payments.amount_minor <> coalesce(sum(p.amount_minor), 0)"
    ),
    "something that fell due on a day that is billed was left out": (
        "select instalment_id from instalments, daily_runs where state = 'scheduled' and due_date <= last_done"
        " union all select package_id from billed_packages, daily_runs where next_due_date <= last_done"
    ),
}
