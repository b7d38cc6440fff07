"""The asker's side of `keeper.py`: a server process that cannot outlive us, and a folder only one run may use."""

import fcntl
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.local.servers import NoServer, ServerFailed, keeper, last_line, note


@dataclass(frozen=True)
class Process:
    """A server under its keeper."""

    keeper: subprocess.Popen[bytes]
    log: Path

    def alive(self) -> bool:
        """Whether the server still runs: its keeper ends with it."""
        return self.keeper.poll() is None

    def server_pid(self) -> int | None:
        """The number of the server itself; None when it has ended."""
        with suppress(psutil.NoSuchProcess):
            return next((child.pid for child in psutil.Process(self.keeper.pid).children()), None)
        return None

    def ending(self) -> str:
        """How it ended, in words: the keeper ends with its exit code, or with the signal that killed it."""
        code = self.keeper.poll()
        if code is None:
            return "stopped"
        killer = 256 - code if code > 128 else 0
        how = f"killed by {signal.Signals(killer).name}" if killer in set(signal.Signals) else f"exit code {code}"
        return f"{how}; its last words: {self.last_words() or 'none'}"

    def last_words(self) -> str:
        """The last line it logged."""
        return last_line(self.log.read_text(errors="replace"))


@contextmanager
def running_process(
    command: Sequence[str | Path],
    folder: Path,
    *,
    name: str,
    env: Mapping[str, str],
    stop_signal: signal.Signals,
    account: keeper.Account | None = None,
    stop_seconds: float = 20,
    throw_away: bool = False,
    fresh_log: bool = True,
) -> Iterator[Process]:
    """Run a server in `folder`, its output in `folder/name.log`; stop it on leaving, however we leave."""
    order: keeper.Order = {
        "command": [str(word) for word in command],
        "account": account or {},
        "stop_signal": stop_signal,
        "stop_seconds": stop_seconds,
        "remove": str(folder) if throw_away else None,
    }
    log = folder / f"{name}.log"
    with log.open("wb" if fresh_log else "ab") as output:
        # -I: neither our folder nor the caller's may shadow the standard library for it.
        kept = subprocess.Popen(
            [sys.executable, "-I", keeper.__file__, json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=env,
            start_new_session=True,
        )
    try:
        yield Process(kept, log)
    finally:
        if kept.stdin:
            kept.stdin.close()
        kept.wait()


@contextmanager
def used_once(folder: Path | None) -> Iterator[None]:
    """Hold a kept folder against a second run: two servers on one set of files would ruin them."""
    with ExitStack() as stack:
        if folder:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = stack.enter_context((folder / "lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise NoServer(f"another run uses {folder}; stop that one first") from None
        yield


def stop_left_over(pid_file: Path, folder: Path, stop_signal: signal.Signals) -> None:
    """Stop the server that a run left behind when even its keeper was killed.

    A number in a pid file may long be somebody else's process. It is ours only if it stands in our folder.
    """
    with suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess, psutil.AccessDenied):
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        if Path(process.cwd()) == folder:
            note(f"stopping the server that an earlier run left in {folder}")
            process.send_signal(stop_signal)
            try:
                process.wait(30)
            except psutil.TimeoutExpired:
                raise ServerFailed(f"process {process.pid}, left by an earlier run in {folder}, does not end") from None
    pid_file.unlink(missing_ok=True)
