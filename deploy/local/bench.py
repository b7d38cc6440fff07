"""`./dev bench`: how fast it is, each figure beside its limit on this machine and in this run."""

import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.checks import python
from deploy.local.running.state import from_caller
from deploy.local.servers import ROOT


def bench(
    rows: Annotated[list[str] | None, typer.Argument(help="Such as S1 S8; else all.", show_default=False)] = None,
    full: Annotated[
        bool, typer.Option("--full", help="The sizes that the goals speak of, where they are larger.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Also write the figures to a file.", show_default=False)] = None,
) -> None:
    """Measure bookings, events, billing, callbacks and starting, each beside its limit: under five minutes."""
    options = [*(["--full"] if full else []), *(["--json", str(from_caller(json))] if json else [])]
    raise typer.Exit(subprocess.call(python("tests.bench", *(rows or []), *options), cwd=ROOT, env=dict(os.environ)))
