"""The account with the provider, how billing is processed there, and the days on which its banks are closed."""

import re
from datetime import date
from typing import Annotated

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field, SecretStr, StrictBool

from services.directdebit.actions import accounts, holidays
from services.directdebit.api.callers import Processor, Reader
from services.directdebit.bank import Account
from services.directdebit.tables.mandates import ProcessBilling
from shared.clock import Day
from shared.http import Body, Page
from shared.texts import Line

router = APIRouter()


def _printable(token: SecretStr) -> SecretStr:
    """A token must fit into a header; what is wrong with one is never said by quoting it."""
    if not re.fullmatch(r"[\x21-\x7e]{8,500}", token.get_secret_value()):
        raise ValueError("a token has 8 to 500 characters, letters, digits and signs without spaces")
    return token


def _writable(secret: SecretStr) -> SecretStr:
    """A secret must have bytes to sign with."""
    try:
        secret.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("a secret is text without lone surrogates") from None
    return secret


class NewAccount(Body):
    """The business's own account with the provider. Both are kept sealed, and never shown again."""

    access_token: Annotated[SecretStr, AfterValidator(_printable)]
    callback_secrets: Annotated[
        list[Annotated[SecretStr, Field(min_length=16, max_length=500), AfterValidator(_writable)]],
        Field(min_length=1, max_length=2),
    ]
    """Two while one is being rolled: the new one first, so that the metric of callbacks tells the old one as 2."""
    same_account: StrictBool = False
    """The token is a new one of the account that is connected already; else no debit may be under way there."""


class AccountView(BaseModel):
    """Where the provider shall send its callbacks."""

    callback_path: str


@router.put("/provider")
async def connect_provider(new: NewAccount, call: Processor) -> AccountView:
    """Connect the business to its account with the provider; again, to roll its token or secrets."""
    seal = call.request.app.state.settings.seal()
    secrets = tuple(secret.get_secret_value() for secret in new.callback_secrets)
    async with call.transaction() as db:
        account = Account(new.access_token.get_secret_value(), secrets)
        await accounts.keep(db, seal, account, same_account=new.same_account)
    return AccountView(callback_path=f"/directdebit/v1/providers/{call.caller.business_id}/callbacks")


class Processing(Body):
    """`automatic`: what is due goes out each bank day. `reviewed`: when a person has confirmed the list."""

    process_billing: ProcessBilling


@router.put("/provider/processing")
async def choose_processing(chosen: Processing, call: Processor) -> Processing:
    """Choose whether debits go out by themselves, or only when somebody confirms Process Billing (CC-33)."""
    async with call.transaction() as db:
        await accounts.process_billing(db, chosen.process_billing)
    return chosen


class BankDay(Body):
    """Whether the bank is closed on a day, and why."""

    closed: StrictBool
    name: Line


class BankDayView(BaseModel):
    """A day on which the bank is closed, or open where the calendar has a holiday."""

    day: date
    closed: bool
    name: str


@router.get("/bank-holidays")
async def list_bank_holidays(
    call: Reader, year: Annotated[int | None, Field(ge=2000, le=2099)] = None
) -> Page[BankDayView]:
    """The weekdays of a year, or of this one, on which no debit moves; and the days that people have put right."""
    async with call.transaction() as db:
        found = await holidays.of_year(db, year or db.today.year)
    return Page(items=[BankDayView(day=day, closed=closed, name=name) for day, closed, name in found])


@router.put("/bank-holidays/{day}")
async def set_bank_holiday(day: Day, told: BankDay, call: Processor) -> BankDayView:
    """Put the calendar right: a one-off holiday, or a day that is none."""
    async with call.transaction() as db:
        await holidays.put_right(db, day, closed=told.closed, name=told.name)
    return BankDayView(day=day, closed=told.closed, name=told.name)
