"""Who may come through catalog's doors."""

from typing import Annotated

from shared.http import Call, Permitted

WORKING = ("catalog.manage", "package.sell", "booking.manage", "report.view")

Keeper = Annotated[Call, Permitted("catalog.manage")]
Desk = Annotated[Call, Permitted("catalog.manage", "package.sell")]
Reader = Annotated[Call, Permitted(*WORKING)]
ReaderOrClient = Annotated[Call, Permitted(*WORKING, clients=True)]
