"""`./dev status`, `restart` and `stop`: what another terminal may ask of the system that `./dev up` runs."""

import json
import os
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from deploy.local.running import here
from deploy.local.running.fleet import Condition, Fleet
from deploy.local.running.state import STATE, Addresses, State, from_caller, read_addresses
from deploy.local.running.system import SERVICES
from deploy.local.servers import ServerFailed, wait_for
from shared.ids import new_id

STOP_SECONDS = 150
ROLL_SECONDS = 90
"""For each process: a new one becomes ready, the old one finishes what it has in hand."""


@dataclass
class News:
    """What the running system tells of itself, in a file of its state folder."""

    replicas: list[Condition] = field(default_factory=list)
    followed: dict[str, str] = field(default_factory=dict)
    """Each order to restart that has been followed, and what kept it from being followed to its end."""

    @classmethod
    def read(cls, state: Path) -> "News":
        found = json.loads((state / "fleet.json").read_text())
        return cls([Condition(**each) for each in found["replicas"]], found["followed"])

    def write(self, state: Path) -> None:
        new = state / "fleet.json.new"
        new.write_text(json.dumps(asdict(self)))
        new.rename(state / "fleet.json")


class Orders:
    """The running side: SIGTERM stops, SIGHUP says that there are orders to restart in the folder `restarts`."""

    def __init__(self, state: Path, fleet: Fleet) -> None:
        self.state, self.fleet = state, fleet
        self.stopped = False
        self._roll = False
        self._news = News()
        self._before: list[Any] = []

    def __enter__(self) -> "Orders":
        shutil.rmtree(self.state / "restarts", ignore_errors=True)  # orders to a run that has ended
        self._before = [(number, signal.signal(number, self._hear)) for number in (signal.SIGTERM, signal.SIGHUP)]
        self._tell()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _hear(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGTERM:
            self.stopped = True
        else:
            self._roll = True

    def follow(self) -> None:
        """Do what was ordered, and keep the news true."""
        if self._roll:
            self._roll = False
            for order in sorted((self.state / "restarts").glob("*.json")):
                self._news.followed[order.stem] = self._restart(json.loads(order.read_text()))
                order.unlink()
                self._tell()
        self.fleet.look()
        if self.fleet.changed.is_set():
            self._tell()

    def _restart(self, names: Sequence[str]) -> str:
        """What kept an order from being followed to its end, if anything did."""
        for name in names:
            if self.stopped:
                return "the system is being stopped"
            try:
                self.fleet.roll([name])
            except ServerFailed as failure:
                return str(failure)
        return ""

    def _tell(self) -> None:
        self.fleet.changed.clear()
        self._news.replicas = self.fleet.conditions()
        self._news.write(self.state)


def status(state: State = STATE) -> None:
    """Show the processes of the running system, and what waits in each service."""
    folder = from_caller(state)
    _running(folder)
    processes = Table("process", "is", "since", "restarts", "pid", "address", box=None, pad_edge=False)
    at: dict[str, str] = {}
    for each in News.read(folder).replicas:
        if each.state == "ready":
            of = each.name.partition(".")[0]
            at |= dict.fromkeys(SERVICES if of == "services" else [of], each.url)
        since = time.strftime("%H:%M:%S", time.localtime(each.since))
        processes.add_row(each.name, each.state, since, str(each.restarts), str(each.pid or ""), each.url)
    waiting = Table("service", "facts to send", "to try again", "parked", "work", box=None, pad_edge=False)
    for name in SERVICES:
        waiting.add_row(name, *_waiting(at.get(name), name))
    console = Console()
    console.print(processes, "", waiting, "", sep="\n")
    console.print(f"logs: {folder / 'logs'}", highlight=False, soft_wrap=True)


def _waiting(url: str | None, name: str) -> list[str]:
    """What waits in a service, by its own account; the gateway has no route to that."""
    try:
        found = here.request("GET", f"{url}/{name}/health/detail", timeout=5).raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return ["no answer"]
    return [f"{found[each]:.0f}" for each in ("pending", "retrying", "parked", "work")]


def restart(
    services: Annotated[list[str] | None, typer.Argument(help="Some services; else all.", show_default=False)] = None,
    state: State = STATE,
) -> None:
    """Replace the processes of the running system one by one, each by a new one that is ready first."""
    folder = from_caller(state)
    where, pid = _running(folder)
    if strange := set(services or []) - set(SERVICES):
        raise typer.BadParameter(f"no such service: {', '.join(sorted(strange))}")
    before = News.read(folder)
    if where.urls["catalog"] in {each.url for each in before.replicas}:
        typer.echo("dev: without a gateway nothing could take over: run ./dev up --services", err=True)
        raise typer.Exit(2)
    order = str(new_id())
    orders = folder / "restarts"
    orders.mkdir(exist_ok=True)
    (orders / f"{order}.new").write_text(json.dumps(services or SERVICES))
    (orders / f"{order}.new").rename(orders / f"{order}.json")
    os.kill(pid, signal.SIGHUP)

    def followed() -> str | None:
        return News.read(folder).followed.get(order)

    if trouble := wait_for("the restart", followed, seconds=ROLL_SECONDS * len(before.replicas), alive=where.alive):
        typer.echo(f"dev: {trouble}; what was not replaced still runs", err=True)
        raise typer.Exit(1)
    typer.echo(f"Restarted: {', '.join(services or SERVICES)}.")


def stop(state: State = STATE) -> None:
    """Stop the system that ./dev up runs; its data is kept."""
    folder = from_caller(state)
    where, pid = _running(folder)
    os.kill(pid, signal.SIGTERM)
    wait_for("the end", lambda: not where.alive() or None, seconds=STOP_SECONDS)
    typer.echo("Stopped; the data is kept.")


def _running(state: Path) -> tuple[Addresses, int]:
    """Where the system is, and the process to signal; ends here where `./dev up` does not run."""
    where = read_addresses(state)
    if where is None or where.pid is None or not (state / "fleet.json").exists():
        typer.echo(f"dev: nothing runs on {state}: start ./dev up first", err=True)
        raise typer.Exit(2)
    return where, where.pid
