"""The profile and the clock of the business."""

from typing import Annotated
from uuid import UUID
from zoneinfo import available_timezones

from fastapi import APIRouter
from pydantic import AfterValidator, AwareDatetime

from services.catalog import actions
from services.catalog.api.callers import Keeper, Reader
from services.catalog.api.shapes import View
from shared.clock import Instant
from shared.http import Body
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


class ClockSetting(Body):
    """The instant at which the test clock is to stand."""

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
    """Describe the business of the token: the first time makes it."""
    async with call.database.transaction() as db:
        await actions.describe_business(db, call.context, **dict(profile))
    return await show_business(call)


@router.get("/business")
async def show_business(call: Reader) -> BusinessView:
    """The business of the token."""
    async with call.database.transaction() as db:
        return BusinessView.model_validate(await actions.find_business(db, call.caller.business_id))


@router.put("/business/clock")
async def move_clock(setting: ClockSetting, call: Keeper) -> BusinessView:
    """Set the test clock of the business, or move it forward; refused in production."""
    settings: Settings = call.request.app.state.settings
    async with call.database.transaction() as db:
        production = settings.environment == "production"
        await actions.move_clock(db, call.context, now=setting.now, production=production)
    return await show_business(call)
