"""Rows that must not exist in packages' database. Each query returns the offenders of one business."""

INVARIANTS = {
    "a balance differs from its ledger": (
        "select p.package_id from packages p left join ("
        "  select package_id,"
        "   coalesce(sum(quantity) filter (where kind = 'allocated'), 0) allocated,"
        "   coalesce(sum(quantity) filter (where kind = 'adjusted'), 0) adjusted,"
        "   coalesce(sum(quantity) filter (where kind = 'held'), 0)"
        "    - coalesce(sum(quantity) filter (where kind in ('returned', 'consumed')), 0) held,"
        "   coalesce(sum(quantity) filter (where kind = 'consumed'), 0) consumed"
        "  from ledger_entries group by package_id) l using (package_id)"
        " where (p.allocated, p.adjusted, p.held, p.consumed) is distinct from"
        "  (coalesce(l.allocated, 0), coalesce(l.adjusted, 0), coalesce(l.held, 0), coalesce(l.consumed, 0))"
    ),
    "a balance differs from its bookings": (
        "select p.package_id from packages p left join ("
        "  select package_id, count(*) filter (where state = 'held') held,"
        "   count(*) filter (where state = 'consumed') consumed from holds group by package_id) h using (package_id)"
        " where p.held <> coalesce(h.held, 0) or p.consumed <> coalesce(h.consumed, 0)"
    ),
    "a booking is both returned and used": (
        "select booking_id from ledger_entries where kind in ('returned', 'consumed')"
        " group by booking_id having count(*) > 1"
    ),
    "a ledger entry has no package": (
        "select l.entry_id from ledger_entries l left join packages p using (package_id) where p.package_id is null"
    ),
    "a used session of a closed post-bill package is in no closure": (
        "select h.booking_id from holds h join packages p using (package_id)"
        " where p.state = 'closed' and p.post_bill and h.state = 'consumed' and h.closure_id is null"
    ),
}
