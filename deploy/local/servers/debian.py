"""RabbitMQ from Debian's or Ubuntu's packages, unpacked into the project's folder and not installed.

Nothing outside that folder changes and no service starts, so it needs no root where apt already knows its packages.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.local.servers import CACHE, NoServer, note

PACKAGES = (
    "rabbitmq-server",
    "libsctp1",
    "erlang-asn1",
    "erlang-base",
    "erlang-crypto",
    "erlang-eldap",
    "erlang-ftp",
    "erlang-inets",
    "erlang-mnesia",
    "erlang-os-mon",
    "erlang-parsetools",
    "erlang-public-key",
    "erlang-runtime-tools",
    "erlang-snmp",
    "erlang-ssl",
    "erlang-syntax-tools",
    "erlang-tftp",
    "erlang-tools",
    "erlang-xmerl",
)


def unpacked_rabbitmq() -> tuple[Path, Path, dict[str, str]]:
    """The server's start script, Erlang's `erl`, and the environment the two need."""
    tree = CACHE / "rabbitmq"
    erl = tree / "usr/lib/erlang/bin/erl"
    # A tree that was moved since is unpacked again: Erlang's scripts carry their place.
    if not erl.exists() or str(tree) not in erl.read_text():
        _unpack(tree)
    program = next(tree.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))
    libraries = ":".join(str(folder) for folder in tree.glob("usr/lib/*-linux-gnu"))
    return program, erl, {"PATH": f"{erl.parent}:{os.environ.get('PATH', os.defpath)}", "LD_LIBRARY_PATH": libraries}


def _unpack(tree: Path) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise NoServer("this is not Debian or Ubuntu, whose packages could be unpacked")
    note(f"fetching the packages of RabbitMQ and Erlang into {tree.relative_to(tree.parents[1])} (33 MB, once)")
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rabbitmq-", dir=CACHE) as made:
        fetched, unpacked = Path(made, "packages"), Path(made, "tree")
        fetched.mkdir()
        _download(fetched)
        for package in fetched.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, unpacked], check=True)
        for script in (*unpacked.glob("usr/lib/erlang/bin/erl"), *unpacked.glob("usr/lib/erlang/erts-*/bin/erl")):
            words = script.read_text().replace("ROOTDIR=/usr/lib/erlang", f"ROOTDIR={tree}/usr/lib/erlang")
            script.write_text(words)
        shutil.rmtree(tree, ignore_errors=True)
        unpacked.rename(tree)


def _download(folder: Path) -> None:
    download = ["apt-get", "-qq", "download", *PACKAGES]
    if subprocess.run(download, cwd=folder, capture_output=True, check=False).returncode == 0:
        return
    if os.geteuid() == 0:
        subprocess.run(["apt-get", "-qq", "update"], check=False, capture_output=True)
    again = subprocess.run(download, cwd=folder, capture_output=True, text=True, check=False)
    if again.returncode:
        last = (again.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NoServer(f"apt-get could not fetch its packages ({last}); `apt-get update` as root may help")
