"""When an event that could not be handled is tried again, and when it is left to a person (docs/decisions/0003)."""

import random
from datetime import timedelta

from shared.errors import Later, NotYetKnown, Problem, Reject

LATER_SECONDS = 2
LATER_UNTIL = timedelta(minutes=10)
SCHEDULE_SECONDS = (5, 30, 120, 600, 3600, 6 * 3600)


def next_try(error: Exception, attempts: int, age: timedelta) -> float | None:
    """Seconds until the next try of an event that failed, or None to park it.

    `attempts` counts the scheduled tries so far; `age` is the time since it first failed. What cannot be read is tried
    again like the rest: a newer version may be on its way that can.
    """
    if isinstance(error, Later | NotYetKnown):
        if age < LATER_UNTIL:
            return LATER_SECONDS
    elif isinstance(error, Reject | Problem):
        return None
    if attempts >= len(SCHEDULE_SECONDS):
        return None
    return SCHEDULE_SECONDS[attempts] * random.uniform(0.8, 1.2)  # noqa: S311
