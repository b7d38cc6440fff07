"""What falls due on a date, billed for thousands of packages at once: a few statements, and no query per row.

The rules of this are `next_due`, `open_period`, `first_state` and `ask`; a property test holds the two to each other.
"""

from datetime import date
from uuid import UUID

from sqlalchemy import text

from shared import failpoints
from shared.database import Db
from shared.outbox import alike

AT_ONCE = 2000
"""Packages or instalments in one statement."""

OPEN_PERIODS = text(
    """
with due as materialized (
  select package_id, client_id, payer_id, name, price_minor, currency, auto_pay, next_index, next_due_date,
    coalesce(term_weeks, 0) = 0 and price_minor > 0 as invoiced
  from billed_packages
  where next_due_date <= :date and (cast(:package_id as uuid) is null or package_id = :package_id)
  order by next_due_date, package_id limit :at_once
), made as materialized (
  select due.*, row_number() over (order by next_due_date, package_id) as nth,
    new_id() as invoice_id, new_id() as instalment_id, new_id() as entry_id
  from due where invoiced
), counter as (
  insert into invoice_counters as c (business_id, last_number)
  select :business_id, count(*) from made having count(*) > 0
  on conflict (business_id) do update set last_number = c.last_number + excluded.last_number
  returning last_number - (select count(*) from made) as before
), issued as materialized (
  select made.*, before + nth as number from made cross join counter
), moved as (
  update billed_packages p
  set next_index = p.next_index + 1, next_due_date = (
    select following from due_date(p.first_due_date, p.frequency, p.next_index + 1) following
    where following <= coalesce(p.ended_date, 'infinity') and (coalesce(p.term_weeks, 0) = 0
      or p.next_index < p.term_weeks / case p.frequency when 'fortnightly' then 2 else 1 end))
  from due where p.package_id = due.package_id
), invoice as (
  insert into invoices (invoice_id, business_id, number, package_id, period_index, client_id, payer_id, total_minor,
    currency, issued_date)
  select invoice_id, :business_id, number, package_id, next_index, client_id, payer_id, price_minor, currency,
    next_due_date
  from issued
), line as (
  insert into invoice_lines (invoice_id, business_id, position, description, amount_minor)
  select invoice_id, :business_id, 1, name, price_minor from issued
), instalment as (
  insert into instalments (instalment_id, business_id, invoice_id, position, due_date, amount_minor, paid_minor, state,
    collection_version, target_minor)
  select instalment_id, :business_id, invoice_id, 1, next_due_date, price_minor, 0, 'due', auto_pay::int,
    auto_pay::int * price_minor
  from issued
), entry as (
  insert into journal_entries (entry_id, business_id, invoice_id, entry_date)
  select entry_id, :business_id, invoice_id, next_due_date from issued
), posting as (
  insert into postings (entry_id, business_id, account, amount_minor, currency)
  select entry_id, :business_id, account, sign * price_minor, currency
  from issued cross join (values ('receivable', 1), ('sales', -1)) side (account, sign)
), told as materialized (
  select new_id() as event_id, fact.* from (
    select 'billing.invoice_issued.v1' as type, invoice_id as subject, next_due_date, json_build_object(
      'invoice_id', invoice_id, 'number', number, 'package_id', package_id, 'client_id', client_id,
      'payer_id', payer_id, 'total_minor', price_minor, 'currency', currency,
      'lines', json_build_array(
        json_build_object('description', name, 'amount_minor', price_minor, 'booking_id', null)),
      'instalments', json_build_array(
        json_build_object('instalment_id', instalment_id, 'due_date', next_due_date, 'amount_minor', price_minor))
    ) as data
    from issued
    union all
    select 'billing.period_opened.v1', package_id, next_due_date,
      json_build_object('package_id', package_id, 'period_index', next_index, 'due_date', next_due_date)
    from due
    union all
    select 'billing.collection_requested.v1', instalment_id, next_due_date, json_build_object(
      'instalment_id', instalment_id, 'version', 1, 'target_minor', price_minor, 'currency', currency,
      'collect_date', next_due_date, 'payer_id', payer_id, 'run_date', cast(:run_date as date))
    from issued where auto_pay
  ) fact
), fact as (
  insert into outbox (event_id, business_id, type, subject, envelope)
  select event_id, :business_id, type, subject, envelope(:alike, event_id, type, subject, next_due_date, data) from told
)
select (select count(*) from due) as billed, (select count(*) from issued where auto_pay) as requested
"""
)

FALL_DUE = text(
    """
with due as materialized (
  select i.instalment_id, i.due_date, i.amount_minor - i.paid_minor as target_minor,
    i.collection_version + 1 as version, v.payer_id, v.currency, p.auto_pay, new_id() as event_id
  from instalments i join invoices v using (invoice_id) join billed_packages p using (package_id)
  where i.state = 'scheduled' and i.due_date <= :date
  order by i.due_date, i.instalment_id limit :at_once
  for update of i
), fell as (
  update instalments i set state = 'due', collection_version = collection_version + due.auto_pay::int,
    target_minor = due.auto_pay::int * due.target_minor
  from due where i.instalment_id = due.instalment_id
), fact as (
  insert into outbox (event_id, business_id, type, subject, envelope)
  select event_id, :business_id, 'billing.collection_requested.v1', instalment_id,
    envelope(:alike, event_id, 'billing.collection_requested.v1', instalment_id, due_date, json_build_object(
      'instalment_id', instalment_id, 'version', version, 'target_minor', target_minor, 'currency', currency,
      'collect_date', due_date, 'payer_id', payer_id, 'run_date', cast(:run_date as date)))
  from due where auto_pay
)
select (select count(*) from due) as billed, (select count(*) from due where auto_pay) as requested
"""
)


async def open_periods(
    db: Db, on: date, *, run_date: date | None = None, package_id: UUID | None = None
) -> tuple[int, int]:
    """Open the next period of packages whose date has come, of one or of all; each under its own due date.

    Returns how many periods were opened, and how many collections were requested with them.
    """
    billed = (await db.execute(OPEN_PERIODS, _given(db, on, run_date) | {"package_id": package_id})).one()
    failpoints.hit("day.periods")
    return billed.billed, billed.requested


async def fall_due(db: Db, on: date, *, run_date: date) -> tuple[int, int]:
    """Let instalments fall due whose date has come. Returns how many did, and how many collections were requested."""
    fell = (await db.execute(FALL_DUE, _given(db, on, run_date))).one()
    failpoints.hit("day.instalments")
    return fell.billed, fell.requested


def _given(db: Db, on: date, run_date: date | None) -> dict[str, object]:
    return {
        "date": on,
        "run_date": run_date,
        "business_id": db.context.business_id,
        "alike": alike(db, "billing"),
        "at_once": AT_ONCE,
    }
