"""What a bench finds out: a figure beside its limit, of the same run and taken in turns; and how large a run is."""

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

Measured = Awaitable[float]


@dataclass(frozen=True)
class Goal:
    """What a figure shall reach: at least, or at most, so much; of itself, or of its ratio to the limit."""

    value: float
    at_most: bool = False
    of_ratio: bool = True

    def met(self, reached: float) -> bool:
        return reached <= self.value if self.at_most else reached >= self.value

    def words(self, unit: str) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.value:g} {'x' if self.of_ratio else unit}"


@dataclass(frozen=True)
class Figure:
    """One row: each round's figure of ours, and of the limit measured right after it."""

    row: str
    work: str
    unit: str
    ours: Sequence[float]
    goal: Goal
    limit: Sequence[float] = ()
    limit_is: str = ""
    note: str = ""
    whole: bool = True
    """Whether it was of the size that the goal speaks of: a part of it is measured, and neither meets nor misses."""

    @property
    def ratio(self) -> float | None:
        """The median over the rounds, each of which had the same neighbours on the machine."""
        if not self.limit:
            return None
        return statistics.median(our / limit for our, limit in zip(self.ours, self.limit, strict=True))

    @property
    def met(self) -> bool:
        reached = self.ratio if self.goal.of_ratio else statistics.median(self.ours)
        return self.goal.met(reached or 0)


@dataclass(frozen=True)
class Unmeasured:
    """A row of which there is no figure, and why."""

    row: str
    work: str
    why: str


Found = Figure | Unmeasured


@dataclass(frozen=True)
class Sizes:
    """How much of everything: a run of these takes under five minutes on two cores that have nothing else to do."""

    rounds: int = 3
    starts: int = 4
    lines: int = 16
    """Connections that ask at once."""
    bookings: int = 320
    events: int = 4000
    lag_events: int = 150
    due: int = 20_000
    due_whole_day: int = 600
    callbacks: int = 320
    paced: int = 300
    """Callbacks sent at 200 in a second."""
    ledger: tuple[int, int] = (1000, 100_000)
    reads: int = 60
    clients: int = 14
    days: int = 7


USUAL = Sizes()
FULL = Sizes(due=100_000, due_whole_day=5000, ledger=(1000, 1_000_000), clients=50, days=28)
TINY = Sizes(
    rounds=1,
    starts=1,
    lines=2,
    bookings=4,
    events=20,
    lag_events=5,
    due=20,
    due_whole_day=10,
    callbacks=4,
    paced=4,
    ledger=(10, 100),
    reads=2,
    clients=1,
    days=1,
)
"""For the test that all of it still works: no figure means anything."""


@dataclass
class Pairs:
    """Rounds of ours and of the limit, taken in turns."""

    ours: list[float] = field(default_factory=list)
    limit: list[float] = field(default_factory=list)

    async def take(self, rounds: int, ours: Callable[[], Measured], limit: Callable[[], Measured]) -> "Pairs":
        for _ in range(rounds):
            self.ours.append(await ours())
            self.limit.append(await limit())
        return self


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which this part of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]
