"""Billing: what is owed.

Owns: invoices and their numbers, instalments, the journal; what debits have brought.
Handles: catalog.business_changed, packages.sold, packages.closed, directdebit.debit_submitted,
    directdebit.debit_settled, directdebit.debit_declined.
Publishes: billing.invoice_issued, billing.closure_billed, billing.collection_requested, billing.collection_failed.
"""
