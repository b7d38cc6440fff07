"""The composition root: `python -m services run all`, or `run billing` for a replica of one.

Composition only: the same services over the same bus, in one process or in six.
"""

import gc

if __name__ == "__main__":
    gc.disable()  # what is imported stays: to look through it again and again takes a quarter of the start

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from services.billing.main import service as billing
from services.booking.main import service as booking
from services.catalog.main import service as catalog
from services.commands import Site, add_commands
from services.directdebit.main import service as directdebit
from services.notify.main import service as notify
from services.packages.main import service as packages
from shared import log
from shared.auth import Keys
from shared.bus import Bus
from shared.bus.local import LocalBus
from shared.bus.rabbit import RabbitBus
from shared.http.problems import of_the_web
from shared.provision import provision
from shared.service import REQUESTS_SECONDS, Running
from shared.settings import NotConfigured, OperatorSettings, Settings, load

SERVICES = {service.name: service for service in (catalog, packages, booking, billing, directdebit, notify)}
SUBSCRIPTIONS = {service.name: service.subscriptions for service in SERVICES.values()}


def _bus(settings: Settings, names: Sequence[str]) -> Bus:
    url = settings.bus_url.get_secret_value()
    if url != "local:":
        return RabbitBus(url, SUBSCRIPTIONS, settings.bus_prefix)
    if set(names) != set(SERVICES):
        raise NotConfigured(
            "The embedded bus lives within one process: use `run all`, or set PUNCHCARD_BUS_URL=amqp://…"
        )
    return LocalBus(SUBSCRIPTIONS)


def application(settings: Settings, names: Sequence[str]) -> Starlette:
    """The ASGI app of some services, each under its own prefix: `/booking/v1/…`."""
    bus = _bus(settings, names)
    keys = Keys(settings.jwks, settings.token_issuer, settings.token_audience)
    running = [Running(SERVICES[name], settings, bus, keys) for name in names]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await keys.fetch()
        await asyncio.gather(*(service.start() for service in running))
        yield
        await asyncio.gather(*(service.leave() for service in running))

    async def index(_: Request) -> JSONResponse:
        return JSONResponse({name: {"docs": f"/{name}/docs", "openapi": f"/{name}/openapi.json"} for name in names})

    mounts = [Mount(f"/{name}", service.app) for name, service in zip(names, running, strict=True)]
    handlers = {HTTPException: of_the_web}
    return Starlette(routes=[Route("/", index), *mounts], exception_handlers=handlers, lifespan=lifespan)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="punchcard", description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--secrets", type=Path, help="a folder with a file per secret setting")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="serve one or more services, or all")
    run.add_argument("service", nargs="+", choices=[*SERVICES, "all"])
    run.add_argument("--host", default="127.0.0.1")
    run.add_argument("--port", type=int, default=8000)
    databases = verbs.add_parser("databases", help="create each service's login and database")
    databases.add_argument("admin_url", help="postgresql://… of a login that may create roles and databases, or @file")
    add_commands(verbs, SERVICES)
    if unread := [word for word in arguments if word.startswith("@") and not Path(word[1:]).is_file()]:
        parser.error(f"there is no file {unread[0][1:]} to read an argument from")
    asked = parser.parse_args(arguments)

    log.configure()
    settings = load(asked.secrets, Settings if asked.verb == "run" else OperatorSettings)
    if asked.verb == "databases":
        urls = {name: url.get_secret_value() for name, url in settings.database_url.items()}
        asyncio.run(provision(asked.admin_url, urls))
        return
    if "command" in asked:
        asyncio.run(asked.command(asked, Site(SERVICES, settings)))
        return
    names = list(SERVICES) if "all" in asked.service else asked.service
    app = application(settings, names)
    uvicorn.run(
        app,
        host=asked.host,
        port=asked.port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=REQUESTS_SECONDS,
    )


if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    main(sys.argv[1:])
