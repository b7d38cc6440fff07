"""Catalog: the reference book.

Owns: the profile and the clock of the business; its clients, staff, services and templates.
Handles: nothing.
Publishes: catalog.business_changed, catalog.business_day_started, catalog.client_changed, catalog.staff_changed,
    catalog.service_changed, catalog.template_published.
"""
