"""The day chain: each date of a business is billed once, in order, by whoever gets to it (docs/decisions/0010)."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import text

from services.billing.actions.falling_due import AT_ONCE, fall_due, open_periods
from services.billing.actions.reminding import remind
from shared import failpoints
from shared.database import Db
from shared.events.billing import DayBilled
from shared.outbox import publish
from shared.work import schedule

BEGIN = text(
    "insert into daily_runs (business_id, last_done, target, since_date, collections_requested)"
    " values (:business_id, :before, :before, :before, 0) on conflict do nothing"
)
RAISE = text(
    "update daily_runs set target = :date, since_date = case when last_done = target then last_done + 1"
    " else since_date end where target < :date"
)
OWN = text("select last_done, target, since_date, collections_requested from daily_runs for update")
COUNT = text("update daily_runs set collections_requested = collections_requested + :requested")
FINISH = text("update daily_runs set last_done = :date, collections_requested = 0")


async def _begin(db: Db) -> None:
    """The first fact about a business begins its days; nothing of that fact's own date has been billed."""
    yesterday = db.today - timedelta(days=1)
    await db.execute(BEGIN, {"business_id": db.context.business_id, "before": yesterday})


async def start_days(db: Db, business_date: date) -> None:
    """All dates up to this one have started: those not yet billed wait to be, oldest first (OE-18)."""
    await _begin(db)
    await db.execute(RAISE, {"date": business_date})
    await schedule(db, "bill_days", db.context.business_id)


async def billed_until(db: Db) -> date:
    """The newest date that has been billed, which stays so until this transaction ends.

    Whoever makes something due asks first, and bills at once what is due by then: the run will not come again.
    Owned rather than shared: those who share a row let each other in before those who wait to own it.
    """
    await _begin(db)
    last_done: date = (await db.execute(OWN)).one().last_done
    return last_done


async def bill_next(db: Db) -> bool:
    """Bill some of what is due on the oldest date that is not finished; return whether there is more to do.

    The row is ours until the transaction ends, so two runs at once, and one that was thought dead, take turns. On the
    newest date payers are reminded of what they owe; dates that are caught up remind nobody.
    """
    run = (await db.execute(OWN)).one_or_none()
    if run is None or run.last_done >= run.target:
        return False
    today = run.last_done + timedelta(days=1)
    db.context = replace(db.context, business_date=today)
    billed, requested = 0, 0
    while billed < AT_ONCE:
        fell, asked = await fall_due(db, today, run_date=today)
        opened, asked_too = await open_periods(db, today, run_date=today)
        billed, requested = billed + fell + opened, requested + asked + asked_too
        if fell + opened:
            continue
        reminded = await remind(db, today, at_once=AT_ONCE) if today == run.target else 0
        billed += reminded
        if not reminded:
            await db.execute(FINISH, {"date": today})
            publish(db, _billed(db, run, today, requested))
            failpoints.hit("day.finished")
            return bool(today < run.target)
    await db.execute(COUNT, {"requested": requested})
    return True


def _billed(db: Db, run: Any, today: date, requested: int) -> DayBilled:
    return DayBilled(
        business_id=db.context.business_id,
        since_date=run.since_date,
        business_date=today,
        current=today == run.target,
        collections_requested=run.collections_requested + requested,
    )
