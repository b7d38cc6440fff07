"""The staff of the business."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import StrictBool
from sqlalchemy import select

from services.catalog import actions
from services.catalog.api.callers import Keeper, Reader
from services.catalog.api.shapes import Change, View
from services.catalog.tables import Staff
from shared.http import Body, Page, Paging
from shared.texts import Line

router = APIRouter()


class NewStaff(Body):
    """A member of staff: one who takes bookings, one who sells, or both."""

    name: Line
    practitioner: StrictBool
    seller: StrictBool
    active: StrictBool = True


class StaffChange(Change):
    """What changes of a member of staff."""

    name: Line | None = None
    practitioner: StrictBool | None = None
    seller: StrictBool | None = None
    active: StrictBool | None = None


class StaffView(View):
    """A member of staff as they are now."""

    staff_id: UUID
    name: str
    practitioner: bool
    seller: bool
    active: bool


@router.post("/staff", status_code=201)
async def add_staff(new: NewStaff, call: Keeper, request: Request, response: Response) -> StaffView:
    """Enter a member of staff."""
    staff_id = await call.once(actions.add, None, Staff, **dict(new))
    response.headers["Location"] = f"{request.url.path}/{staff_id}"
    return await show_staff(staff_id, call)


@router.get("/staff")
async def list_staff(call: Reader, paging: Paging) -> Page[StaffView]:
    """The staff of the business."""
    async with call.transaction() as db:
        return await paging.page(db, select(Staff), Staff.staff_id, StaffView.model_validate)


@router.get("/staff/{staff_id}")
async def show_staff(staff_id: UUID, call: Reader) -> StaffView:
    """One member of staff."""
    async with call.transaction() as db:
        return StaffView.model_validate(await actions.find(db, Staff, staff_id, caller=call.caller))


@router.patch("/staff/{staff_id}")
async def change_staff(staff_id: UUID, change: StaffChange, call: Keeper) -> StaffView:
    """Change what is sent."""
    async with call.transaction() as db:
        await actions.change(db, staff_id, Staff, change.changes())
    return await show_staff(staff_id, call)
