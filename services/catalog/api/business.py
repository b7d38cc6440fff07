"""The profile and the clock of the business."""

from typing import Annotated
from uuid import UUID
from zoneinfo import available_timezones

from fastapi import APIRouter
from pydantic import AfterValidator, AwareDatetime, Field

from services.catalog import actions
from services.catalog.api.callers import Keeper, Reader
from services.catalog.api.shapes import View
from shared.clock import Instant
from shared.http import Body, Call
from shared.money import Currency
from shared.settings import Settings
from shared.texts import Email, Line

router = APIRouter()

ZONES = available_timezones() - {"Factory", "localtime"}
"""The zones of the IANA time zone database; the two left out name no place."""


def _of_iana(zone: str) -> str:
    if zone not in ZONES:
        raise ValueError("write a zone of the IANA time zone database, such as Australia/Sydney")
    return zone


class Profile(Body):
    """Who the business is, where, and in which currency it sells."""

    name: Line
    zone: Annotated[str, AfterValidator(_of_iana)]
    currency: Currency
    email: Email
    test_now: Instant | None = Field(
        None,
        description="with the first description only: the business lives on a test clock, which begins here;"
        " without it, in real time for good",
    )


class ClockSetting(Body):
    """The instant to which the test clock is to move."""

    now: Instant


class BusinessView(View):
    """The business as it is now; `test_now` is null where it lives in real time."""

    business_id: UUID
    name: str
    zone: str
    currency: Currency
    email: str
    test_now: AwareDatetime | None


@router.put("/business")
async def describe_business(profile: Profile, call: Keeper) -> BusinessView:
    """Describe the business of the token: the first time makes it, in real time or on a test clock."""
    async with call.database.transaction() as db:
        await actions.describe_business(db, call.context, production=_in_production(call), **dict(profile))
    return await show_business(call)


@router.get("/business")
async def show_business(call: Reader) -> BusinessView:
    """The business of the token."""
    async with call.database.transaction() as db:
        return BusinessView.model_validate(await actions.find_business(db, call.caller.business_id))


@router.put("/business/clock")
async def move_clock(setting: ClockSetting, call: Keeper) -> BusinessView:
    """Move the test clock of the business forward; one in real time has none."""
    async with call.database.transaction() as db:
        await actions.move_clock(db, call.context, now=setting.now, production=_in_production(call))
    return await show_business(call)


def _in_production(call: Call) -> bool:
    settings: Settings = call.request.app.state.settings
    return settings.environment == "production"
