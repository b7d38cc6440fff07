"""Rows that must not exist in billing's database. Each query returns the offenders of one business."""

NEWEST = (
    "(select distinct on (debit_id, instalment_id) * from debit_facts order by debit_id, instalment_id, sequence desc)"
)
SUMS = (
    "(select i.*, coalesce(sum(collected_minor), 0) collected, coalesce(sum(in_flight_minor), 0) in_flight"  # noqa: S608
    f" from instalments i left join {NEWEST} f using (instalment_id) group by i.instalment_id)"
)
"""Every instalment with what its debits have brought and may still bring."""

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
    "what is receivable of an invoice is not what was issued less what was collected": (
        "select invoice_id from invoices where total_minor"  # noqa: S608 — made of constants, as above and below
        f" - (select coalesce(sum(collected), 0) from {SUMS} s where s.invoice_id = invoices.invoice_id)"
        " <> (select coalesce(sum(p.amount_minor), 0) from journal_entries e join postings p using (entry_id)"
        " where e.invoice_id = invoices.invoice_id and p.account = 'receivable')"
    ),
    "the invoice numbers do not run from 1 without a gap": (
        "select count(*), max(number), max(last_number) from invoices full join invoice_counters using (business_id)"
        " having count(distinct number) <> count(*) or min(number) <> 1"
        " or count(*) <> max(number) or count(*) <> max(last_number) or count(last_number) <> count(*)"
    ),
    "a period of a package is billed twice": (
        "select package_id, period_index from invoices where period_index is not null"
        " group by package_id, period_index having count(*) > 1"
    ),
    "a closure that is owed for has not exactly one invoice": (
        "select closure_id from closures left join invoices using (closure_id)"
        " group by closure_id, closures.total_minor"
        " having closures.total_minor <> coalesce(sum(invoices.total_minor), 0)"
        " or count(invoice_id) <> (closures.total_minor > 0)::int"
    ),
    "an instalment is paid and open, or covered and not paid": (
        f"select instalment_id from {SUMS} s where state in ('scheduled', 'due', 'paid')"  # noqa: S608
        " and (state = 'paid') <> (collected >= amount_minor)"
    ),
    "more is in flight than is open": (
        f"select instalment_id from {SUMS} s where in_flight > greatest(amount_minor - collected, 0)"  # noqa: S608
    ),
}
