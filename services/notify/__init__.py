"""Notify: telling people what happened, once.

Owns: messages, and what became of them; the texts that businesses put for them; copies of the names and addresses of
    clients.
Handles: catalog.business_changed, catalog.client_changed, packages.sold, booking.confirmed, booking.cancelled,
    billing.invoice_issued, billing.collection_failed, billing.instalment_overdue.
Publishes: nothing.
"""
