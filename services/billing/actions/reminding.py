"""Reminders of what is overdue, for thousands of instalments at once: one statement, and no query per row.

The rule of this is `remind`; a property test holds the two to each other.
"""

from datetime import date

from sqlalchemy import text

from services.billing.rules.standing import REMIND_AFTER, REMIND_WHO_IS_DEBITED_AFTER
from shared import failpoints
from shared.database import Db
from shared.outbox import alike

# In the order of their ids, as debits and payments lock instalments: so they cannot deadlock.
REMIND = text(
    """
with due as materialized (
  select i.instalment_id, i.due_date, i.amount_minor - i.paid_minor as open_minor, v.invoice_id, v.number, v.client_id,
    v.payer_id, v.currency, new_id() as event_id
  from instalments i join invoices v using (invoice_id)
  where i.state = 'due' and i.reminded_date is null and i.due_date <= :due_by
    and (i.target_minor = 0 or i.due_date <= :debit_due_by)
    and not exists (select from debit_facts f where f.instalment_id = i.instalment_id)
  order by i.instalment_id limit :at_once
  for update of i
), reminded as (
  update instalments i set reminded_date = :date from due where i.instalment_id = due.instalment_id
), fact as (
  insert into outbox (event_id, business_id, type, subject, envelope)
  select event_id, :business_id, 'billing.instalment_overdue.v1', instalment_id,
    envelope(:alike, event_id, 'billing.instalment_overdue.v1', instalment_id, :date, json_build_object(
      'instalment_id', instalment_id, 'invoice_id', invoice_id, 'invoice_number', number, 'client_id', client_id,
      'payer_id', payer_id, 'due_date', due_date, 'amount_minor', open_minor, 'currency', currency))
  from due
)
select count(*) as reminded from due
"""
)


async def remind(db: Db, on: date, *, at_once: int) -> int:
    """Remind payers of what is overdue on a date, each once and some at a time. Returns of how much they were."""
    given = {
        "date": on,
        "due_by": on - REMIND_AFTER,
        "debit_due_by": on - REMIND_WHO_IS_DEBITED_AFTER,
        "at_once": at_once,
        "business_id": db.context.business_id,
        "alike": alike(db, "billing"),
    }
    reminded: int = (await db.execute(REMIND, given)).scalar_one()
    failpoints.hit("day.reminders")
    return reminded
