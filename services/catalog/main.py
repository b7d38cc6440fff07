"""Catalog, put together."""

from services.catalog import api, invariants, workers
from services.catalog.tables import Base
from shared.handlers import Handlers
from shared.service import Service

service = Service(
    "catalog",
    router=api.router,
    handles=Handlers(),
    works=workers.works,
    tables=Base.metadata,
    invariants=invariants.INVARIANTS,
)
