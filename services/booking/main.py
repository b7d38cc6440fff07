"""Booking, put together."""

from services.booking import api, handlers, invariants, workers
from services.booking.tables import Base
from shared.service import Service

service = Service(
    "booking",
    router=api.router,
    handles=handlers.handles,
    works=workers.works,
    tables=Base.metadata,
    invariants=invariants.INVARIANTS,
)
