"""The figures for people, as one table, and for programs, as JSON."""

import json
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich import box
from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure, Found, Unmeasured

PLAIN_WIDTH = 180


def span(values: Sequence[float]) -> str:
    """Median, and from where to where the rounds went."""
    if not values:
        return ""
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))} to {number(max(values))})"


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def verdict(figure: Figure) -> str:
    if not figure.whole:
        return "part"
    return "met" if figure.met else "MISSED"


def show(found: Sequence[Found], noise: Mapping[str, Sequence[float]], minutes: float) -> None:
    """One table; where there is no terminal, without colours and wide enough."""
    terminal = sys.stdout.isatty()
    console = Console() if terminal else Console(width=PLAIN_WIDTH, no_color=True)
    table = Table(box=box.SIMPLE if terminal else box.ASCII2, title_justify="left")
    for name in ("row", "work", "ours", "unit", "limit", "of it", "goal", "", "limit is / note"):
        table.add_column(name, overflow="fold", no_wrap=name in ("row", "unit", "of it", "goal"))
    for each in found:
        table.add_row(*_cells(each), style="bold red" if isinstance(each, Figure) and verdict(each) == "MISSED" else "")
    console.print(table)
    for what, values in noise.items():
        console.print(f"  the machine's noise: {what} {span(values)}", highlight=False)
    console.print(f"  {machine()}; load {psutil.getloadavg()[0]:.1f}; {minutes:.1f} minutes", highlight=False)


def _cells(each: Found) -> tuple[str, ...]:
    if isinstance(each, Unmeasured):
        return each.row, each.work, "not measured", "", "", "", "", "", each.why
    ratio = "" if each.ratio is None else f"{each.ratio:.2f} x"
    told = ". ".join(part for part in (each.limit_is, each.note) if part)
    goal = each.goal.words(each.unit)
    return each.row, each.work, span(each.ours), each.unit, span(each.limit), ratio, goal, verdict(each), told


def machine() -> str:
    return f"{platform.system()} {platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()}"


def write(file: Path, found: Sequence[Found], noise: Mapping[str, Sequence[float]], versions: dict[str, str]) -> None:
    document: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load": psutil.getloadavg(),
        "versions": versions,
        "noise": noise,
        "rows": [_document(each) for each in found],
    }
    file.write_text(json.dumps(document, indent=1, default=list, ensure_ascii=False) + "\n")


def _document(each: Found) -> dict[str, Any]:
    if isinstance(each, Unmeasured):
        return asdict(each)
    return asdict(each) | {"ratio": each.ratio, "verdict": verdict(each).lower()}
