"""Debits: what was sent, what the provider told of it, and what a person has to look at."""

from datetime import date
from typing import Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import select

from services.directdebit.actions import hearing
from services.directdebit.api.callers import Reader
from services.directdebit.tables import ReasonClass
from services.directdebit.tables.callbacks import ProviderFact
from services.directdebit.tables.debits import Debit, DebitItem, Review, State
from shared.http import Page, Paging

router = APIRouter()


class ItemView(BaseModel):
    """The part of a debit that pays one instalment."""

    instalment_id: UUID
    amount_minor: int
    attempt_no: int

    @classmethod
    def of(cls, item: DebitItem) -> Self:
        return cls(**{name: getattr(item, name) for name in cls.model_fields})


class DebitView(BaseModel):
    """A debit as it is now; `review` says why a person has to look at it."""

    debit_id: UUID
    payer_id: UUID
    mandate_id: UUID
    amount_minor: int
    currency: str
    charge_date: date
    state: State
    run_id: UUID | None
    provider_ref: str | None
    settled_date: date | None
    final: bool
    code: str | None
    reason_class: ReasonClass | None
    review: Review | None
    items: list[ItemView]

    @classmethod
    def of(cls, debit: Debit) -> Self:
        fields = {name: getattr(debit, name) for name in DebitView.model_fields if name != "items"}
        return cls(**fields, items=[ItemView.of(item) for item in debit.items])


class FactView(BaseModel):
    """One thing that the provider told of a debit."""

    event_id: str
    action: str
    cause: str | None
    code: str | None
    occurred_at: AwareDatetime
    business_date: date

    @classmethod
    def of(cls, fact: ProviderFact) -> Self:
        return cls(**{name: getattr(fact, name) for name in cls.model_fields})


class DebitHistory(DebitView):
    """A debit, and all that the provider told of it, in the provider's order."""

    facts: list[FactView] = []


@router.get("/debits")
async def list_debits(
    call: Reader,
    paging: Paging,
    instalment_id: UUID | None = None,
    payer_id: UUID | None = None,
    run_id: UUID | None = None,
    state: State | None = None,
) -> Page[DebitView]:
    """The debits of an instalment, of a payer, of a run, or in a state such as `in_review`."""
    wanted = {"payer_id": payer_id, "run_id": run_id, "state": state}
    rows = select(Debit).filter_by(**{name: value for name, value in wanted.items() if value is not None})
    if instalment_id:
        rows = rows.where(Debit.items.any(DebitItem.instalment_id == instalment_id))
    async with call.transaction() as db:
        return await paging.page(db, rows, Debit.debit_id, DebitView.of)


@router.get("/debits/{debit_id}")
async def show_debit(debit_id: UUID, call: Reader) -> DebitHistory:
    """One debit, with what the provider told of it."""
    async with call.transaction() as db:
        debit, facts = await hearing.find_debit(db, debit_id)
        return DebitHistory.of(debit).model_copy(update={"facts": [FactView.of(fact) for fact in facts]})
