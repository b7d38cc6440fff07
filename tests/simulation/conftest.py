"""The world of the simulation: six services, a bank and a post office in this process, on the worker's databases."""

import asyncio
import logging
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import httpx
import pytest
import structlog
import uvloop
from pydantic import SecretStr

from deploy.audit.reading import DEFINITIONS
from deploy.local.running.issuer import Issuer
from deploy.local.running.observer import Observer
from deploy.local.running.system import SERVICES
from services.directdebit.bank.gocardless import GoCardless
from services.notify.channels.email import Email
from shared import failpoints
from shared.auth import Keys
from shared.bus.local import LocalBus
from shared.http import calls
from shared.migrations import migrate
from shared.service import Running
from shared.settings import DEVELOPMENT_ISSUER, Settings
from tests.harness.databases import Databases
from tests.harness.logs import quiet
from tests.simulation.bank import URL, OwnBank
from tests.simulation.dying import Failpoints
from tests.simulation.machine import Simulation
from tests.simulation.world import Post, World


@pytest.fixture(scope="module")
def seams() -> Iterator[pytest.MonkeyPatch]:
    """Where the services meet what is not in this process, and where they would wait for it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "COPY_WAIT_SECONDS", -1.0)  # what has not come will not come while one waits
        yield patch
    quiet()


@pytest.fixture(scope="module")
def simulation(
    seams: pytest.MonkeyPatch, databases: Databases, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Simulation]]:
    """Makes one life after the other, all in one world."""
    bank, doom, post = OwnBank(tmp_path_factory.mktemp("bank")), Failpoints(), Post()
    reach = GoCardless.of
    seams.setattr(failpoints, "hit", doom.hit)
    seams.setattr(Email, "of", lambda _: post)
    seams.setattr(GoCardless, "of", lambda *whose: replace(reach(*whose), transport=bank.line))
    loop = uvloop.new_event_loop()
    try:
        world, observer = loop.run_until_complete(_made(loop, databases, issuer, bank, doom))
        yield partial(Simulation, world, issuer, observer)
        loop.run_until_complete(observer.close())
        loop.run_until_complete(world.close())
    finally:
        loop.close()


async def _made(
    loop: asyncio.AbstractEventLoop, databases: Databases, issuer: Issuer, bank: OwnBank, doom: Failpoints
) -> tuple[World, Observer]:
    settings = Settings(
        environment="development",
        database_url={name: SecretStr(databases.url(name)) for name in SERVICES},
        bus_url=SecretStr("local:"),
        jwks=str(issuer.jwks),
        token_issuer=DEVELOPMENT_ISSUER,
        provider_url=URL,
        encryption_keys=[SecretStr(b64encode(secrets.token_bytes(32)).decode())],
        smtp_url="smtp://post.test:25",
    )
    keys = Keys(settings.jwks, settings.token_issuer, settings.token_audience)
    await databases.make(*SERVICES)
    for name in SERVICES:
        await migrate(name, databases.url(name))
    running = {name: Running(DEFINITIONS[name], settings, LocalBus({}), keys) for name in SERVICES}
    observer = Observer(_Places({name: databases.url(name) for name in SERVICES}))
    await observer.bank.aclose()
    observer.bank = httpx.AsyncClient(base_url=URL, transport=bank.line)
    return World(loop, running, settings, bank, doom), observer


class _Places:
    """Where the observer looks."""

    bank_url = URL

    def __init__(self, database_urls: dict[str, str]) -> None:
        self.database_urls = database_urls
