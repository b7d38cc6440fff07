"""Failed events in a person's hands: look at them, have them tried again, or leave them be.

Whatever a person does to them is written down: who, when, why, and to which.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, text

from shared.database import Database
from shared.inbox import parse

Act = Literal["replay", "park"]
UNREADABLE = "unreadable"
GROUPS = text(
    "select type, split_part(error, ':', 1) as error, count(*) as events,"
    "  count(*) filter (where next_attempt_at is null) as parked,"
    "  date_trunc('second', now() - min(first_failed_at)) as oldest,"
    "  date_trunc('second', now() - max(first_failed_at)) as newest,"
    "  (array_agg(event_id order by first_failed_at, event_id))[1] as oldest_id"
    " from inbox_failed group by 1, 2"
    " union all select type, 'not confirmed by the bus', count(*), 0,"
    "  date_trunc('second', now() - min(created_at)), date_trunc('second', now() - max(created_at)), null"
    " from outbox where attempts > 0 group by 1 order by 1, 2"
)
FOUND = text("select * from inbox_failed where event_id = :id")
ACTS = text("select * from interventions where :id = any(event_ids) order by intervention_id")
CHOSEN = (
    " where (cast(:id as uuid) is null or event_id = :id) and (cast(:type as text) is null or type = :type)"
    "  and (cast(:error as text) is null or split_part(error, ':', 1) = :error)"
)
"""What is not given chooses all."""
REPLAY = "set next_attempt_at = now(), attempts = 0" + CHOSEN + " and business_id is not null"
PARK = "set next_attempt_at = null" + CHOSEN + " and next_attempt_at is not null"
CHANGE = {
    act: text(
        "with changed as (update inbox_failed " + change + " returning event_id)"  # noqa: S608 — of our own words
        " insert into interventions (act, done_by, why, event_ids)"
        " select :act, :by, :why, array_agg(event_id) from changed having count(*) > 0"
        " returning cardinality(event_ids)"
    )
    for act, change in (("replay", REPLAY), ("park", PARK))
}
KEEP = text(
    "insert into inbox_failed (event_id, business_id, type, envelope, error, attempts)"
    " select :event_id, :business_id, :type, :envelope, :error, 0"
    " where not exists (select from inbox where event_id = :event_id) on conflict (event_id) do nothing"
)
"""Parked, unless it is known here: handled meanwhile, or set aside already."""


@dataclass(frozen=True)
class Chosen:
    """Which of the failed events: one, those of a type, those with an error (its words before the colon), or both."""

    id: UUID | None = None
    type: str | None = None
    error: str | None = None


async def groups(database: Database) -> Sequence[Row[Any]]:
    """What waits, by type and error: how many, how many of them for a person, since when, and the id of the oldest."""
    async with database.engine.connect() as connection:
        return (await connection.execute(GROUPS)).all()


async def find(database: Database, event_id: UUID) -> dict[str, Any] | None:
    """A failed event with its envelope, and what people did to it."""
    async with database.engine.connect() as connection:
        row = (await connection.execute(FOUND, {"id": event_id})).one_or_none()
        acts = (await connection.execute(ACTS, {"id": event_id})).all()
    return dict(row._mapping) | {"interventions": [dict(act._mapping) for act in acts]} if row else None


async def act(database: Database, what: Act, chosen: Chosen, *, by: str, why: str) -> int:
    """Have events tried again from now on, by the whole schedule; or not any more. How many they were."""
    async with database.engine.begin() as connection:
        changed = await connection.scalar(CHANGE[what], asdict(chosen) | {"act": what, "by": by, "why": why})
    return changed or 0


async def keep(database: Database, body: bytes, error: str, ours: bool) -> None:
    """Park the events of a message that a broker gave up; what nobody can read, or is not `ours`, is kept as bytes.

    Doing it twice is doing it once: the bytes themselves name the row.
    """
    rows: list[dict[str, object]]
    try:
        if not ours:
            raise ValueError("of no subscriber")
        rows = [
            {"event_id": each.id, "business_id": each.businessid, "type": each.type, "envelope": each.text()}
            for each in parse(body)
        ]
    except ValueError:
        its_id, as_text = UUID(bytes=sha256(body).digest()[:16]), b64encode(body).decode()
        rows = [{"event_id": its_id, "business_id": None, "type": UNREADABLE, "envelope": as_text}]
    async with database.engine.begin() as connection:
        for row in rows:
            await connection.execute(KEEP, row | {"error": error})
