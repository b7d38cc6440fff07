"""Rows that must not exist in booking's database. Each query returns the offenders of one business."""

INVARIANTS = {
    "a booking waits past its deadline": (
        "select booking_id from bookings where state = 'holding' and decide_by < now() - interval '10 minutes'"
    ),
    "a place has no session": (
        "select booking_id from bookings"
        " where state in ('requested', 'confirmed', 'attended', 'no_show', 'late_cancelled') and package_id is null"
    ),
    "a practitioner is in two places": (
        "select a.booking_id from bookings a join bookings b on a.practitioner_id = b.practitioner_id"
        " and a.booking_id < b.booking_id and a.during && b.during"
        " where a.state in ('holding', 'requested', 'confirmed') and b.state in ('holding', 'requested', 'confirmed')"
    ),
}
