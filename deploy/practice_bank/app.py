"""Puts the bank together: the books, the courier, the two doors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from deploy.practice_bank import api, practice
from deploy.practice_bank.bank import Bank
from deploy.practice_bank.courier import Courier
from deploy.practice_bank.errors import BadRequest, Invalid, Refused
from deploy.practice_bank.ledger import Ledger

FIRST_PAUSE = timedelta(seconds=1)
LOOKS_AT_THE_DATE_EVERY_SECONDS = 60


def create_app(state_dir: Path, *, first_pause: timedelta = FIRST_PAUSE) -> FastAPI:
    """The bank over the books in `state_dir`; its server must run the lifespan, which opens them and delivers.

    `first_pause` is the wait before a callback is first repeated; each further wait is twice the one before.
    """

    @asynccontextmanager
    async def open_bank(app: FastAPI) -> AsyncIterator[None]:
        ledger = Ledger(state_dir)
        courier = Courier(ledger, first_pause)
        app.state.ledger, app.state.bank = ledger, Bank(ledger, ring=courier.ring)
        going_on = [asyncio.create_task(courier.run()), asyncio.create_task(_let_days_pass(app.state.bank))]
        try:
            yield
        finally:
            for task in going_on:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            ledger.close()

    app = FastAPI(title="Practice bank", lifespan=open_bank, docs_url=None, redoc_url=None)
    app.include_router(api.router)
    app.include_router(practice.router)
    app.exception_handler(Refused)(_refused)
    app.exception_handler(RequestValidationError)(_not_valid)
    return app


async def _let_days_pass(bank: Bank) -> None:
    """In real time days pass by themselves, also those on which the bank did not run."""
    while True:
        bank.live_in_real_time()
        await asyncio.sleep(LOOKS_AT_THE_DATE_EVERY_SECONDS)


async def _refused(request: Request, refused: Refused) -> JSONResponse:
    return JSONResponse(refused.body(), refused.code)


async def _not_valid(request: Request, error: RequestValidationError) -> JSONResponse:
    """A body that is no JSON is a bad request; wrong fields are named, and their values never repeated."""
    problems = error.errors()
    if any(problem["type"] == "json_invalid" for problem in problems):
        return await _refused(request, BadRequest("The body is not JSON"))
    wrong = (("/" + "/".join(map(str, problem["loc"][1:])), problem["msg"]) for problem in problems)
    return await _refused(request, Invalid(*(Invalid.field(*field).errors[0] for field in wrong)))
