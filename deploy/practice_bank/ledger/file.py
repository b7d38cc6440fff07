"""The file of the books: opened, or set aside when it has an older layout."""

import json
import sqlite3
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.practice_bank.errors import NotFound

_SCHEMA = Path(__file__).with_name("ledger.sql").read_text()
_SETTINGS = """
    pragma journal_mode = wal;
    pragma synchronous = normal;
    pragma foreign_keys = on;
"""
LAYOUT = 2
"""The number of the layout in `ledger.sql`; books of another one are set aside."""


class BookFile:
    """An open file of books."""

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        file = state_dir / "bank.sqlite3"
        _set_aside_another_layout(file)
        self._db = sqlite3.connect(file)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_SETTINGS + _SCHEMA + f"pragma user_version = {LAYOUT};")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def transaction(self) -> AbstractContextManager[object]:
        """All of it or none of it."""
        return self._db

    def _one(self, query: str, *values: object) -> Any:
        row = self._db.execute(query, values).fetchone()
        if row is None:
            raise NotFound
        return row


def _set_aside_another_layout(file: Path) -> None:
    """Books of another layout are kept under another name, and empty ones begun: they are for practice only."""
    if not file.exists():
        return
    with closing(sqlite3.connect(file)) as books:
        ((layout,),) = books.execute("pragma user_version")
        ((tables,),) = books.execute("select count(*) from sqlite_schema")
    if layout == LAYOUT or not tables:
        return
    for number in range(1, 1000):
        aside = file.with_name(f"{file.name}.layout-{layout}.{number}")
        if not aside.exists():
            break
    for ending in ("", "-wal", "-shm"):
        part = file.with_name(file.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))


def written(instant: datetime) -> str:
    """An instant such that texts sort as the instants do."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parsed(row: sqlite3.Row, column: str) -> dict[str, Any]:
    """The row as a dictionary, with the JSON of one column read."""
    return {**row, column: json.loads(row[column])}


def told_in_json(thing: Any, column: str) -> dict[str, Any]:
    """A row of `rows` as values for a statement, one of them as JSON."""
    return {**vars(thing), column: json.dumps(getattr(thing, column))}
