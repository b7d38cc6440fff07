"""The whole system on one machine: databases, bank, mail sink, and the services in one process or in six."""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from deploy.local.issuer import Issuer
from deploy.local.kept import Process, running
from deploy.local.mail import MailSink
from deploy.local.servers import ROOT, ServerFailed, free_ports, wait_for
from deploy.practice_bank import running as running_bank
from shared.settings import DEVELOPMENT_ISSUER

SERVICES = ("catalog", "packages", "booking", "billing", "directdebit", "notify")
TOGETHER = (SERVICES,)
APART = tuple((name,) for name in SERVICES)
START_SECONDS = 60


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


@contextmanager
def system(
    state: Path,
    postgres_url: str,
    amqp_url: str | None,
    *,
    groups: Sequence[Sequence[str]] = TOGETHER,
    start: bool = True,
    prefix: str = "punchcard",
) -> Iterator[System]:
    """Start everything and wait until it is ready; stop it on leaving.

    Each group of services shares a process; more than one needs a broker. With `start=False` all is prepared, and
    no service runs. `prefix` names databases, logins and queues.
    """
    logs = state / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    ports = zip(groups, free_ports(len(groups)), strict=True)
    urls = {name: f"http://127.0.0.1:{port}" for group, port in ports for name in group}
    with ExitStack() as stack:
        bank_url = stack.enter_context(running_bank(state / "bank"))
        mail = stack.enter_context(MailSink(folder=state / "mail"))
        callback_secret = secrets.token_hex(16)
        made = System(
            urls,
            _database_urls(postgres_url, prefix),
            Issuer(state / "issuer"),
            bank_url,
            mail,
            logs,
            environment={},
        )
        token = _creditor(bank_url, f"{urls['directdebit']}/directdebit/v1/callbacks", callback_secret)
        made.environment = _environment(made, amqp_url, prefix, token, callback_secret)
        _provision(postgres_url, made.environment)
        for group in groups if start else ():
            stack.enter_context(served(made, *group))
        yield made


@contextmanager
def served(made: System, *names: str, failpoint: str | None = None) -> Iterator[Process]:
    """Run some services in one process until the block is left; `failpoint` says where it shall die (for tests)."""
    port = str(urlsplit(made.urls[names[0]]).port)
    command = [sys.executable, "-m", "services", "run", *names, "--port", port]
    environment = made.environment | ({"PUNCHCARD_FAILPOINT": failpoint} if failpoint else {})
    label = names[0] if len(names) == 1 else f"{len(names)} services"
    with running(command, made.logs, name=label, env=environment, stop_signal=signal.SIGTERM) as process:
        wait_for(
            " and ".join(names),
            lambda: _ready(made, names),
            seconds=START_SECONDS,
            alive=process.alive,
            last_words=process.last_words,
        )
        yield process


def _ready(made: System, names: tuple[str, ...]) -> bool | None:
    try:
        answers = [httpx.get(f"{made.urls[name]}/{name}/health/ready", timeout=2) for name in names]
    except httpx.TransportError:
        return None
    return all(answer.status_code == 200 for answer in answers) or None


def _database_urls(postgres_url: str, prefix: str) -> dict[str, str]:
    server = urlsplit(postgres_url)
    place = f"{server.hostname}:{server.port or 5432}"
    return {
        name: f"postgresql://{prefix}_{name}:{secrets.token_urlsafe(16)}@{place}/{prefix}_{name}" for name in SERVICES
    }


def _creditor(bank_url: str, callback_url: str, callback_secret: str) -> str:
    """Open an account at the practice bank that calls us back; return its access token."""
    account = {"name": "Punchcard", "callback_url": callback_url, "callback_secret": callback_secret}
    answer = httpx.post(f"{bank_url}/practice/creditors", json=account).raise_for_status()
    token: str = answer.json()["creditors"]["access_token"]
    return token


def _environment(
    made: System, amqp_url: str | None, prefix: str, provider_token: str, callback_secret: str
) -> dict[str, str]:
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
        "PUNCHCARD_PROVIDER_TOKEN": provider_token,
        "PUNCHCARD_CALLBACK_SECRETS": json.dumps([callback_secret]),
        "PUNCHCARD_SMTP_URL": made.mail.url,
    }


def _provision(postgres_url: str, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "services", "databases", postgres_url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"the databases could not be made: {(done.stderr or done.stdout).strip()[-500:]}")
