"""Packages: what clients hold, and every session of it.

Owns: packages as sold, their lots and session ledger, the holds of bookings, closures, renewal.
Handles: catalog.business_changed, catalog.client_changed, catalog.staff_changed, catalog.template_published,
    booking.hold_requested, booking.refused, booking.cancelled, booking.attendance_recorded,
    billing.period_opened, billing.day_billed, billing.closure_billed.
Publishes: packages.sold, packages.session_held, packages.hold_refused, packages.holds_moved, packages.closed,
    packages.auto_pay_switched.
"""
