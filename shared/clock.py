"""Business time: the wall clock of one business, real or moved by a test clock (`docs/decisions/`, R-08).

Machine time (leases, retries, deadlines) is the database's `now()` and never passes through here.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field

Day = Annotated[date, Field(ge=date(2000, 1, 1), lt=date(2100, 1, 1))]
"""A date that somebody may ask for: from a wilder one no schedule could be reckoned."""

Instant = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2100, 1, 1, tzinfo=UTC))]
"""An instant that somebody may ask for, with its offset."""


@dataclass(frozen=True)
class BusinessClock:
    """Where a business is, and the instant its test clock stands at, if it has one."""

    zone: str
    test_now: datetime | None = None

    def now(self) -> datetime:
        """The instant it is at the business, in its own zone."""
        return (self.test_now or datetime.now(UTC)).astimezone(ZoneInfo(self.zone))

    def date_of(self, instant: datetime) -> date:
        """The business date on which an instant falls."""
        return instant.astimezone(ZoneInfo(self.zone)).date()
