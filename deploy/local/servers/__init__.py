"""What all of `./dev` shares: where the project lies, what a server is and how it fails, and one way to wait."""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")
Result = TypeVar("Result")

ROOT = Path(__file__).parents[3]
"""The project's folder."""

CACHE = ROOT / ".dev"
"""What the developer's command line makes and may make again."""

interrupted = threading.Event()
"""Set when the developer presses Ctrl-C: only the main thread hears of that, and servers start in others."""

_handed_out: set[int] = set()


@dataclass(frozen=True)
class Server:
    """A running server: how to reach it, and which way it came, in words for people."""

    url: str
    origin: str


class NoServer(Exception):
    """This way leads to no server on this machine; the message says why, or what would help."""


class ServerFailed(NoServer):
    """The server was there to start, and did not come up; the message ends with its own last words."""


def note(text: str) -> None:
    """Tell the developer what is going on, in a line that also reads well in a log."""
    print(f"  {text}", flush=True)


@contextmanager
def first_that_works(
    name: str, ways: Sequence[Callable[[], AbstractContextManager[Found]]], otherwise: str
) -> Iterator[Found]:
    """Enter the first way that leads to a server; a way that should have worked is not passed over in silence."""
    reasons = []
    with ExitStack() as stack:
        for way in ways:
            try:
                found = stack.enter_context(way())
            except NoServer as reason:
                reasons.append(str(reason))
                if isinstance(reason, ServerFailed):
                    note(f"{name}: {reason}; trying the next way")
                continue
            yield found
            return
    raise NoServer(f"No {name}: {'; '.join(reasons)}. {otherwise}")


def wait_for(
    what: str,
    probe: Callable[[], Result | None],
    *,
    seconds: float,
    alive: Callable[[], bool] = lambda: True,
    last_words: Callable[[], str] = lambda: "",
) -> Result:
    """Ask `probe` until it answers. A wait past three seconds is announced; a vain one ends in the server's words."""
    began, announced = time.monotonic(), False
    while (answer := probe()) is None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        waited = time.monotonic() - began
        if not alive() or waited > seconds:
            ending = "ended" if not alive() else f"did not answer within {seconds:.0f} s"
            raise ServerFailed(f"{what} {ending}; its last words: {last_words() or 'none'}")
        if waited > 3 and not announced:
            note(f"waiting for {what}")
            announced = True
        time.sleep(0.05)
    return answer


def last_line(log: str) -> str:
    """The last line of a log that says anything."""
    return next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has, below the range from which systems take the near end of connections."""
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < count:
            port = random.randrange(20000, 30000)  # noqa: S311 - not a secret
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in _handed_out:
                _handed_out.add(port)
                ports.append(port)
    return ports
