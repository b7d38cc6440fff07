"""Catalog, put together."""

from services.catalog import api, invariants
from services.catalog.tables import Base
from shared.inbox import Handlers
from shared.service import Service

service = Service(
    "catalog",
    router=api.router,
    handles=Handlers(),
    tables=Base.metadata,
    invariants=invariants.INVARIANTS,
)
