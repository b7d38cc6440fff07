"""`./dev behaviours`: how many of the behaviours in `docs/behaviours.md` the stories have proven."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import typer

from deploy.local.servers import ROOT

DOCUMENT = Path("docs/behaviours.md")
PROVEN = Path(".dev/proven.json")

SOURCES = {
    "EZ": "EZFacility",
    "FSP": "Flight Schedule Pro",
    "CC": "ClientConnect 4.3",
    "PB": "Practice Better",
    "OE": "ClientConnect 5.1",
}
_ROW = re.compile(rf"^\| ((?:{'|'.join(SOURCES)})-\d\d) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Behaviour:
    """One row of the document. The first of `services` owns the fact."""

    id: str
    text: str
    services: tuple[str, ...]

    @property
    def source(self) -> str:
        return self.id.partition("-")[0]


def read_behaviours(root: Path = ROOT) -> list[Behaviour]:
    """All rows of the document, in its order."""
    text = (root / DOCUMENT).read_text(encoding="utf-8")
    return [Behaviour(row[0], row[1], tuple(row[2].split(", "))) for row in _ROW.findall(text)]


def read_proven(root: Path = ROOT) -> dict[str, list[str]] | None:
    """The proven ids with the tests that prove them, as `tests/proven.py` wrote them; None before the first run."""
    try:
        proven: dict[str, list[str]] = json.loads((root / PROVEN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return proven


def spans(ids: Iterable[str]) -> str:
    """`EZ-01 EZ-02 EZ-03 EZ-07` → `01-03 07`."""
    numbers = sorted(int(each.partition("-")[2]) for each in ids)
    runs = [[n for _, n in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return " ".join(f"{run[0]:02}" if len(run) == 1 else f"{run[0]:02}-{run[-1]:02}" for run in runs)


def print_behaviours(root: Path = ROOT) -> int:
    """Print what the stories have proven. The exit status is 1 when none has been run yet, else 0."""
    known = read_behaviours(root)
    proven = read_proven(root)
    if proven is None:
        print("No story has been run yet: ./dev test")
        return 1
    print(f"proven {sum(b.id in proven for b in known)} of {len(known)}")
    for source, name in SOURCES.items():
        ids = [b.id for b in known if b.source == source]
        done = [each for each in ids if each in proven]
        rest = [each for each in ids if each not in proven]
        print(f"\n{source:<4}{name:<20}{len(done):>3} of {len(ids)}")
        print(f"    proven      {spans(done) or '-'}")
        print(f"    not proven  {spans(rest) or '-'}")
    return 0


def behaviours() -> None:
    """Count the behaviours of docs/behaviours.md that the stories have proven."""
    raise typer.Exit(print_behaviours())
