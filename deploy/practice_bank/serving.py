"""Runs the bank: in the foreground for a person, or on a thread of its own for a test."""

import logging
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread

import uvicorn

from deploy.practice_bank.app import FIRST_PAUSE, create_app
from deploy.practice_bank.breaking_off import unintended


def _listen(host: str, port: int) -> tuple[socket.socket, str]:
    """A listening socket, and the address it has; port 0 takes a free one."""
    listening = socket.create_server((host, port))
    return listening, f"http://{host}:{listening.getsockname()[1]}"


def _server(state_dir: Path, first_pause: timedelta) -> uvicorn.Server:
    app = create_app(state_dir, first_pause=first_pause)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
    logging.getLogger("uvicorn.error").addFilter(unintended)
    return server


def serve(state_dir: Path, *, host: str, port: int) -> None:
    """Print the bank's address, then serve until told to stop; requests under way are finished first."""
    listening, url = _listen(host, port)
    sys.stdout.write(url + "\n")
    sys.stdout.flush()
    _server(state_dir, FIRST_PAUSE).run(sockets=[listening])


@contextmanager
def running_bank(state_dir: Path, *, first_pause: timedelta = FIRST_PAUSE) -> Iterator[str]:
    """The bank on a free loopback port, in this process; yields its address."""
    listening, url = _listen("127.0.0.1", 0)
    server = _server(state_dir, first_pause)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, name="practice-bank", daemon=True)
    thread.start()
    try:
        while thread.is_alive() and not server.started:
            time.sleep(0.005)
        if not server.started:
            raise RuntimeError("the bank did not open; its log says why")
        yield url
    finally:
        server.should_exit = True
        thread.join()
