"""What billing wants collected, and how far it is."""

from datetime import date
from typing import Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import undefer

from services.directdebit.actions import collecting
from services.directdebit.api.callers import Processor, Reader
from services.directdebit.tables.collections import Collection
from shared.http import Page, Paging

router = APIRouter()


class CollectionView(BaseModel):
    """What billing wants collected of an instalment, and how much of it is neither collected nor on its way.

    `next_date`: from then on the next run takes it; none while it is on its way, or waits for a person.
    """

    instalment_id: UUID
    payer_id: UUID
    version: int
    target_minor: int
    remaining_minor: int
    currency: str
    collect_date: date
    next_date: date | None

    @classmethod
    def of(cls, collection: Collection) -> Self:
        fields = {name: getattr(collection, name) for name in cls.model_fields if name != "remaining_minor"}
        return cls(**fields, remaining_minor=max(collection.target_minor - collection.live_minor, 0))


@router.get("/collections")
async def list_collections(
    call: Reader, paging: Paging, payer_id: UUID | None = None, waiting: bool | None = None
) -> Page[CollectionView]:
    """What billing wants collected; `waiting=true`: what is neither collected nor on its way."""
    rows = select(Collection).options(undefer(Collection.live_minor))
    if payer_id:
        rows = rows.where(Collection.payer_id == payer_id)
    if waiting is not None:
        waits = Collection.target_minor > Collection.live_minor
        rows = rows.where(waits if waiting else ~waits)
    async with call.transaction() as db:
        return await paging.page(db, rows, Collection.instalment_id, CollectionView.of)


@router.get("/collections/{instalment_id}")
async def show_collection(instalment_id: UUID, call: Reader) -> CollectionView:
    """What billing wants collected of one instalment."""
    async with call.transaction() as db:
        return CollectionView.of(await collecting.find_collection(db, instalment_id))


@router.post("/collections/{instalment_id}/retry")
async def try_again(instalment_id: UUID, call: Processor) -> CollectionView:
    """Let the next run debit an instalment once more whose debit failed, though nothing would by itself."""
    await call.once(collecting.try_again, instalment_id)
    return await show_collection(instalment_id, call)
