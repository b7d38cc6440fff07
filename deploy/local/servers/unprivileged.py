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

from deploy.local.servers import ServerFailed
from deploy.local.servers.keeper import Account

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
            [*self.prefix, *command],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for us to act on
            **self.account,
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
        """The folder kept for it, or one that is gone afterwards; another user's lies in that user's reach."""
        if kept is None:
            with tempfile.TemporaryDirectory(
                prefix=f"punchcard-{name}-", dir=BETWEEN_USERS if self.account else None, ignore_cleanup_errors=True
            ) as made:
                self.owns(Path(made))
                yield Path(made).resolve()
            return
        folder = kept.resolve()
        if self.account and not self._reaches(folder.parent):
            folder = BETWEEN_USERS / f"punchcard-{name}-{sha256(bytes(folder)).hexdigest()[:12]}"
            if folder.is_symlink() or (folder.exists() and folder.stat().st_uid != self.account["user"]):
                raise ServerFailed(f"{folder} belongs to somebody else")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.owns(folder)
        yield folder

    def reachable(self, program: Path, site: Path, package: str, folder: Path) -> Path:
        """The program; where its place is closed to this user, a copy in `folder` of the package it came with."""
        if not self.account or self._reaches(program):
            return program
        copy = folder / "programs"
        shutil.rmtree(copy, ignore_errors=True)
        # A wheel may keep its shared libraries beside the package, found from the programs by a relative path.
        for part in site.glob(f"{package}*"):
            shutil.copytree(part, copy / part.name, symlinks=True)
        return copy / program.relative_to(site)

    def _reaches(self, path: Path) -> bool:
        try:
            self.run("test", "-x", path)
        except ServerFailed:
            return False
        return True


def identity() -> Identity:
    """Ourselves; as root, ourselves in a user namespace; where that is not allowed, as in many containers, nobody."""
    if os.geteuid() != 0:
        return Identity()
    in_namespace = ("unshare", "--user", "--")
    if shutil.which("unshare") and not subprocess.run([*in_namespace, "true"], capture_output=True).returncode:
        return Identity(prefix=in_namespace)
    nobody = pwd.getpwnam("nobody")
    return Identity(account={"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []})
