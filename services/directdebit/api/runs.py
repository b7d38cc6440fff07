"""Process Billing: the list of all that is due, confirmed and sent, with its results."""

from datetime import date
from typing import Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import func, select

from services.directdebit.actions import running
from services.directdebit.api.callers import Processor, Reader
from services.directdebit.tables.collections import Run, RunState
from services.directdebit.tables.debits import Debit, State
from shared.database import Db
from shared.http import Page, Paging

router = APIRouter()


class Result(BaseModel):
    """How many debits of a run are in a state, and of how much."""

    state: State
    debits: int
    amount_minor: int


class RunView(BaseModel):
    """A run as it was made; its debits are listed by `GET /debits?run_id=`."""

    run_id: UUID
    run_date: date
    state: RunState
    made_by: str
    confirmed_by: str | None

    @classmethod
    def of(cls, run: Run) -> Self:
        return cls(**{name: getattr(run, name) for name in RunView.model_fields})


class RunResults(RunView):
    """A run, and what became of its debits so far."""

    results: list[Result] = []


@router.post("/runs", status_code=201)
async def list_due(call: Processor, request: Request, response: Response) -> RunResults:
    """Process Billing: list all that is due, a debit per payer. Nothing of it goes out before it is confirmed."""
    run_id = await call.once(running.make_list)
    response.headers["Location"] = f"{request.url.path}/{run_id}"
    return await show_run(run_id, call)


@router.get("/runs")
async def list_runs(call: Reader, paging: Paging, state: RunState | None = None) -> Page[RunView]:
    """The runs of the business, those of each day included."""
    rows = select(Run)
    if state:
        rows = rows.where(Run.state == state)
    async with call.transaction() as db:
        return await paging.page(db, rows, Run.run_id, RunView.of)


@router.get("/runs/{run_id}")
async def show_run(run_id: UUID, call: Reader) -> RunResults:
    """One run, with its results."""
    async with call.transaction() as db:
        run = await running.find_run(db, run_id)
        return RunResults.of(run).model_copy(update={"results": await _results(db, run_id)})


@router.post("/runs/{run_id}/confirm")
async def confirm(run_id: UUID, call: Processor) -> RunResults:
    """Send what is listed."""
    await call.once(running.confirm, run_id)
    return await show_run(run_id, call)


@router.post("/runs/{run_id}/cancel")
async def cancel(run_id: UUID, call: Processor) -> RunResults:
    """Send nothing of what is listed; it stays due."""
    await call.once(running.cancel, run_id)
    return await show_run(run_id, call)


async def _results(db: Db, run_id: UUID) -> list[Result]:
    sums = select(Debit.state, func.count(), func.sum(Debit.amount_minor)).where(Debit.run_id == run_id)
    found = await db.execute(sums.group_by(Debit.state).order_by(Debit.state))
    return [Result(state=state, debits=many, amount_minor=amount) for state, many, amount in found]
