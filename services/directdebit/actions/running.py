"""Process Billing: all that is due becomes debits, one per payer, set-based; confirmed, they are sent (CC-31)."""

from dataclasses import asdict, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from services.directdebit.actions import alone, bank_days, become, lock
from services.directdebit.rules import errors, runs
from services.directdebit.tables.collections import BilledDay, Run
from services.directdebit.tables.debits import Debit, DebitCancelled
from services.directdebit.tables.mandates import ProviderAccount
from shared import failpoints
from shared.database import Db
from shared.errors import NotFound
from shared.events.billing import DayBilled
from shared.log import log
from shared.outbox import alike
from shared.work import schedule

AT_ONCE = 1000
"""Payers in one statement."""
MOST_MINOR = 9_999_999_999
"""In one debit, the ten digits of a direct-entry row; what is over that waits for the next run."""
STRAGGLERS_FOR = timedelta(minutes=10)
FINAL_AFTER = 3
"""Bank days from the settlement, until when a bank usually takes money back (R-33)."""

COLLECT = text(
    """
with ready as not materialized (
  select c.*, m.mandate_id from collections c join mandates m on m.payer_id = c.payer_id and m.state = 'active'
  where c.next_date <= :date and c.target_minor > 0
    and not exists (select from debits d where d.charge_date = :charge_date and d.payer_id = c.payer_id
      and d.state not in ('cancelled', 'refused'))
    and not exists (select from debit_items i join debits d using (debit_id) where i.instalment_id = c.instalment_id
      and (i.live or d.state = 'in_review'))
), payer as materialized (
  select distinct payer_id from ready order by payer_id limit :at_once
), due as materialized (
  select c.instalment_id, c.payer_id, ready.mandate_id, c.currency, c.target_minor, c.version,
    1 + (select count(*) from debit_items i join debits d using (debit_id)
      where i.instalment_id = c.instalment_id and d.state <> 'cancelled') as attempt_no
  from ready join payer using (payer_id) join collections c using (instalment_id)
  where c.next_date <= :date and c.target_minor > 0 -- once more: the lock may have waited for what changed it
  order by c.instalment_id for update of c
), fits as materialized (
  select * from (
    select due.*, row_number() over of_payer as nth, sum(target_minor) over of_payer as so_far
    from due window of_payer as (partition by payer_id order by instalment_id)
  ) counted where nth = 1 or so_far <= :most_minor
), debit as materialized (
  select new_id() as debit_id, payer_id, mandate_id, currency, sum(target_minor) as amount_minor
  from fits group by payer_id, mandate_id, currency
), run as (
  insert into runs (run_id, business_id, run_date, state, made_by)
  select :run_id, :business_id, :date, :state, :made_by from debit limit 1 on conflict do nothing
), debited as (
  insert into debits (debit_id, business_id, run_id, payer_id, mandate_id, amount_minor, currency, charge_date, state,
    sequence, final, created_date)
  select debit_id, :business_id, :run_id, payer_id, mandate_id, amount_minor, currency, :charge_date, 'created', 0,
    false, :date from debit
), item as (
  insert into debit_items (debit_id, business_id, instalment_id, amount_minor, attempt_no, version, live)
  select debit_id, :business_id, instalment_id, target_minor, attempt_no, version, true
  from fits join debit using (payer_id, mandate_id, currency)
), taken as (
  update collections c set next_date = null from fits where c.instalment_id = fits.instalment_id
), submit as (
  insert into work (kind, subject_id, business_id, context)
  select 'submit', debit_id, :business_id, cast(:context as jsonb) from debit where :state = 'confirmed'
)
select count(*) from debit
"""
)
"""A payer's instalments that are due become one debit, so that nobody is debited twice on a day (R-35)."""

SUBMIT = text(
    "insert into work (kind, subject_id, business_id, context)"
    " select 'submit', debit_id, business_id, cast(:context as jsonb) from debits"
    " where run_id = :run_id and state = 'created' on conflict do nothing"
)
COMPLETE = text(
    "select count(*) = cast(:until as date) - cast(:since as date) + 1 and bool_and(announced <="
    " (select count(*) from collections c where c.run_date = billed_date))"
    " from billed_days where billed_date between :since and :until"
)
NEWEST = text(
    "select billed_date, since_date, now() - heard_at as age from billed_days where since_date is not null"
    " order by billed_date desc limit 1"
)
FORGET = text("delete from billed_days where billed_date <= :date")
FINISH = text(
    """
with old as materialized (
  select debit_id from debits where state = 'settled' and not final and settled_date <= :settled_by
  order by settled_date limit :at_once for update
), finished as (
  update debits set final = true, sequence = sequence + 1 from old where debits.debit_id = old.debit_id
  returning debits.debit_id, sequence, currency, new_id() as event_id
), fact as (
  insert into outbox (event_id, business_id, type, subject, envelope)
  select event_id, :business_id, 'directdebit.debit_settled.v1', debit_id,
    envelope(:alike, event_id, 'directdebit.debit_settled.v1', debit_id, :date, json_build_object(
      'debit_id', debit_id, 'sequence', sequence, 'currency', currency, 'items', (
        select json_agg(json_build_object('instalment_id', instalment_id, 'attempt_no', attempt_no,
          'collected_minor', amount_minor, 'in_flight_minor', 0, 'final', true) order by instalment_id)
        from debit_items where debit_items.debit_id = finished.debit_id)))
  from finished
)
select count(*) from finished
"""
)


