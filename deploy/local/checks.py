"""`./dev check`: the only definition of good, for hand, hook and CI."""

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import typer

from deploy.local.servers import ROOT


@dataclass(frozen=True)
class Step:
    """One check: a command that is silent about itself and ends with 0 when all is well."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What a step came to."""

    step: Step
    passed: bool
    seconds: float
    output: str


def python(*words: str) -> tuple[str, ...]:
    """A command of the project's own Python, wherever the project lies."""
    return (sys.executable, "-m", *words)


def static_steps() -> list[Step]:
    """The checks that run nothing of ours."""
    steps = [
        Step("format", python("ruff", "format", "--check", "--quiet")),
        Step("lint", python("ruff", "check", "--quiet")),
        Step("types", python("mypy", "--no-error-summary")),
    ]
    if (ROOT / ".importlinter").exists() or "[tool.importlinter]" in (ROOT / "pyproject.toml").read_text():
        steps.append(Step("boundaries", (sys.executable, str(Path(sys.executable).with_name("lint-imports")))))
    return steps


def run_steps(steps: Sequence[Step]) -> bool:
    """Run them side by side, a line for each as it ends and the full output of those that fail."""
    with ThreadPoolExecutor(len(steps)) as pool:
        passed = [_report(done.result()) for done in as_completed(pool.submit(_run, step) for step in steps)]
    return all(passed)


def check() -> None:
    """Format, lint, types, boundaries and the tests that need no server: under a minute."""
    fast = Step("fast tests", python("pytest", "-q", "-m", "not servers", "--no-header"))
    if not run_steps([*static_steps(), fast]):
        raise typer.Exit(1)


def _run(step: Step) -> Outcome:
    began = time.monotonic()
    done = subprocess.run(
        step.command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return Outcome(step, done.returncode == 0, time.monotonic() - began, done.stdout)


def _report(outcome: Outcome) -> bool:
    print(f"{'ok  ' if outcome.passed else 'FAIL'}  {outcome.step.name:<12}{outcome.seconds:6.1f} s", flush=True)
    if not outcome.passed:
        print(outcome.output, flush=True)
    return outcome.passed
