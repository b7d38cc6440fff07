"""Rows that must not exist in packages' database. Each query returns the offenders of one business."""

INVARIANTS = {
    "a balance differs from its ledger": (
        "select p.package_id from packages p left join ("
        "  select package_id,"
        "   coalesce(sum(quantity) filter (where kind = 'allocated'), 0) allocated,"
        "   coalesce(sum(quantity) filter (where kind = 'adjusted'), 0) adjusted,"
        "   coalesce(sum(quantity) filter (where kind = 'held'), 0)"
        "    - coalesce(sum(quantity) filter (where kind in ('returned', 'consumed')), 0) held,"
        "   coalesce(sum(quantity) filter (where kind = 'consumed'), 0) consumed,"
        "   coalesce(sum(quantity) filter (where kind = 'forfeited'), 0) forfeited"
        "  from ledger_entries group by package_id) l using (package_id)"
        " where (p.allocated, p.adjusted, p.held, p.consumed, p.forfeited) is distinct from"
        "  (coalesce(l.allocated, 0), coalesce(l.adjusted, 0), coalesce(l.held, 0), coalesce(l.consumed, 0),"
        "   coalesce(l.forfeited, 0))"
    ),
    "a balance differs from its bookings": (
        "select p.package_id from packages p left join ("
        "  select package_id, count(*) filter (where state = 'held') held,"
        "   count(*) filter (where state = 'consumed') consumed from holds group by package_id) h using (package_id)"
        " where p.held <> coalesce(h.held, 0) or p.consumed <> coalesce(h.consumed, 0)"
    ),
    "a booking is both returned and used": (
        "select booking_id from ledger_entries where kind in ('returned', 'consumed')"
        " group by booking_id, package_id having count(*) > 1"
    ),
    "a ledger entry has no package": (
        "select l.entry_id from ledger_entries l left join packages p using (package_id) where p.package_id is null"
    ),
    "a used session of a closed post-bill package is in no closure": (
        "select h.booking_id from holds h join packages p using (package_id)"
        " where p.state = 'closed' and p.post_bill and h.state = 'consumed' and h.closure_id is null"
    ),
    "lots differ from their ledger": (
        "select package_id from (select package_id, sum(size) size, sum(forfeited) forfeited from lots"
        "  group by package_id) lot full join (select package_id,"
        "   coalesce(sum(quantity) filter (where kind = 'allocated'), 0) size,"
        "   coalesce(sum(quantity) filter (where kind = 'forfeited'), 0) forfeited"
        "  from ledger_entries group by package_id) entry using (package_id)"
        " where (coalesce(lot.size, 0), coalesce(lot.forfeited, 0)) is distinct from"
        "  (coalesce(entry.size, 0), coalesce(entry.forfeited, 0))"
    ),
    "a lot gave more than it had": (
        "select l.package_id from lots l where l.valid_to is not null and l.size + l.adjusted - l.forfeited <"
        " (select count(*) from holds h where h.package_id = l.package_id and h.state in ('held', 'consumed')"
        "  and h.session_date >= l.valid_from and h.session_date < l.valid_to)"
    ),
    "an ended lot still has sessions": (
        "select l.package_id from lots l where l.ended and l.size + l.adjusted - l.forfeited >"
        " (select count(*) from holds h where h.package_id = l.package_id and h.state in ('held', 'consumed')"
        "  and h.session_date >= l.valid_from and h.session_date < l.valid_to)"
    ),
    "the periods opened are not the lots": (
        "select package_id from packages left join lots using (package_id)"
        " group by package_id, periods_opened having periods_opened <> count(period_index)"
    ),
    "a session is ahead of a period that has opened": (
        "select h.booking_id from holds h join packages p using (package_id) where h.state = 'ahead'"
        " and (p.terms->>'form' is distinct from 'recurring' or h.session_date < p.first_due_date + p.periods_opened *"
        "  case p.terms->>'frequency' when 'weekly' then interval '7 days' when 'fortnightly' then interval '14 days'"
        "  else interval '1 month' end)"
    ),
}
