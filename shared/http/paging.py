"""Lists in pages, by a cursor that stays true while rows are added: the id of the last one seen."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from shared.database import Db

T = TypeVar("T")
R = TypeVar("R")


class Page(BaseModel, Generic[T]):
    """Some items in the order they were made, and the cursor of the next page while there is one."""

    items: list[T]
    next_cursor: UUID | None = None


class _Paging:
    """Where a page starts, and how many items it may have."""

    def __init__(
        self,
        cursor: Annotated[UUID | None, Query(description="next_cursor of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> None:
        self.cursor, self.limit = cursor, limit

    async def page(self, db: Db, rows: Select[Any], by: InstrumentedAttribute[UUID], view: Callable[[R], T]) -> Page[T]:
        """A page of the rows of a select. One more than asked for is read, to know whether there is a next page."""
        if self.cursor:
            rows = rows.where(by > self.cursor)
        found: Sequence[Any] = (await db.scalars(rows.order_by(by).limit(self.limit + 1))).all()
        shown = found[: self.limit]
        more = len(found) > self.limit
        return Page(items=[view(row) for row in shown], next_cursor=getattr(shown[-1], by.key) if more else None)


Paging = Annotated[_Paging, Depends(_Paging)]