async def end_day(db: Db, event: DayBilled) -> None:
    """A day is billed: keep what it announced. Only a day after which none waits lets debits go out."""
    day = {
        "billed_date": event.business_date,
        "announced": event.collections_requested,
        "since_date": event.since_date if event.current else None,
    }
    row = insert(BilledDay).values(business_id=db.context.business_id, **day)
    await db.execute(row.on_conflict_do_nothing())
    if event.current:
        await schedule(db, "run", db.context.business_id)


async def run_day(db: Db, run_id: UUID) -> str:
    """Debit what is due by the newest billed day, some payers at a time; say `done`, `more` or `waits`.

    Not before all that the days announced is here, or ten minutes have passed: who comes later joins the next run.
    """
    await alone(db, "run")
    day = (await db.execute(NEWEST)).one_or_none()
    if day is None:
        return "done"
    today: date = day.billed_date
    db.context = replace(db.context, business_date=today)
    if not await db.scalar(COMPLETE, {"since": day.since_date, "until": today}):
        if day.age < STRAGGLERS_FOR:
            return "waits"
        log.error("collections_missing", business_id=db.context.business_id, billed_date=today)
    days = await bank_days(db, db.business.currency)
    if await _finish(db, days.before(today, FINAL_AFTER)):
        return "more"
    account = await db.get(ProviderAccount, db.context.business_id)
    goes_by_itself = account is not None and account.process_billing == "automatic" and days.is_open(today)
    if goes_by_itself and await _collect(db, run_id, charge_date=today, state="confirmed") == AT_ONCE:
        return "more"
    await db.execute(FORGET, {"date": today})
    failpoints.hit("run.made")
    return "done"


async def make_list(db: Db, run_id: UUID) -> None:
    """List all that is due, for a person to confirm. Raises NoProvider, RunIsOpen or NothingDue."""
    await alone(db, "run")
    if await db.get(ProviderAccount, db.context.business_id) is None:
        raise errors.NoProvider("Put it to /directdebit/v1/provider.")
    if open_run := await db.scalar(select(Run.run_id).where(Run.state == "listed")):
        raise errors.RunIsOpen(f"It is /directdebit/v1/runs/{open_run}.", run_id=open_run)
    charge_date = (await bank_days(db, db.business.currency)).on_or_after(db.today)
    listed = 0
    while made := await _collect(db, run_id, charge_date=charge_date, state="listed"):
        listed += made
    if not listed:
        raise errors.NothingDue("What waits has no mandate, or its payer is debited on that day already.")


async def confirm(db: Db, run_id: UUID) -> None:
    """What is listed goes out. Raises NotFound or NotListed."""
    run = await _locked(db, run_id)
    run.apply(runs.confirm(run, by=db.context.actor))
    await db.flush()
    await db.execute(SUBMIT, {"run_id": run_id, "context": _context(db)})
    db.schedules = True


async def cancel(db: Db, run_id: UUID) -> None:
    """What is listed does not go out, and stays due. Raises NotFound or NotListed."""
    run = await _locked(db, run_id)
    run.apply(runs.cancel(run))
    listed = select(Debit.debit_id).where(Debit.run_id == run_id, Debit.state == "created").order_by(Debit.debit_id)
    for debit_id in (await db.scalars(listed)).all():
        debit = await lock(db, debit_id)
        if debit.state == "created":
            await become(db, debit, DebitCancelled())


async def find_run(db: Db, run_id: UUID) -> Run:
    """A run. Raises NotFound."""
    run = await db.get(Run, run_id)
    if run is None:
        raise NotFound
    return run


async def _locked(db: Db, run_id: UUID) -> Run:
    await alone(db, "run")
    await find_run(db, run_id)
    return await db.get_one(Run, run_id, with_for_update=True, populate_existing=True)


async def _collect(db: Db, run_id: UUID, *, charge_date: date, state: str) -> int:
    """Make debits for some payers of whom something is due; return for how many."""
    given: dict[str, Any] = {
        "run_id": run_id,
        "date": db.today,
        "charge_date": charge_date,
        "state": state,
        "made_by": db.context.actor,
        "business_id": db.context.business_id,
        "context": _context(db),
        "at_once": AT_ONCE,
        "most_minor": MOST_MINOR,
    }
    made: int = (await db.execute(COLLECT, given)).scalar_one()
    db.schedules = True
    return made


async def _finish(db: Db, settled_by: date) -> bool:
    """Make settlements final that are old enough, some at a time; return whether there may be more."""
    given = {"settled_by": settled_by, "date": db.today, "business_id": db.context.business_id, "at_once": AT_ONCE}
    return bool((await db.execute(FINISH, given | {"alike": alike(db, "directdebit")})).scalar_one() == AT_ONCE)


def _context(db: Db) -> str:
    context = {name: str(value) for name, value in asdict(db.context).items() if value is not None}
    return orjson.dumps(context).decode()
