"""The whole system on one machine: databases on a given server, bank, mail sink, and the services in some processes."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import httpx

from deploy.local.running import here
from deploy.local.running.issuer import Issuer
from deploy.local.running.mail import MailSink
from deploy.local.servers import ROOT, ServerFailed, free_ports, wait_for
from deploy.local.servers.kept import Process, running_process
from deploy.practice_bank import running_bank
from shared.provision import provision
from shared.service import LEAVING_SECONDS
from shared.settings import DEVELOPMENT_ISSUER

SERVICES = ("catalog", "packages", "booking", "billing", "directdebit", "notify")
TOGETHER = (SERVICES,)
APART = tuple((name,) for name in SERVICES)
START_SECONDS = 60
PREFIX = "punchcard"
"""What the names of databases, logins and queues begin with."""
BANK_SECONDS = 120
"""A jump of years is one request to the bank."""


@dataclass
class System:
    """A running system, and where its parts are."""

    urls: dict[str, str]
    """Service → the address under which its prefix is served."""
    database_urls: dict[str, str]
    issuer: Issuer
    bank_url: str
    mail: MailSink
    logs: Path
    environment: dict[str, str]
    program: str = "services"
    """The module that runs services; tests have one that makes their bus unruly."""


@contextmanager
def system(
    state: Path,
    postgres_url: str,
    amqp_url: str | None,
    *,
    groups: Sequence[Sequence[str]] = TOGETHER,
    start: bool = True,
    prefix: str = PREFIX,
    program: str = "services",
) -> Iterator[System]:
    """Start everything and wait until it is ready; stop it on leaving.

    Each group of services shares a process; more than one needs a broker. With `start=False` all is prepared, and
    no service runs. `prefix` names databases, logins and queues.
    """
    logs = state / "logs"
    shutil.rmtree(logs, ignore_errors=True)  # of the run before
    logs.mkdir(parents=True)
    ports = zip(groups, free_ports(len(groups)), strict=True)
    urls = {name: f"http://127.0.0.1:{port}" for group, port in ports for name in group}
    with ExitStack() as stack:
        bank_url = stack.enter_context(running_bank(state / "bank"))
        mail = stack.enter_context(MailSink(folder=state / "mail"))
        made = System(
            urls,
            _database_urls(postgres_url, prefix),
            Issuer(state / "issuer"),
            bank_url,
            mail,
            logs,
            environment={},
            program=program,
        )
        made.environment = _environment(made, amqp_url, prefix)
        _provision(postgres_url, made.database_urls)
        for group in groups if start else ():
            stack.enter_context(served(made, *group))
        yield made


@contextmanager
def served(
    made: System, *names: str, url: str | None = None, label: str | None = None, failpoint: str | None = None
) -> Iterator[Process]:
    """Run some services in one process until the block is left.

    It serves at `url`, or where the system says that they are. `label` names its log; `failpoint` says where it shall
    die (for tests).
    """
    url = url or made.urls[names[0]]
    command = [sys.executable, "-m", made.program, "run", *names, "--port", str(urlsplit(url).port)]
    environment = made.environment | ({"PUNCHCARD_FAILPOINT": failpoint} if failpoint else {})
    label = label or (names[0] if len(names) == 1 else "services")
    with running_process(
        command,
        made.logs,
        name=label,
        env=environment,
        stop_signal=signal.SIGTERM,
        stop_seconds=LEAVING_SECONDS,
        fresh_log=False,
    ) as process:
        wait_for(
            label,
            lambda: _ready(url, names),
            seconds=START_SECONDS,
            alive=process.alive,
            last_words=process.last_words,
        )
        yield process


def _ready(url: str, names: tuple[str, ...]) -> bool | None:
    try:
        with here.client(base_url=url, timeout=2) as http:
            answers = [http.get(f"/{name}/health/ready") for name in names]
    except httpx.TransportError:
        return None
    return all(answer.status_code == 200 for answer in answers) or None


def _database_urls(postgres_url: str, prefix: str) -> dict[str, str]:
    server = urlsplit(postgres_url)
    place = f"{server.hostname}:{server.port or 5432}"
    return {
        name: f"postgresql://{prefix}_{name}:{secrets.token_urlsafe(16)}@{place}/{prefix}_{name}" for name in SERVICES
    }


async def bank_account(made: System, business_id: UUID, name: str, now: datetime | None = None) -> dict[str, Any]:
    """Open an account for a business at the practice bank; what it then puts to `/directdebit/v1/provider`.

    With `now`, in the zone of the business, the bank keeps a practice clock for it; else it is in real time there.
    """
    callback_url = f"{made.urls['directdebit']}/directdebit/v1/providers/{business_id}/callbacks"
    secret = secrets.token_hex(16)
    account = {
        "name": name,
        "callback_url": callback_url,
        "callback_secret": secret,
        "reference": str(business_id),
        "now": now and now.isoformat(),
    }
    async with here.async_client() as http:
        answer = (await http.post(f"{made.bank_url}/practice/creditors", json=account)).raise_for_status()
    return {"access_token": answer.json()["creditors"]["access_token"], "callback_secrets": [secret]}


def _encryption_key(state: Path) -> str:
    """Kept with the data that it opens."""
    file = state / "encryption.key"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(b64encode(secrets.token_bytes(32)).decode())
    return file.read_text()


def _environment(made: System, amqp_url: str | None, prefix: str) -> dict[str, str]:
    """Everything the services need to know, as they would be told in production: by the environment."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PUNCHCARD_")}
    databases = {f"PUNCHCARD_DATABASE_URL__{name.upper()}": url for name, url in made.database_urls.items()}
    return {
        **own,
        **databases,
        "PYTHONPATH": str(ROOT),
        "PUNCHCARD_ENVIRONMENT": "development",
        "PUNCHCARD_BUS_URL": amqp_url or "local:",
        "PUNCHCARD_BUS_PREFIX": f"{prefix}.",
        "PUNCHCARD_JWKS": str(made.issuer.jwks),
        "PUNCHCARD_TOKEN_ISSUER": DEVELOPMENT_ISSUER,
        "PUNCHCARD_PROVIDER_URL": made.bank_url,
        "PUNCHCARD_ENCRYPTION_KEYS": json.dumps([_encryption_key(made.logs.parent)]),
        "PUNCHCARD_SMTP_URL": made.mail.url,
    }


def _provision(postgres_url: str, urls: dict[str, str]) -> None:
    """What `python -m services databases` does; in a thread, since here a loop may run already."""
    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, provision(postgres_url, urls)).result()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ServerFailed(f"the databases could not be made: {error!r}") from error
