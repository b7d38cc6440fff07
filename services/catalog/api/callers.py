"""Who may come through catalog's doors."""

from typing import Annotated, Any

from fastapi import Depends

from shared.errors import Forbidden
from shared.http import Call, Permitted, Signed


def _any_of(*permissions: str, clients: bool = False) -> Any:
    """A call by staff with at least one of some permissions; by clients too, where `clients` is set."""

    async def permitted(call: Signed) -> Call:
        if not (call.caller.permissions.intersection(permissions) or (clients and call.caller.is_client)):
            raise Forbidden(f"Ask for a token with one of these: {', '.join(permissions)}.", permissions=permissions)
        return call

    return Depends(permitted)


WORKING = ("catalog.manage", "package.sell", "booking.manage", "report.view")

Keeper = Annotated[Call, Permitted("catalog.manage")]
Desk = Annotated[Call, _any_of("catalog.manage", "package.sell")]
Reader = Annotated[Call, _any_of(*WORKING)]
ReaderOrClient = Annotated[Call, _any_of(*WORKING, clients=True)]
