"""The processes of a running system: as many replicas of each service as wanted, each started again when it ends.

So is the gateway before them, by whoever calls `look` now and then.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from threading import Event, RLock, Thread

from deploy.local.running.gateway import Gateway, gateway
from deploy.local.running.system import APART, SERVICES, START_SECONDS, System, served
from deploy.local.servers import ServerFailed, free_ports, interrupted

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
STEADY_SECONDS = 60
"""Who ran as long as this before it ended is started again at once, as if for the first time."""

Say = Callable[[str, str], None]
"""Tells a person one thing: what it is, and how it is."""


@dataclass(frozen=True)
class Condition:
    """How a replica is: starting, ready, leaving, ended (and to be started again), or gone for good."""

    name: str
    url: str
    state: str = "starting"
    since: float = 0
    pid: int | None = None
    restarts: int = 0
    trouble: str = ""


class Replica:
    """One process of some services, kept running until it is dismissed."""

    def __init__(self, made: System, names: Sequence[str], name: str, url: str, tell: Callable[["Replica"], None]):
        self.made, self.names = made, names
        self.condition = Condition(name, url, since=time.time())
        self.settled = Event()
        """It is ready for the first time, or has failed to become so."""
        self._tell = tell
        self._dismissed = Event()
        self._thread = Thread(target=self._keep, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def dismiss(self) -> None:
        """Let it finish what it has in hand, and end; returns when it has."""
        self._dismissed.set()
        self._thread.join()

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while not self._dismissed.is_set():
            began = time.monotonic()
            trouble = self._live()
            if time.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE
            if not self._dismissed.is_set():
                self._becomes("ended", pid=None, trouble=trouble, restarts=self.condition.restarts + 1)
                self._dismissed.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        self._becomes("gone", pid=None)

    def _live(self) -> str:
        """Be one process, from its start to its end; return how it ended."""
        try:
            with served(self.made, *self.names, url=self.condition.url, label=self.condition.name) as process:
                self._becomes("ready", pid=process.server_pid())
                while process.alive() and not self._dismissed.wait(0.1):
                    pass
                # Nobody may send requests to it any more when it begins to leave.
                self._becomes("leaving")
                return process.ending()
        except (ServerFailed, KeyboardInterrupt) as failure:
            self.settled.set()
            return str(failure)

    def _becomes(self, state: str, **news: object) -> None:
        self.condition = replace(self.condition, state=state, since=time.time(), **news)  # type: ignore[arg-type]
        self._tell(self)
        if state == "ready":
            self.settled.set()


class Fleet:
    """All replicas of a system; with a gateway before them there may be several of a service."""

    def __init__(self, made: System, front: Gateway | None, say: Say) -> None:
        self.made, self.gateway, self.say = made, front, say
        self.replicas: list[Replica] = []
        self._launched = False
        self._lock = RLock()
        self.changed = Event()
        """Set whenever a replica is not as it was."""

    def launch(self, groups: Sequence[Sequence[str]], scale: Mapping[str, int]) -> None:
        """Start replicas of each group of services, side by side; raise ServerFailed when one does not come up."""
        for names in groups:
            self.replicas += [self._replica(names, number) for number in range(1, scale.get(names[0], 1) + 1)]
        for replica in self.replicas:
            replica.start()
        for replica in self.replicas:
            self._await(replica)
        self._launched = True

    def look(self) -> None:
        """Start the gateway again if it has ended; one that does not come up is tried again at the next look."""
        with self._lock, suppress(ServerFailed, OSError):
            if self.gateway and self.gateway.revive():
                self.say("gateway", "ended, and was started again")

    def roll(self, names: Sequence[str]) -> None:
        """Replace the replicas of some services, one at a time, each by a new one that is ready before the old leaves.

        The successor has an address of its own, so this needs a gateway. Raises ServerFailed, and keeps the old one,
        when a successor does not come up.
        """
        if self.gateway is None:
            raise ServerFailed("without a gateway nobody could take over")
        for old in [replica for replica in self.replicas if replica.names[0] in names]:
            new = Replica(self.made, old.names, old.condition.name, self._address(old.names), self._tell)
            with self._lock:
                self.replicas.insert(self.replicas.index(old), new)
            new.start()
            try:
                self._await(new)
            except ServerFailed:
                self._remove(new)
                raise
            self._remove(old)

    def dismiss(self) -> None:
        """Stop all, side by side."""
        leaving = [Thread(target=replica.dismiss) for replica in self.replicas]
        for thread in leaving:
            thread.start()
        for thread in leaving:
            thread.join()

    def conditions(self) -> list[Condition]:
        with self._lock:
            return [replica.condition for replica in self.replicas]

    def find(self, name: str) -> Condition:
        """How a replica is, by its name (`billing.2`)."""
        return next(each for each in self.conditions() if each.name == name)

    def _replica(self, names: Sequence[str], number: int) -> Replica:
        label = "services" if len(names) > 1 else f"{names[0]}.{number}"
        return Replica(self.made, names, label, self._address(names), self._tell)

    def _address(self, names: Sequence[str]) -> str:
        return f"http://127.0.0.1:{free_ports(1)[0]}" if self.gateway else self.made.urls[names[0]]

    def _await(self, replica: Replica) -> None:
        replica.settled.wait(START_SECONDS + 5)
        if interrupted.is_set():
            raise KeyboardInterrupt
        if replica.condition.state != "ready":
            raise ServerFailed(f"{replica.condition.name} did not come up: {replica.condition.trouble}")

    def _remove(self, replica: Replica) -> None:
        replica.dismiss()
        with self._lock:
            self.replicas.remove(replica)
        self.changed.set()

    def _tell(self, replica: Replica) -> None:
        """A replica is not as it was: the gateway must know before anything else happens, and a person may."""
        now = replica.condition
        with self._lock:
            if self.gateway and now.state in ("ready", "leaving", "ended"):
                with suppress(ServerFailed):  # it is away, and will read its file when it is back
                    self.gateway.route(self._reachable())
            with suppress(OSError):  # nobody reads any more what is said
                if now.state == "ended" and self._launched:
                    self.say(now.name, f"ended, and is started again ({now.trouble})")
                elif now.state == "ready" and now.restarts:
                    self.say(now.name, "is ready again")
        self.changed.set()

    def _reachable(self) -> dict[str, list[str]]:
        """Service → where its replicas are that may be sent requests."""
        found: dict[str, list[str]] = {name: [] for replica in self.replicas for name in replica.names}
        for replica in self.replicas:
            if replica.condition.state == "ready":
                for name in replica.names:
                    found[name].append(replica.condition.url)
        return found


def _in_silence(what: str, how: str) -> None:
    """Nobody wants to know."""


@contextmanager
def fleet(
    made: System,
    groups: Sequence[Sequence[str]],
    scale: Mapping[str, int] | None = None,
    *,
    front: Gateway | None = None,
    say: Say = _in_silence,
) -> Iterator[Fleet]:
    """Run the services of a system until the block is left."""
    launched = Fleet(made, front, say)
    try:
        launched.launch(groups, scale or {})
        yield launched
    finally:
        launched.dismiss()


@contextmanager
def behind_gateway(
    made: System, scale: Mapping[str, int], port: int | None = None, say: Say = _in_silence
) -> Iterator[Fleet]:
    """Run a process of each service of a system, or as many as `scale` says, under one address: that of a gateway."""
    with gateway(made.logs.parent / "gateway", port) as front:
        made.urls |= dict.fromkeys(SERVICES, front.url)
        with fleet(made, APART, scale, front=front, say=say) as launched:
            yield launched
