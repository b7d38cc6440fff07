"""The rows of a bench, in the order of the table."""

from collections.abc import Awaitable, Callable

from tests.bench import (
    booking,
    callbacks,
    due_day,
    due_run,
    half_year,
    history,
    lag,
    pipeline,
    starting,
)
from tests.bench.figures import Found, Unmeasured
from tests.bench.place import Place

Measure = Callable[[Place], Awaitable[list[Found]]]


async def replicas(_: Place) -> list[Found]:
    work, why = (
        "billing by 1, 2 and 4 replicas",
        "Replicas need processors of their own: two are too few to see anything",
    )
    return [Unmeasured("S7", work, why)]


async def files(_: Place) -> list[Found]:
    return [Unmeasured("S9", "a debit run of 100,000 into bank files", "No file format is written yet")]


ROWS: dict[str, Measure] = {
    "S1": booking.measure,
    "S2": pipeline.measure,
    "S4": lag.measure,
    "S5": due_run.measure,
    "S6": due_day.measure,
    "S7": replicas,
    "S8": callbacks.measure,
    "S9": files,
    "S10": history.measure,
    "S11": starting.measure,
    "S12": half_year.measure,
}
"""S3 comes with S2."""
