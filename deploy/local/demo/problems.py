"""What is wrong with the demo's files, in sentences that say where and what to write instead."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.demo.shapes import Place

LONGEST = 60


@dataclass(frozen=True)
class Problem:
    """One mistake: where, in which field, and what to do about it."""

    place: Place
    field: str | None
    message: str

    def __str__(self) -> str:
        if self.field is None:
            return f"{self.place} {self.message}"
        return f"{self.place}, {self.field}: {self.message}"


class BadScript(Exception):
    """The input files need to be put right first; nothing was sent."""

    def __init__(self, folder: Path, problems: Sequence[Problem]) -> None:
        self.folder, self.problems = folder, problems
        listed = "\n".join(f"  {problem}" for problem in problems)
        count = "1 thing" if len(problems) == 1 else f"{len(problems)} things"
        super().__init__(f"{count} to put right in {folder}; nothing was sent:\n{listed}")


def shown(written: object) -> str:
    """What was written, as it is repeated to whoever wrote it."""
    text = str(written)
    return f"“{text if len(text) <= LONGEST else text[:LONGEST] + '…'}”"
