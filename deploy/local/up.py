"""`./dev up`: the whole system on this machine, for a person to look around in."""

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

import psutil
import typer
import uvicorn
from starlette.applications import Starlette

from deploy.local.control import Orders
from deploy.local.running import here
from deploy.local.running.fleet import Fleet, Say, behind_gateway, fleet
from deploy.local.running.mail import mail_app
from deploy.local.running.state import STATE, Addresses, State, from_caller, noted
from deploy.local.running.system import APART, SERVICES, TOGETHER, System, system
from deploy.local.servers import NoServer, Server, ServerFailed, interrupted
from deploy.local.servers.postgres import postgres
from deploy.local.servers.rabbitmq import FOR_DEMO, rabbitmq

T = TypeVar("T")

POSTGRES, AMQP = "PUNCHCARD_POSTGRES_URL", "PUNCHCARD_AMQP_URL"
Embedded = Annotated[bool, typer.Option("--embedded", help="One process and its own bus, without RabbitMQ.")]
Services = Annotated[bool, typer.Option("--services", help="A process for each service, behind a gateway.")]
Scale = Annotated[
    list[str] | None,
    typer.Option(help="How many processes of a service; implies --services.", metavar="SERVICE=N", show_default=False),
]


@dataclass
class Up:
    """The system, running."""

    system: System
    state: Path
    fleet: Fleet
    mail_url: str

    def watch(self) -> None:
        """Do what other commands order; a person ends this by Ctrl-C, `./dev stop` by its signal."""
        with Orders(self.state, self.fleet) as orders:
            while not orders.stopped:
                orders.follow()
                time.sleep(0.1)


def up(embedded: Embedded = False, services: Services = False, scale: Scale = None, state: State = STATE) -> None:
    """Run the six services, their databases, a practice bank and a mail page, until Ctrl-C; data is kept."""

    def say(what: str, how: str) -> None:
        print(f"  {what:<14}{how}", flush=True)

    replicas = _replicas(scale or []) if services or scale else None
    if embedded and replicas is not None:
        raise typer.BadParameter("the embedded bus is within one process", param_hint="--embedded")
    try:
        with running_system(from_caller(state), say, embedded=embedded, scale=replicas) as made:
            print("\n" + "\n".join(f"  {what:<14}{where}" for what, where in addresses(made)))
            print("\nCtrl-C stops it.", flush=True)
            made.watch()
    except KeyboardInterrupt:
        pass
    print("\nStopped; the data is kept.")


def _replicas(scale: list[str]) -> dict[str, int]:
    """`billing=3` → three processes of billing."""
    found = {}
    for each in scale:
        name, _, count = each.partition("=")
        if name not in SERVICES or not re.fullmatch("[1-9]|1[0-9]", count):
            raise typer.BadParameter(
                f"{each!r} is not a service and its number of processes, such as billing=3", param_hint="--scale"
            )
        found[name] = int(count)
    return found


def addresses(made: Up) -> list[tuple[str, str]]:
    """Where to look, while it runs."""
    folder = "" if made.state == STATE else f" --state {made.state}"
    return [
        *((name, f"{made.system.urls[name]}/{name}/docs") for name in SERVICES),
        ("mail", made.mail_url),
        ("bank", made.system.bank_url),
        (
            "token",
            f'curl -H "Authorization: Bearer $(./dev token{folder})" {made.system.urls["catalog"]}/catalog/v1/business',
        ),
        ("logs", str(made.system.logs)),
        ("processes", f"./dev status{folder}"),
    ]


