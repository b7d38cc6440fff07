"""`python -m deploy.gateway.find FOLDER`: keeps telling the gateway which replicas of each service there are.

Docker's name server knows the addresses of all containers of a service. Those that listen are written, beside a copy
of the routes, to a folder that the gateway watches, so each replica has its share of requests and its own health check.
A replica listens when it is ready, and no more when it leaves.
"""

import json
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROUTES = Path(__file__).with_name("routes.yml")
SERVICES = ("catalog", "packages", "booking", "billing", "directdebit", "notify")
PORT = 8000
LOOKS_EVERY_SECONDS = 0.5
LISTENS_WITHIN_SECONDS = 0.5


def replicas_of(name: str) -> list[str] | None:
    """Where the replicas of a service listen, in an order that does not change by itself.

    None where the name server does not answer, which says nothing about them.
    """
    try:
        found = socket.getaddrinfo(name, PORT, socket.AF_INET, socket.SOCK_STREAM)
    except socket.gaierror as error:
        return [] if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else None
    hosts = [str(address[0]) for *_, address in found]
    return sorted(f"http://{host}:{PORT}" for host in hosts if listens(host))


def believed(now: list[str] | None, before: list[str], told: list[str]) -> list[str]:
    """Who is there: a replica that was told is forgotten only when two looks in a row have missed it."""
    if now is None:
        return told
    return sorted({*now, *(set(told) & set(before))})


def listens(host: str) -> bool:
    try:
        socket.create_connection((host, PORT), LISTENS_WITHIN_SECONDS).close()
    except OSError:
        return False
    return True


def servers(replicas: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The gateway's services; one without replicas is there too, and answers 503."""
    return {"http": {"services": {name: _service(name, urls) for name, urls in replicas.items()}}}


def _service(name: str, urls: Sequence[str]) -> dict[str, Any]:
    check = {"path": f"/{name}/health/ready", "interval": "5s", "unhealthyInterval": "1s", "timeout": "3s"}
    balanced = [{"url": url} for url in urls]
    return {"loadBalancer": {"servers": balanced, "serversTransport": "near", "healthCheck": check}}


def tell(folder: Path, replicas: Mapping[str, Sequence[str]]) -> None:
    """The gateway never reads half a file."""
    new = folder / "servers.new"
    new.write_text(json.dumps(servers(replicas), indent=1))  # JSON is YAML
    new.rename(folder / "servers.yml")


def main(folder: Path) -> None:
    shutil.copyfile(ROUTES, folder / ROUTES.name)
    told: dict[str, list[str]] = {}
    before: dict[str, list[str]] = {name: [] for name in SERVICES}
    with ThreadPoolExecutor(len(SERVICES)) as at_once:
        while True:
            seen = dict(zip(SERVICES, at_once.map(replicas_of, SERVICES), strict=True))
            found = {name: believed(seen[name], before[name], told.get(name, [])) for name in SERVICES}
            if found != told:
                tell(folder, found)
                told = found
            before |= {name: now for name, now in seen.items() if now is not None}
            time.sleep(LOOKS_EVERY_SECONDS)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    main(Path(sys.argv[1]))
