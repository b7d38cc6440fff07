"""The services of the business: what can be sold and booked."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field, StrictBool
from sqlalchemy import select

from services.catalog import actions
from services.catalog.api.callers import Keeper, ReaderOrClient
from services.catalog.api.shapes import Change, View
from services.catalog.tables import LONGEST_DAY_MINUTES, OfferedService
from shared.http import Body, Page, Paging
from shared.texts import Line

router = APIRouter()

Minutes = Annotated[int, Field(ge=1, le=LONGEST_DAY_MINUTES)]


class NewService(Body):
    """A kind of session, and how long one takes."""

    name: Line
    minutes: Minutes
    active: StrictBool = True


class ServiceChange(Change):
    """What changes of a service; an inactive one is in no new template and is not booked."""

    name: Line | None = None
    minutes: Minutes | None = None
    active: StrictBool | None = None


class ServiceView(View):
    """A service as it is now."""

    service_id: UUID
    name: str
    minutes: int
    active: bool


@router.post("/services", status_code=201)
async def add_service(new: NewService, call: Keeper, request: Request, response: Response) -> ServiceView:
    """Enter a service (EZ-06)."""
    service_id = await call.once(actions.add, None, OfferedService, **dict(new))
    response.headers["Location"] = f"{request.url.path}/{service_id}"
    return await show_service(service_id, call)


@router.get("/services")
async def list_services(call: ReaderOrClient, paging: Paging) -> Page[ServiceView]:
    """The services of the business; clients find those on offer."""
    rows = select(OfferedService)
    if call.caller.is_client:
        rows = rows.where(OfferedService.active)
    async with call.transaction() as db:
        return await paging.page(db, rows, OfferedService.service_id, ServiceView.model_validate)


@router.get("/services/{service_id}")
async def show_service(service_id: UUID, call: ReaderOrClient) -> ServiceView:
    """One service."""
    async with call.transaction() as db:
        return ServiceView.model_validate(await actions.find(db, OfferedService, service_id, caller=call.caller))


@router.patch("/services/{service_id}")
async def change_service(service_id: UUID, change: ServiceChange, call: Keeper) -> ServiceView:
    """Change what is sent."""
    async with call.transaction() as db:
        await actions.change(db, service_id, OfferedService, change.changes())
    return await show_service(service_id, call)
