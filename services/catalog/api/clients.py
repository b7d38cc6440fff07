"""The clients of the business."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.catalog import actions
from services.catalog.api.callers import Desk, Keeper, Reader, ReaderOrClient
from services.catalog.api.shapes import Change, View
from services.catalog.tables import Client
from shared.http import Body, Page, Paging
from shared.texts import Email, Line

router = APIRouter()


class NewClient(Body):
    """A person who will use services."""

    name: Line
    email: Email | None = None


class ClientChange(Change):
    """What changes of a client; an inactive one buys and books nothing more."""

    name: Line | None = None
    email: Email | None = None
    active: bool | None = None


class ClientView(View):
    """A client as they are now."""

    client_id: UUID
    name: str
    email: str | None
    active: bool
    erased: bool


@router.post("/clients", status_code=201)
async def add_client(new: NewClient, call: Desk, request: Request, response: Response) -> ClientView:
    """Enter a client, at the desk or in the course of a sale (EZ-01, PB-07)."""
    client_id = await call.once(actions.add, None, Client, **dict(new))
    response.headers["Location"] = f"{request.url.path}/{client_id}"
    return await show_client(client_id, call)


@router.get("/clients")
async def list_clients(
    call: Reader,
    paging: Paging,
    search: Annotated[str, Query(max_length=200, description="beginnings of words of the name or mail address")] = "",
) -> Page[ClientView]:
    """The clients of the business, or those whom the words looked for fit (EZ-01)."""
    async with call.transaction() as db:
        return await paging.page(db, actions.clients_called(search), Client.client_id, ClientView.model_validate)


@router.get("/clients/{client_id}")
async def show_client(client_id: UUID, call: ReaderOrClient) -> ClientView:
    """One client; clients find only themselves."""
    async with call.transaction() as db:
        return ClientView.model_validate(await actions.find(db, Client, client_id, caller=call.caller))


@router.patch("/clients/{client_id}")
async def change_client(client_id: UUID, change: ClientChange, call: Desk) -> ClientView:
    """Change what is sent; `"email": null` takes the address away."""
    async with call.transaction() as db:
        await actions.change(db, client_id, Client, change.changes())
    return await show_client(client_id, call)


@router.post("/clients/{client_id}/erase")
async def erase_client(client_id: UUID, call: Keeper) -> ClientView:
    """Erase who a client is, for good. What they bought, booked, owe and paid stays, under their id."""
    await call.once(actions.erase, client_id)
    return await show_client(client_id, call)
