"""Billing, put together."""

from services.billing import api, handlers, invariants, workers
from services.billing.tables.packages import Base
from shared.service import Service

service = Service(
    "billing",
    router=api.router,
    handles=handlers.handles,
    works=workers.works,
    tables=Base.metadata,
    invariants=invariants.INVARIANTS,
)
