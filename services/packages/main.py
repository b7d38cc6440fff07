"""Packages, put together."""

from services.packages import api, handlers, invariants
from services.packages.tables import Base
from shared.service import Service

service = Service(
    "packages",
    router=api.router,
    handles=handlers.handles,
    tables=Base.metadata,
    invariants=invariants.INVARIANTS,
)
