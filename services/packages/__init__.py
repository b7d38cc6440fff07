"""Packages: what clients hold, and every session of it.

Owns: packages as sold, their session ledger, the holds of bookings, closures.
Handles: catalog.business_changed, catalog.client_changed, catalog.staff_changed, catalog.template_published,
    booking.hold_requested, booking.refused, booking.cancelled, booking.attendance_recorded.
Publishes: packages.sold, packages.session_held, packages.hold_refused, packages.closed.
"""
