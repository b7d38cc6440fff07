"""Billing: what is owed.

Owns: invoices and their numbers, instalments, payments, the journal; how far the days are billed.
Handles: catalog.business_changed, catalog.business_day_started, packages.sold, packages.closed,
    packages.auto_pay_switched,
    directdebit.debit_submitted, directdebit.debit_settled, directdebit.debit_declined, directdebit.debit_returned,
    directdebit.debit_claimed.
Publishes: billing.invoice_issued, billing.closure_billed, billing.period_opened, billing.day_billed,
    billing.collection_requested, billing.collection_failed, billing.instalment_overdue.
"""
