"""How far the demo is: a bar on a terminal, else a line for each day."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

SAID = {"signed": "mandate{} signed", "sold": "package{} sold"}
"""What is not clear from the verb alone."""


class Diary:
    """Hears what happens, and shows it."""

    def __init__(self, console: Console, days: Sequence[date]) -> None:
        self._console, self._days = console, days
        self._bar = Progress(
            TextColumn("  {task.fields[day]:<20}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            TextColumn("{task.fields[done]}"),
            console=console,
            transient=True,
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
        says = ", ".join(
            f"{number} {SAID.get(what, what).format('' if number == 1 else 's')}" for what, number in done.items()
        )
        if part == "over":
            self._console.print(f"  {day:%a} {day.day:>2} {day:%b}   {says or 'nothing'}", highlight=False)
        steps = 3 * self._days.index(day) + {"evening": 1, "over": 3}.get(part, 0)
        self._bar.update(self._task, completed=steps, day=f"{day:%a} {day.day} {day:%b}, {part}", done=says)
