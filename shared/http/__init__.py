"""The web door, the same for every service: who calls, once only, problems as documents, pages, limits, health."""

from shared.http.calls import Body, Call, Permitted, Signed, Waiting
from shared.http.paging import Page, Paging

__all__ = ["Body", "Call", "Page", "Paging", "Permitted", "Signed", "Waiting"]
