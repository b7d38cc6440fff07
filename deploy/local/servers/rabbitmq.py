"""A RabbitMQ: the one given, else a private node from what is installed, Docker or unpacked Debian packages."""

import os
import re
import shutil
import signal
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from deploy.local.servers import NoServer, Server, first_that_works, free_ports, wait_for
from deploy.local.servers.containers import container
from deploy.local.servers.debian import unpacked_rabbitmq
from deploy.local.servers.kept import running_process, stop_left_over, used_once

IMAGE = "rabbitmq:4-management"

Found = TypeVar("Found", bound=Server | None)
Way = Callable[[Path | None], AbstractContextManager[Found]]
"""One way to a RabbitMQ, given the folder where a private node keeps its queues (None to keep nothing)."""


@contextmanager
def installed(data: Path | None) -> Iterator[Server]:
    """A private node of the RabbitMQ installed here; a service that may already run is left alone."""
    # The packages' own place comes first: their command on PATH is a wrapper that changes to the service's account.
    packaged = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin:/opt/homebrew/bin"
    program = packaged[-1] if packaged else shutil.which("rabbitmq-server", path=path)
    erl = shutil.which("erl", path=path)
    if not program or not erl:
        raise NoServer("RabbitMQ is not installed")
    with _node(Path(program), Path(erl), data, {"PATH": path}) as (version, port):
        yield Server(_local(port), f"private node of the installed RabbitMQ {version}, port {port}")


@contextmanager
def in_docker(_data: Path | None) -> Iterator[Server]:
    """A container, removed with its queues when we end."""
    with container(IMAGE, 5672, env={}) as made:
        what = f"RabbitMQ in Docker on port {made.port}"
        version = wait_for(what, partial(_version, made.host, made.port), seconds=90, last_words=made.last_words)
        url = f"amqp://guest:guest@{made.host}:{made.port}/"
        yield Server(url, f"Docker, {IMAGE}, RabbitMQ {version}, port {made.port}")


@contextmanager
def from_debian(data: Path | None) -> Iterator[Server]:
    """A private node of Debian's or Ubuntu's packages, unpacked beside the project and not installed."""
    program, erl, env = unpacked_rabbitmq()
    with _node(program, erl, data, env) as (version, port):
        yield Server(_local(port), f"private node of unpacked packages, RabbitMQ {version}, port {port}")


@contextmanager
def embedded_bus(_data: Path | None) -> Iterator[None]:
    """No RabbitMQ: one process that runs all six services does without."""
    yield None


FOR_TESTS: Sequence[Way[Server]] = (installed, in_docker, from_debian)
"""The tests want a real broker, whatever it takes."""

FOR_DEMO: Sequence[Way[Server | None]] = (installed, embedded_bus)
"""Trying the product out fetches nothing."""


@contextmanager
def rabbitmq(url: str | None, ways: Sequence[Way[Found]], data: Path | None = None) -> Iterator[Server | Found]:
    """A RabbitMQ, by the first of the ways that works; None where they end in the embedded bus."""
    if url:
        given = urlsplit(url)
        tls = given.scheme == "amqps"
        host, port = given.hostname or "localhost", given.port or (5671 if tls else 5672)
        version = wait_for(f"RabbitMQ at {host}:{port}", partial(_version, host, port, tls), seconds=30)
        yield Server(url, f"given, RabbitMQ {version}, {host}:{port}")
        return
    remedy = "Install rabbitmq-server or Docker, or give the URL of a broker."
    with used_once(data), first_that_works("RabbitMQ", [partial(way, data) for way in ways], remedy) as server:
        yield server


@contextmanager
def _node(program: Path, erl: Path, data: Path | None, env: dict[str, str]) -> Iterator[tuple[str, int]]:
    """A node with everything of its own: name server, cookie, settings, queues, log and ports, on loopback alone."""
    amqp, distribution, names = free_ports(3)
    with _folder(data) as folder:
        stop_left_over(folder / "pid", folder, signal.SIGTERM)
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{amqp}\n"
            "disk_free_limit.absolute = 50MB\n"
            "vm_memory_high_watermark.absolute = 1GB\n"
            "log.console = true\n"
            "log.file = false\n"
        )
        (folder / "advanced.config").write_text("[].\n")
        (folder / "enabled_plugins").write_text("[].\n")
        # NOTIFY_SOCKET: under systemd the server would report to our caller's unit.
        settings = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "NOTIFY_"))}
        settings |= {
            **env,
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(names),
            "RABBITMQ_NODENAME": "punchcard@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_BASE": str(folder),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }
        epmd = next(erl.resolve().parent.parent.glob("erts-*/bin/epmd"), None)
        if epmd is None:
            raise NoServer(f"no epmd beside {erl}")
        start = partial(running_process, folder=folder, env=settings, stop_signal=signal.SIGTERM)
        with (
            start([epmd, "-address", "127.0.0.1", "-port", str(names)], name="epmd"),
            start([program], name="rabbitmq", throw_away=data is None) as node,
        ):
            version = wait_for(
                f"RabbitMQ on port {amqp}",
                partial(_version, "127.0.0.1", amqp),
                seconds=120,
                alive=node.alive,
                last_words=node.last_words,
            )
            yield version, amqp


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data:
        yield data.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="punchcard-rabbitmq-", ignore_cleanup_errors=True) as made:
        yield Path(made).resolve()


def _local(port: int) -> str:
    return f"amqp://guest:guest@127.0.0.1:{port}/"


def _version(host: str, port: int, tls: bool = False) -> str | None:
    """What the broker calls itself: it says so before anyone logs in; None while it does not listen yet."""
    with suppress(OSError):
        with socket.create_connection((host, port), timeout=5) as plain:
            line = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if tls else plain
            line.sendall(b"AMQP\x00\x00\x09\x01")
            greeting = line.recv(4096)
        if found := re.search(rb"\x07versionS\x00\x00\x00.([\w.+-]+)", greeting, re.DOTALL):
            return found[1].decode()
    return None
