"""`./dev audit`: is every session and every cent there, and do all services and the bank say the same of it?"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

import typer

from deploy.audit.auditing import audit_all
from deploy.local.running.observer import Observer
from deploy.local.running.state import STATE, Addresses, State, from_caller, read_addresses
from deploy.local.running.system import PREFIX, SERVICES
from deploy.local.servers.postgres import postgres
from deploy.local.up import POSTGRES
from deploy.practice_bank import running_bank
from shared.housekeeping import LOG_DAYS


def audit(
    business: Annotated[UUID | None, typer.Option(help="Which business; else all of them.")] = None,
    log_days: Annotated[int, typer.Option(min=1, help="For how long the event logs are kept.")] = LOG_DAYS,
    again_after: Annotated[float, typer.Option(min=0, help="Seconds until a finding is looked at again.")] = 3.0,
    state: State = STATE,
) -> None:
    """Audit the system that ./dev up runs, or the data it has kept. Ends with 1 if anything is wrong."""
    with _to_look_into(from_caller(state)) as addresses:
        raise typer.Exit(asyncio.run(_audited(addresses, business, log_days, again_after)))


async def _audited(addresses: Addresses, only: UUID | None, log_days: int, again_after: float) -> int:
    observer = Observer(addresses)
    try:
        urls = addresses.database_urls
        return await audit_all(urls, observer.bank_log, log_days=log_days, again_after=again_after, only=only)
    finally:
        await observer.close()


@contextmanager
def _to_look_into(state: Path) -> Iterator[Addresses]:
    """Where the system runs; else its databases and its bank are started on the folder, and no service."""
    if running := read_addresses(state):
        yield running
        return
    given, data = os.environ.get(POSTGRES), state / "postgres"
    if not given and not data.exists():
        typer.echo(f"dev: nothing is kept in {state}: run ./dev demo or ./dev up first", err=True)
        raise typer.Exit(2)
    with postgres(given, data, durable=True) as server, running_bank(state / "bank") as bank_url:
        yield Addresses({}, _as_administrator(server.url), bank_url)


def _as_administrator(url: str) -> dict[str, str]:
    return {name: urlsplit(url)._replace(path=f"/{PREFIX}_{name}").geturl() for name in SERVICES}
