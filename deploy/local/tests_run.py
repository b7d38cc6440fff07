"""`./dev test`: every test, against a real PostgreSQL and a real RabbitMQ."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from deploy.local import pytest_origins
from deploy.local.checks import python, run_steps, static_steps
from deploy.local.servers import ROOT, Server, interrupted, note
from deploy.local.servers.postgres import postgres
from deploy.local.servers.rabbitmq import FOR_TESTS, rabbitmq

POSTGRES, AMQP = "TEST_POSTGRES_URL", "TEST_AMQP_URL"
WORKERS = str(min(os.cpu_count() or 2, 8))


def test(
    context: typer.Context,
    no_broker: Annotated[bool, typer.Option("--no-broker", help="Leave the tests that need RabbitMQ out.")] = False,
) -> None:
    """Every test, on servers made for it. What follows goes to pytest; without any, the static checks run too."""
    raise typer.Exit(_checks_and_tests(context.args, no_broker))


def _checks_and_tests(arguments: Sequence[str], no_broker: bool) -> int:
    ways: dict[str, Callable[[], AbstractContextManager[Server]]] = {
        POSTGRES: partial(postgres, os.environ.get(POSTGRES), None, durable=False)
    }
    if not no_broker:
        ways[AMQP] = partial(rabbitmq, os.environ.get(AMQP), FOR_TESTS)
    with ExitStack() as running, ThreadPoolExecutor(len(ways)) as pool:
        try:
            starts = {name: pool.submit(_start, running, way) for name, way in ways.items()}
            checked = bool(arguments) or run_steps(static_steps())
            servers = {name: start.result() for name, start in starts.items()}
        except KeyboardInterrupt:
            interrupted.set()
            raise
        left_out = ("-m", "not broker") if no_broker else ()
        status = _pytest([*left_out, *arguments], servers)
    return status or int(not checked)


def _start(running: ExitStack, way: Callable[[], AbstractContextManager[Server]]) -> Server:
    began = time.monotonic()
    server = running.enter_context(way())
    timed = replace(server, origin=f"{server.origin} ({time.monotonic() - began:.1f} s)")
    note(timed.origin)
    return timed


def _pytest(arguments: Sequence[str], servers: dict[str, Server]) -> int:
    urls = {AMQP: "", **{name: server.url for name, server in servers.items()}}
    origins = {pytest_origins.VARIABLE: "\n".join(server.origin for server in servers.values())}
    # Ctrl-C reaches pytest too, which then sums up; until it has, the servers must stay.
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.call(
            python("pytest", "-p", pytest_origins.__name__, "-n", WORKERS, "--dist", "loadgroup", *arguments),
            cwd=ROOT,
            env={**os.environ, **urls, **origins},
        )
    finally:
        signal.signal(signal.SIGINT, previous)
