"""Who PostgreSQL runs as: ourselves, but never root, whom it refuses."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from deploy.local.keeper import Account
from deploy.local.servers import ServerFailed

BETWEEN_USERS = Path("/var/tmp")  # noqa: S108 - each folder made in it is private to its owner
"""Where another user can reach a folder of ours; the project itself may lie in a home that is closed to it."""


@dataclass(frozen=True)
class Identity:
    """How to run a program so that it does not find itself root."""

    prefix: Sequence[str] = ()
    account: Account = field(default_factory=Account)

    def run(self, *command: str | Path) -> str:
        """Run a program to its end and return what it printed."""
        done = subprocess.run(
            [*self.prefix, *command], capture_output=True, text=True, check=False, cwd="/", **self.account
        )
        if done.returncode:
            raise ServerFailed(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def owns(self, path: Path) -> None:
        """Give it a file or folder that we made."""
        if self.account:
            os.chown(path, self.account["user"], self.account["group"])

    @contextmanager
    def folder(self, kept: Path | None, name: str) -> Iterator[Path]:
        """The folder kept for it, or one that is gone afterwards; where it is another user, one in its reach."""
        parent = BETWEEN_USERS if self.account else None
        if kept is None:
            with tempfile.TemporaryDirectory(
                prefix=f"punchcard-{name}-", dir=parent, ignore_cleanup_errors=True
            ) as made:
                self.owns(Path(made))
                yield Path(made).resolve()
            return
        folder = parent / f"punchcard-{name}-{sha256(bytes(kept.resolve())).hexdigest()[:12]}" if parent else kept
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if parent and (folder.is_symlink() or folder.stat().st_uid not in (0, self.account["user"])):
            raise ServerFailed(f"{folder} belongs to somebody else")
        self.owns(folder)
        yield folder.resolve()

    def reachable(self, program: Path, package: Path, folder: Path) -> Path:
        """The program; where its place is closed to this user, a copy in `folder` of the package it came with."""
        try:
            self.run(program, "--version")
        except (OSError, ServerFailed):
            shutil.rmtree(folder / package.name, ignore_errors=True)
            shutil.copytree(package, folder / package.name, symlinks=True)
            return folder / package.name / program.relative_to(package)
        return program


def identity() -> Identity:
    """Ourselves; as root, ourselves in a user namespace; where that is not allowed, as in many containers, nobody."""
    if os.geteuid() != 0:
        return Identity()
    in_namespace = ("unshare", "--user", "--")
    if shutil.which("unshare") and not subprocess.run([*in_namespace, "true"], capture_output=True).returncode:
        return Identity(prefix=in_namespace)
    nobody = pwd.getpwnam("nobody")
    return Identity(account={"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []})
