"""Copies of what another service owns: full state by its events, the newest sequence wins.

A copy keeps only the columns it uses. It is never a foreign key, and may be behind.
"""

from functools import cache
from typing import Any

from sqlalchemy import Executable, Table, inspect
from sqlalchemy.dialects.postgresql import insert

from shared.database import Db, Row
from shared.events import Event
from shared.plumbing import business


async def keep(db: Db, copy: type[Row] | Table, event: Event) -> None:
    """Store the columns that the copy has of an event's fields; an older event that arrives late changes nothing."""
    table: Any = copy if isinstance(copy, Table) else inspect(copy).local_table
    fields = event.model_dump() | {"business_id": db.context.business_id}
    await db.execute(_newest(table), {column.name: fields[column.name] for column in table.columns})


@cache
def _newest(table: Table) -> Executable:
    """The statement that keeps the newer of two; made once, for making it costs about as much as running it."""
    new = insert(table)
    others = [column.name for column in table.columns if not column.primary_key]
    return new.on_conflict_do_update(
        index_elements=table.primary_key.columns,
        set_={name: new.excluded[name] for name in others},
        where=table.c.sequence <= new.excluded.sequence,
    )


async def keep_business(db: Db, event: Event) -> None:
    """Every service keeps the business: its zone, currency and clock."""
    await keep(db, business, event)
