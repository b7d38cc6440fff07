"""What `./dev up` and `./dev demo` keep, where what runs is, and for whom a token is unless told otherwise."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated
from uuid import UUID

import psutil
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


@dataclass(frozen=True)
class Addresses:
    """Where the parts of a running system are, for another process of the same user."""

    urls: dict[str, str]
    database_urls: dict[str, str]
    bank_url: str
    mail_url: str = ""
    pid: int | None = None
    """The process that keeps all of it running; None where a test does."""
    began: float = 0
    """When that process was created: another may have its number by now."""

    def alive(self) -> bool:
        """Whether the process that keeps it running is there; a test's is."""
        if self.pid is None:
            return True
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            return bool(abs(process.create_time() - self.began) < 1 and process.status() != psutil.STATUS_ZOMBIE)
        return False


@contextmanager
def noted(state: Path, addresses: Addresses) -> Iterator[None]:
    """Leave the addresses in the state folder while the system runs; they hold passwords, so nobody else may read."""
    file = _running(state)
    file.unlink(missing_ok=True)  # what a killed run left may have another mode
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump(asdict(addresses), opened)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def read_addresses(state: Path) -> Addresses | None:
    """Where the system of this state folder runs; None where none does, or it was killed."""
    file = _running(state)
    if not file.exists():
        return None
    found = Addresses(**json.loads(file.read_text()))
    return found if found.alive() else None


def _running(state: Path) -> Path:
    return state / "running.json"
