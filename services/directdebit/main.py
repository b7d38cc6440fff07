"""Directdebit, put together."""

from fastapi import FastAPI

from services.directdebit import api, handlers, invariants, workers
from services.directdebit.tables import Base
from shared.service import Service


class WithProvider(Service):
    """A service whose workers call outside: they find the address and the token with the app that they belong to."""

    def app(self) -> FastAPI:
        made = super().app()
        workers.apps.append(made)
        return made


service = WithProvider(
    "directdebit",
    router=api.router,
    handles=handlers.handles,
    works=workers.works,
    tables=Base.metadata,
    invariants=invariants.INVARIANTS,
    body_limit=2 * 1024 * 1024,
)