@contextmanager
def running_system(
    state: Path,
    say: Say,
    *,
    embedded: bool,
    scale: Mapping[str, int] | None = None,
) -> Iterator[Up]:
    """Start everything, as far as possible side by side, and say what was found; stop it on leaving.

    With `scale`, be it empty, every service has a process of its own or as many as it says, behind a gateway.
    """
    with ExitStack() as stack:
        find_database = partial(postgres, os.environ.get(POSTGRES), state / "postgres", durable=True)
        find_broker = partial(_broker, state / "rabbitmq", embedded)
        database, broker = stack.enter_context(_side_by_side(find_database, find_broker))
        if database is None:
            raise ServerFailed("PostgreSQL was not found")
        if scale is not None and broker is None:
            raise NoServer(f"Several processes need RabbitMQ: install rabbitmq-server or give {AMQP}")
        say("PostgreSQL", database.origin)
        say("RabbitMQ", broker.origin if broker else _without(embedded))
        groups = APART if broker else TOGETHER
        amqp_url = broker.url if broker else None
        made = stack.enter_context(system(state, database.url, amqp_url, groups=groups, start=False))
        _keep_addresses(made, state / "addresses.json", together=scale is not None or not broker)
        stack.callback(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
        began = time.monotonic()
        if scale is None:
            launched = stack.enter_context(fleet(made, groups, say=say))
        else:
            port = urlsplit(made.urls["directdebit"]).port
            launched = stack.enter_context(behind_gateway(made, scale, port, say))
        say("services", f"{_shape(launched)} (ready in {time.monotonic() - began:.1f} s)")
        say("data", f"{state}, kept from run to run")
        call_back(made.bank_url)
        mail_url = stack.enter_context(_page(mail_app(made.mail)))
        us = psutil.Process()
        where = Addresses(made.urls, made.database_urls, made.bank_url, mail_url, us.pid, us.create_time())
        stack.enter_context(noted(state, where))
        try:
            yield Up(made, state, launched, mail_url)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is being stopped already


def _shape(launched: Fleet) -> str:
    """What runs, in words."""
    count = len(launched.replicas)
    if count == 1:
        return "one process, on its embedded bus"
    return f"{count} processes, over RabbitMQ" + (", behind the gateway" if launched.gateway else "")


@contextmanager
def _broker(data: Path, embedded: bool) -> Iterator[Server | None]:
    if embedded:
        yield None
        return
    with rabbitmq(os.environ.get(AMQP), FOR_DEMO, data) as server:
        yield server


def _without(embedded: bool) -> str:
    if embedded:
        return "left out: the services share one process and its embedded bus"
    return f"none found: install rabbitmq-server or give {AMQP} to run six processes over it"


@contextmanager
def _side_by_side(*ways: Callable[[], AbstractContextManager[T]]) -> Iterator[list[T]]:
    """Enter contexts at the same time, as many as there are processors, and leave them likewise."""
    stacks = [ExitStack() for _ in ways]
    with ThreadPoolExecutor(max(os.cpu_count() or 2, 2)) as pool:
        starts = [pool.submit(stack.enter_context, way()) for stack, way in zip(stacks, ways, strict=True)]
        try:
            yield [start.result() for start in starts]
        except KeyboardInterrupt:
            interrupted.set()
            raise
        finally:
            wait(starts)
            for stopped in [pool.submit(stack.close) for stack in stacks]:
                stopped.result()


def _keep_addresses(made: System, file: Path, *, together: bool) -> None:
    """Each service is where it was in the run before, if its port is free: there the bank's callbacks look for us."""
    kept: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    if together:
        port = _kept(kept, "directdebit", made.urls["directdebit"])
        made.urls |= dict.fromkeys(SERVICES, f"http://127.0.0.1:{port}")
    else:
        made.urls |= {name: f"http://127.0.0.1:{_kept(kept, name, made.urls[name])}" for name in SERVICES}
    file.write_text(json.dumps(kept))


def _kept(kept: dict[str, int], name: str, url: str) -> int:
    """The port that was kept for a service, else the new one, which is kept from now on."""
    if name not in kept or not _is_free(kept[name]):
        kept[name] = urlsplit(url).port or 0
    return kept[name]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def call_back(bank_url: str) -> None:
    """What the bank could not tell an earlier run, it tells now."""
    unsent = here.request("GET", f"{bank_url}/practice/callbacks", params={"state": "unsent"}).raise_for_status()
    for callback in unsent.json()["callbacks"]:
        here.request("POST", f"{bank_url}/practice/callbacks/{callback['id']}/resend").raise_for_status()


@contextmanager
def _page(app: Starlette) -> Iterator[str]:
    """A page on a free port of this machine; yields its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, name="mail-page", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
