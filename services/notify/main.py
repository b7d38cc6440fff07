"""Notify, put together."""

from services.notify import api, handlers, invariants, workers
from services.notify.tables import FORGETS, Base
from shared.service import Service

service = Service(
    "notify",
    router=api.router,
    handles=handlers.handles,
    works=workers.works,
    tables=Base.metadata,
    invariants=invariants.INVARIANTS,
    forgets=FORGETS,
)
