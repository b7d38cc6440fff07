"""What `./dev up` and `./dev demo` keep from run to run, and for whom a token is unless told otherwise."""

import os
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from deploy.local.servers import CACHE
from shared.ids import new_id

STATE = CACHE / "state"
State = Annotated[Path, typer.Option("--state", help="The folder that keeps the data.", show_default=".dev/state")]


def from_caller(path: Path) -> Path:
    """`./dev` works in the project's folder; a relative path is meant from where it was called."""
    return Path(os.environ.get("OLDPWD", "."), path).resolve()


def current_business(state: Path, *, becomes: UUID | None = None) -> UUID:
    """The business of the newest demo, or one that is still to be described."""
    file = state / "business"
    if becomes or not file.exists():
        state.mkdir(parents=True, exist_ok=True)
        file.write_text(str(becomes or new_id()))
    return UUID(file.read_text())
