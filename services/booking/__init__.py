"""Booking: who comes, to whom, and when.

Owns: bookings and their attendance; the practitioners' diaries.
Handles: catalog.business_changed, catalog.client_changed, catalog.staff_changed, catalog.service_changed,
    packages.session_held, packages.hold_refused, packages.holds_moved.
Publishes: booking.hold_requested, booking.confirmed, booking.refused, booking.cancelled, booking.attendance_recorded.
"""
