"""Keeps one server running exactly as long as whoever asked for it lives.

Run as a process of its own, in a session of its own, with its standard input tied to the one who asked: when that
closes, whether in good order, by Ctrl-C or because the asker was killed, the server is stopped and its throw-away
folder removed. So there is one way to stop, and it always happens. It imports the standard library alone, to start in
an instant.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TypedDict


class Account(TypedDict, total=False):
    """Who the server runs as; empty for ourselves. The words are those of `subprocess.Popen`."""

    user: int
    group: int
    extra_groups: list[int]


class Order(TypedDict):
    """What to run and as whom, how to stop it, and what to remove afterwards."""

    command: list[str]
    account: Account
    stop_signal: int
    stop_seconds: float
    remove: str | None


def keep(order: Order) -> int:
    """Run the server until it ends by itself or standard input closes; return its exit code."""
    server = subprocess.Popen(order["command"], stdin=subprocess.DEVNULL, start_new_session=True, **order["account"])
    try:
        while server.poll() is None and not select.select([sys.stdin], [], [], 0.1)[0]:
            pass
    finally:
        stop(server, order)
        if order["remove"]:
            shutil.rmtree(order["remove"], ignore_errors=True)
    return server.returncode


def stop(server: subprocess.Popen[bytes], order: Order) -> None:
    """Ask the server to end, then insist; at last nothing of its process group is left."""
    if server.poll() is None:
        server.send_signal(order["stop_signal"])
        with suppress(subprocess.TimeoutExpired):
            server.wait(order["stop_seconds"])
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(keep(json.loads(sys.argv[1])))
