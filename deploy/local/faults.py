"""`./dev faults`: a storm over a whole system, by a seed, and then everything else in `tests/faults`, at length."""

import os
import random
import subprocess
from typing import Annotated

import typer

from deploy.local.checks import python
from deploy.local.servers import ROOT, note
from deploy.local.tests_run import WORKERS

STORM = "tests/faults/test_storm.py"


def faults(
    minutes: Annotated[float, typer.Option(help="How long the storm blows.", min=0.1, max=240)] = 10,
    seed: Annotated[int | None, typer.Option(help="What befalls whom; else a new one.", show_default=False)] = None,
    storm_only: Annotated[bool, typer.Option("--storm-only", help="Leave out the rest.")] = False,
) -> None:
    """Kill, cut and stall the processes, the broker and the databases under load, and see that nothing is lost."""
    seed = random.randrange(10**6) if seed is None else seed  # noqa: S311 - not a secret
    note(f"a storm of {minutes:g} minutes; the same troubles again: ./dev faults --minutes {minutes:g} --seed {seed}")
    environment = {
        **os.environ,
        "PUNCHCARD_AT_LENGTH": "1",
        "PUNCHCARD_STORM_SECONDS": str(minutes * 60),
        "PUNCHCARD_STORM_SEED": str(seed),
    }
    status = subprocess.call(python("pytest", "-q", "-s", STORM), cwd=ROOT, env=environment)
    if not storm_only:
        rest = ("-n", WORKERS, "--dist", "loadgroup", "tests/faults", "--ignore", STORM)
        status |= subprocess.call(python("pytest", *rest), cwd=ROOT, env=environment)
    raise typer.Exit(status)
