"""Notify, put together."""

from fastapi import FastAPI

from services.notify import api, handlers, invariants, workers
from services.notify.tables import Base
from shared.service import Service


class WithMailServer(Service):
    """A service whose workers call outside: they find the mail server with the app that they belong to."""

    def app(self) -> FastAPI:
        made = super().app()
        workers.apps.append(made)
        return made


service = WithMailServer(
    "notify",
    router=api.router,
    handles=handlers.handles,
    works=workers.works,
    tables=Base.metadata,
    invariants=invariants.INVARIANTS,
)
