"""Directdebit: collecting what is owed through the provider, once and never twice.

Owns: mandates, the collections that billing asks for, runs, debits and their items, what the provider has told.
Handles: catalog.business_changed, catalog.client_changed, billing.collection_requested, billing.day_billed.
Publishes: directdebit.debit_submitted, directdebit.debit_settled, directdebit.debit_declined,
directdebit.debit_returned, directdebit.debit_claimed.
"""
