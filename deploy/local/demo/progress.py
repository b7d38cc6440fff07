"""How far the demo is: a bar on a terminal, else a line for each week."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

SAID = {
    "signed": "mandate{} signed",
    "registered": "mandate{} registered",
    "sold": "package{} sold",
    "booked": "booked",
    "cancelled": "cancelled",
    "attended": "attended",
    "missed": "missed",
    "closed": "closed",
    "renewed": "renewed",
    "paid": "paid at the desk",
    "refused": "refused",
}
"""What is told, in this order."""
FEW = ("sold", "booked", "attended", "cancelled", "closed", "paid")
"""What there is room for beside the bar."""


class Diary:
    """Hears what happens, and shows it."""

    def __init__(self, console: Console, days: Sequence[date], *, weekly: bool = True) -> None:
        self._console, self._days, self._weekly = console, days, weekly
        self._week, self._all = Counter[str](), Counter[str]()
        self._first: date | None = None
        self._bar = Progress(
            TextColumn("  {task.fields[day]:<10}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[done]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=3 * len(days), day="", done="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def tell(self, day: date, part: str, done: Counter[str]) -> None:
        """It is this part of this day, and so much has happened on it."""
        steps = 3 * (day - self._days[0]).days + {"evening": 1, "over": 3}.get(part, 0)
        now = self._all + done
        says = ", ".join(f"{now[what]} {what}" for what in FEW if now[what])
        self._bar.update(self._task, completed=steps, day=f"{day:%a} {day.day} {day:%b}", done=says)
        if part == "over":
            self._over(day, done)

    def _over(self, day: date, done: Counter[str]) -> None:
        self._first = self._first or day
        self._week += done
        self._all += done
        if day.weekday() == 6 or day == self._days[-1]:
            if self._weekly and not self._console.is_terminal:
                span = f"{self._first.day} {self._first:%b} - {day.day} {day:%b}"
                self._console.print(f"  {span:<17}{_said(self._week)}", highlight=False, soft_wrap=True)
            self._first, self._week = day + timedelta(days=1), Counter()


def _said(done: Counter[str]) -> str:
    told = (f"{done[what]} {says.format('' if done[what] == 1 else 's')}" for what, says in SAID.items() if done[what])
    return ", ".join(told) or "nobody came"
