"""Mandates: recorded where the payer gave them at the provider's page, or registered with the provider from here."""

import re
from datetime import date
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, BaseModel, Field, SecretStr
from sqlalchemy import select

from services.directdebit.actions import mandates
from services.directdebit.api.callers import Keeper, KeeperOrClient
from services.directdebit.bank import PayerAccount
from services.directdebit.tables.mandates import Mandate, MandateState
from shared.errors import NotFound
from shared.http import Body, Page, Paging, Waiting
from shared.texts import Line

router = APIRouter()


def _digits(pattern: str) -> AfterValidator:
    """A part of an account has a form; what was sent is never repeated."""

    def check(value: SecretStr) -> SecretStr:
        if not re.fullmatch(pattern, value.get_secret_value()):
            raise ValueError(f"must be of the form {pattern}")
        return value

    return AfterValidator(check)


class NewMandate(Body):
    """A mandate that the payer gave at the provider's own page. Nothing else of the account may be sent here."""

    payer_id: UUID
    provider_mandate: Annotated[str, Field(pattern="^MD[0-9A-Za-z]{3,40}$")]
    account_ending: Annotated[str, Field(pattern="^[0-9]{2,4}$", description="the last digits, for people to tell")]


class Registration(Body):
    """The account that a payer lets be debited. It is kept sealed until the provider has it, and then forgotten."""

    payer_id: UUID
    account_holder: Line
    branch_code: Annotated[SecretStr, _digits("[0-9]{3}-?[0-9]{3,6}")]
    account_number: Annotated[SecretStr, _digits("[0-9]{5,17}")]


class MandateView(BaseModel):
    """A mandate as it is now; of the account only the ending."""

    mandate_id: UUID
    payer_id: UUID
    provider_mandate: str | None
    account_ending: str
    state: MandateState
    recorded_date: date

    @classmethod
    def of(cls, mandate: Mandate) -> Self:
        return cls(**{name: getattr(mandate, name) for name in cls.model_fields})


@router.post("/mandates", status_code=201)
async def record_mandate(new: NewMandate, call: Keeper, request: Request, response: Response) -> MandateView:
    """Keep a mandate given at the provider's page. It replaces the payer's earlier one; what waited goes out."""
    mandate_id = await call.once(mandates.record_mandate, None, **dict(new))
    response.headers["Location"] = f"{request.url.path}/{mandate_id}"
    return await show_mandate(mandate_id, call)


@router.post("/mandates/register", status_code=201, responses={202: {"model": MandateView}})
async def register(
    new: Registration, call: KeeperOrClient, waiting: Waiting, request: Request, response: Response
) -> MandateView:
    """Register a payer with the provider: no form is sent. 202 while the provider has not answered.

    A client registers their own account. `failed`: the provider does not take it.
    """
    if call.caller.client_id not in (None, new.payer_id):
        raise NotFound
    account = PayerAccount(
        new.account_holder,
        new.branch_code.get_secret_value(),
        new.account_number.get_secret_value(),
    )
    seal = call.request.app.state.settings.seal()
    mandate_id = await call.once(mandates.register, None, payer_id=new.payer_id, account=account, seal=seal)
    mandate = await call.wait(
        mandate_id,
        lambda db: mandates.find_mandate(db, mandate_id, client_id=call.caller.client_id),
        lambda mandate: mandate.state != "pending",
        waiting,
    )
    response.headers["Location"] = f"{request.url.path.removesuffix('/register')}/{mandate_id}"
    if mandate.state == "pending":
        response.status_code = 202
        response.headers["Retry-After"] = "1"
    return MandateView.of(mandate)


@router.get("/mandates")
async def list_mandates(call: KeeperOrClient, paging: Paging, payer_id: UUID | None = None) -> Page[MandateView]:
    """The mandates of a payer, or of the business; a client sees their own."""
    rows = select(Mandate)
    if wanted := call.caller.client_id or payer_id:
        rows = rows.where(Mandate.payer_id == wanted)
    async with call.transaction() as db:
        return await paging.page(db, rows, Mandate.mandate_id, MandateView.of)


@router.get("/mandates/{mandate_id}")
async def show_mandate(mandate_id: UUID, call: KeeperOrClient) -> MandateView:
    """One mandate."""
    async with call.transaction() as db:
        return MandateView.of(await mandates.find_mandate(db, mandate_id, client_id=call.caller.client_id))
