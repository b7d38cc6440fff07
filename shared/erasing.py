"""What the plumbing holds of a person who is erased: facts that were told, that wait, or that could not be handled.

Each keeps its id, its number and its place, so that it can be sent again and audited; what may tell who somebody is
becomes neutral (`Event.personal`). So whatever is sent again afterwards brings nothing back.
"""

from uuid import UUID

import orjson
from sqlalchemy import text

from shared.database import Db
from shared.events import TYPES

NEUTRAL = (
    "envelope = cast(jsonb_set(cast(envelope as jsonb), '{data}',"
    "  (cast(envelope as jsonb) -> 'data') || cast(:neutral as jsonb)) as text)"
)
THEIRS = (
    " where business_id = :business_id and type = :type and envelope like '%' || :person_id || '%'"
    "  and envelope not like '%\"causationid\":%'"
)
"""What a fact says because another said so is no person's words: it stays as it is."""
SCRUB = (
    text(f"update outbox set {NEUTRAL}{THEIRS}"),  # noqa: S608 — of our own words
    text(f"update event_log set {NEUTRAL}{THEIRS}"),  # noqa: S608
    text(f"update inbox_failed set error = split_part(error, ':', 1), {NEUTRAL}{THEIRS}"),  # noqa: S608
)
"""The outbox first: what the relay moves meanwhile is found in the log by the next statement."""


async def scrub(db: Db, person_id: UUID) -> None:
    """Make neutral what this database's plumbing holds of a person of the business; again, it changes nothing."""
    for kind in TYPES.values():
        if kind.personal:
            neutral = orjson.dumps(kind.personal).decode()
            about = {"business_id": db.context.business_id, "type": kind.type, "person_id": str(person_id)}
            for statement in SCRUB:
                await db.execute(statement, about | {"neutral": neutral})
