"""What waits in a service: work that is not done yet, and in directdebit what only a person can settle.

Both are lists for a person who was called: they change nothing.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text

from shared.database import Context, Database
from shared.housekeeping import businesses

WORK = text(
    "select kind, count(*) as pieces, max(attempts) as attempts, date_trunc('second', min(due_at)) as due_at,"
    "  (array_agg(subject_id order by due_at, subject_id))[1] as first_id, coalesce(min(error), '') as error"
    " from work group by kind, split_part(error, ':', 1) order by kind, error"
)
"""By kind and error, as words before the colon; of each the one that is due first."""
FOR_A_PERSON = {
    "directdebit": text(
        "select 'parked' as what, min(fact_id::text) as id, min(business_date) as since_date, concat_ws(' ', resource,"
        "   provider_ref, 'for ' || named_id, string_agg(action, ', ' order by occurred_at, event_id)) as about"
        "  from provider_facts where state = 'parked' group by resource, provider_ref, named_id"
        " union all select 'unread', delivery_id::text, business_date, trouble"
        "  from deliveries where trouble is not null"
        " union all select 'in_review', debit_id::text, charge_date, concat_ws(' ', review, provider_ref, 'of payer',"
        "   payer_id::text) from debits where state = 'in_review'"
        " order by what, since_date, id"
    )
}
"""What the provider told of a payment or mandate that we do not know, callbacks with parts that could not be read, and
debits of which nobody knows what is right."""


async def work(database: Database) -> Sequence[Row[Any]]:
    """The work that is not done yet."""
    async with database.engine.connect() as connection:
        return (await connection.execute(WORK)).all()


async def for_a_person(service: str, database: Database) -> list[tuple[str, Row[Any]]]:
    """What no work will settle, each with its business: their rows are seen from within one business only."""
    if service not in FOR_A_PERSON:
        return []
    found = []
    for business_id in await businesses(database):
        async with database.transaction(Context(business_id, "operator:waiting")) as db:
            found += [(str(business_id), row) for row in await db.execute(FOR_A_PERSON[service])]
    return found
