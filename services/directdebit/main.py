"""Directdebit, put together."""

from services.directdebit import api, handlers, invariants, workers
from services.directdebit.tables import Base
from services.directdebit.tables.callbacks import FORGETS
from shared.service import Service

service = Service(
    "directdebit",
    router=api.router,
    handles=handlers.handles,
    works=workers.works,
    tables=Base.metadata,
    invariants=invariants.INVARIANTS,
    forgets=FORGETS,
    body_limit=2 * 1024 * 1024,
)
