"""What an operator does besides running services: a function per command of `python -m services`.

When to do what is told in `docs/runbooks/`. Each works on the databases alone, while services run or not, and may be
repeated; only `dead drain` asks the broker, and `restore adopt` the provider.
"""

import argparse
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from datetime import date
from functools import partial
from uuid import UUID

import orjson
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from services import waiting
from services.catalog.actions import tell_again
from services.directdebit.actions import restoring
from services.directdebit.actions.rotating import Rotated, rotate
from services.restore import adopt_all
from shared import dead_letters
from shared.bus.rabbit import RabbitBus
from shared.database import Context, Database
from shared.dead_letters import Chosen
from shared.housekeeping import businesses, forget, purge
from shared.migrations import migrate
from shared.outbox import replay
from shared.service import Service
from shared.settings import NotConfigured, Settings

DEAD_LINE = "{:<12} {:<36} {:>7} {:>7}  {:<18} {:<18} {:<36} {}\n"
DEAD_HEAD = ("service", "type", "events", "parked", "oldest", "newest", "oldest_id", "error")
WORK_LINE = "{:<12} {:<10} {:>7} {:>8}  {:<25} {:<36} {}\n"
PERSON_LINE = "{:<12} {:<36} {:<10} {:<36} {:<10} {}\n"
NO_INTERVAL = {"22007", "22008", "22015"}
"""What PostgreSQL says of a text that is none."""


@dataclass(frozen=True)
class Site:
    """What a command works on."""

    services: Mapping[str, Service]
    settings: Settings

    @asynccontextmanager
    async def databases(self, *names: str, reading: bool = False) -> AsyncIterator[dict[str, Database]]:
        """The databases of these services, or of all that are configured. Who only reads can do without some."""
        names = names or tuple(name for name in self.services if name in self.settings.database_url)
        async with AsyncExitStack() as stack:
            opened = {}
            for name in names:
                if name not in self.settings.database_url:
                    raise NotConfigured(f"Set {_setting(name)}.")
                opened[name] = Database(self.settings.database_url[name].get_secret_value(), pool_size=1)
                stack.push_async_callback(opened[name].close)
            away = {name: line for name, database in opened.items() if (line := await _trouble(name, database))}
            try:
                if reading or not away:
                    yield {name: database for name, database in opened.items() if name not in away}
            finally:
                if away:
                    raise SystemExit("\n".join(away.values()))

    def need(self, *names: str) -> None:
        """Raises NotConfigured where a setting is missing that this command needs."""
        if missing := [f"PUNCHCARD_{name.upper()}" for name in names if not getattr(self.settings, name)]:
            raise NotConfigured(f"Set {', '.join(missing)}.")


async def _trouble(name: str, database: Database) -> str | None:
    """Why a database cannot be opened, asked before anything is done; the password is not in the answer."""
    try:
        async with database.engine.connect():
            return None
    except Exception as error:  # noqa: BLE001 — whatever it is, a person is to look at the setting
        cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig else None
        url = make_url(database.url)
        where = f"{url.host}:{url.port or 5432}"
        return f"{name}: cannot reach {where} ({type(cause or error).__name__}); check {_setting(name)}"


def _setting(name: str) -> str:
    return f"PUNCHCARD_DATABASE_URL__{name.upper()}"


def _day(word: str) -> date:
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is no day: write YYYY-MM-DD") from None


Command = Callable[[argparse.Namespace, Site], Awaitable[None]]


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", services: Iterable[str]) -> None:
    """The commands, as the command line knows them."""
    one_or_all = [*services, "all"]
    again = _add(verbs, "replay", send_again, "send again what a service published lately; who knows a fact drops it")
    again.add_argument("service", choices=one_or_all)
    again.add_argument("--since", default="2 hours", help="an interval of PostgreSQL, such as '2 hours'")
    waits = _add(verbs, "waiting", list_waiting, "work that is not done yet, and what only a person can settle")
    waits.add_argument("service", nargs="?", default="all", choices=one_or_all)
    removal = _add(verbs, "purge", remove_old, "remove and forget now what is past its time")
    removal.add_argument("service", nargs="?", default="all", choices=one_or_all)
    copies = _add(verbs, "republish", tell_copies, "tell the whole of a service's book again, for copies in doubt")
    copies.add_argument("service", choices=["catalog"])
    copies.add_argument("--business", type=UUID, help="of one business alone")
    copies.add_argument("--by", required=True, help="who does it: stands as the actor in the facts")
    keys = _add(verbs, "rotate", close_anew, "close all secrets under the first of PUNCHCARD_ENCRYPTION_KEYS")
    keys.add_argument("what", choices=["keys"])
    restored = verbs.add_parser("restore", help="after a service was restored from a backup")
    steps = restored.add_subparsers(required=True)
    forgotten = _add(steps, "adopt", adopt_forgotten, "know again what the provider has, and the backup has not")
    forgotten.add_argument("--since", type=_day, required=True, help="YYYY-MM-DD, a day before the backup")
    for step in (
        _add(steps, "hold", hold_sending, "send nothing to the provider"),
        forgotten,
        _add(steps, "release", release_sending, "send to the provider again"),
    ):
        step.add_argument("--by", required=True, help="who does it")
    dead = verbs.add_parser("dead", help="events that could not be handled").add_subparsers(required=True)
    _add(dead, "list", list_dead, "how many there are, by service, type and error")
    _add(dead, "show", show_dead, "one of them, whole").add_argument("id", type=UUID)
    _add(dead, "drain", drain_dead, "take what the broker gave up into the databases")
    changes: dict[dead_letters.Act, str] = {
        "replay": "have events tried again from now on",
        "park": "have events tried no more",
    }
    for act, told in changes.items():
        change = _add(dead, act, partial(change_dead, act), told)
        change.add_argument("--service", choices=one_or_all, default="all")
        change.add_argument("--id", type=UUID)
        change.add_argument("--type")
        change.add_argument("--error", help="as `dead list` shows it")
        change.add_argument("--by", required=True, help="who does it")
        change.add_argument("--why", required=True)


def _add(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, command: Command, told: str
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.")
    parser.set_defaults(command=command)
    return parser


def _named(asked: argparse.Namespace) -> tuple[str, ...]:
    return () if asked.service == "all" else (asked.service,)


async def send_again(asked: argparse.Namespace, site: Site) -> None:
    async with site.databases(*_named(asked)) as databases:
        for name, database in databases.items():
            try:
                facts = await replay(database, asked.since)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in NO_INTERVAL:
                    raise
                raise SystemExit(f"{asked.since!r} is no interval: write '26 hours' or '3 days'") from None
            sys.stdout.write(f"{name}: {facts} facts wait to be sent again\n")


async def list_waiting(asked: argparse.Namespace, site: Site) -> None:
    """Two lists, the second only where there is something in it."""
    people = []
    async with site.databases(*_named(asked), reading=True) as databases:
        sys.stdout.write(WORK_LINE.format("service", "work", "pieces", "attempts", "due", "first_id", "error"))
        for name, database in databases.items():
            for row in await waiting.work(database):
                line = (name, row.kind, row.pieces, row.attempts, str(row.due_at), str(row.first_id), row.error)
                sys.stdout.write(WORK_LINE.format(*line))
            people += [(name, *found) for found in await waiting.for_a_person(name, database)]
        if people:
            sys.stdout.write("\n" + PERSON_LINE.format("service", "business", "waits", "id", "since", "about"))
        for name, business_id, row in people:
            sys.stdout.write(PERSON_LINE.format(name, business_id, row.what, row.id, str(row.since_date), row.about))


async def remove_old(asked: argparse.Namespace, site: Site) -> None:
    async with site.databases(*_named(asked)) as databases:
        for name, database in databases.items():
            removed = await purge(database) | await forget(database, site.services[name].forgets)
            sys.stdout.write(f"{name}: {', '.join(f'{many} of {what}' for what, many in removed.items())}\n")


async def tell_copies(asked: argparse.Namespace, site: Site) -> None:
    facts = 0
    async with site.databases(asked.service) as databases:
        database = databases[asked.service]
        for business_id in [asked.business] if asked.business else await businesses(database):
            async with database.transaction(Context(business_id, f"operator:{asked.by}")) as db:
                facts += await tell_again(db)
    sys.stdout.write(f"{facts} facts wait to be sent\n")


async def close_anew(_: argparse.Namespace, site: Site) -> None:
    """Raises SystemExit where something could not be opened."""
    site.need("encryption_keys")
    rotated = Rotated()
    async with site.databases("directdebit") as databases:
        database = databases["directdebit"]
        for business_id in await businesses(database):
            async with database.transaction(Context(business_id, "operator:rotate")) as db:
                await rotate(db, site.settings.seal(), rotated)
    sys.stdout.write(f"{rotated.renewed} secrets are closed anew\n")
    if rotated.refused:
        raise SystemExit(f"{rotated.refused} could not be opened, and are as they were: see the log")


async def hold_sending(asked: argparse.Namespace, site: Site) -> None:
    """Before directdebit starts: a backup may be of an earlier version, which knows no holding."""
    async with site.databases("directdebit") as databases:
        await migrate("directdebit", site.settings.database_url["directdebit"].get_secret_value())
        for context in await _by(asked, databases["directdebit"]):
            async with databases["directdebit"].transaction(context) as db:
                await restoring.hold(db, asked.by)
    sys.stdout.write("nothing is sent to the provider until it is released\n")


async def adopt_forgotten(asked: argparse.Namespace, site: Site) -> None:
    """Raises SystemExit where a person has to decide."""
    site.need("provider_url", "encryption_keys")
    adopted, left = 0, list[str]()
    async with site.databases("directdebit", "billing") as databases:
        for context in await _by(asked, databases["directdebit"]):
            of_one, unclear = await adopt_all(databases, site.settings, context, asked.since)
            adopted, left = adopted + of_one, left + unclear
    sys.stdout.write(f"{adopted} debits are known again\n" + "".join(f"{line}\n" for line in left))
    if left:
        raise SystemExit(f"{len(left)} payments are for a person to decide: see docs/runbooks/restore.md")


async def release_sending(asked: argparse.Namespace, site: Site) -> None:
    async with site.databases("directdebit") as databases:
        for context in await _by(asked, databases["directdebit"]):
            async with databases["directdebit"].transaction(context) as db:
                await restoring.release(db)
    sys.stdout.write("what waited goes out\n")


async def _by(asked: argparse.Namespace, database: Database) -> list[Context]:
    """Each business, and who does it."""
    return [Context(business_id, f"operator:{asked.by}") for business_id in await businesses(database)]


async def list_dead(_: argparse.Namespace, site: Site) -> None:
    async with site.databases(reading=True) as databases:
        sys.stdout.write(DEAD_LINE.format(*DEAD_HEAD))
        for name, database in databases.items():
            for row in await dead_letters.groups(database):
                ages = (str(row.oldest), str(row.newest), str(row.oldest_id or "-"))
                sys.stdout.write(DEAD_LINE.format(name, row.type, row.events, row.parked, *ages, row.error))


async def show_dead(asked: argparse.Namespace, site: Site) -> None:
    """Raises SystemExit where there is none."""
    async with site.databases(reading=True) as databases:
        found = {name: await dead_letters.find(database, asked.id) for name, database in databases.items()}
        shown = {name: row for name, row in found.items() if row}
        if not shown:
            raise SystemExit("No service has a failed event with this id.")
        for row in shown.values():
            if row["business_id"]:
                row["envelope"] = orjson.loads(row["envelope"])
        sys.stdout.write(orjson.dumps(shown, default=str, option=orjson.OPT_INDENT_2).decode() + "\n")


async def change_dead(act: dead_letters.Act, asked: argparse.Namespace, site: Site) -> None:
    """Raises SystemExit where nothing is chosen: nobody means all that ever failed."""
    chosen = Chosen(**{field.name: getattr(asked, field.name) for field in fields(Chosen)})
    if chosen == Chosen():
        raise SystemExit("Say which: --id, --type or --error.")
    async with site.databases(*_named(asked)) as databases:
        for name, database in databases.items():
            if changed := await dead_letters.act(database, act, chosen, by=asked.by, why=asked.why):
                sys.stdout.write(f"{name}: {changed} {'are due now' if act == 'replay' else 'are parked'}\n")


async def drain_dead(_: argparse.Namespace, site: Site) -> None:
    """What came from no subscriber's queue goes to the first service, as bytes, for a person."""
    url = site.settings.bus_url.get_secret_value()
    if url == "local:":
        raise NotConfigured("The embedded bus has no last net: set PUNCHCARD_BUS_URL=amqp://…")
    subscriptions = {name: service.subscriptions for name, service in site.services.items()}
    bus = RabbitBus(url, subscriptions, site.settings.bus_prefix)
    async with site.databases(*site.services) as databases:
        first = next(iter(databases.values()))

        async def keep(body: bytes, service: str, reason: str) -> None:
            error = f"given up by the broker: {reason or 'it does not say why'}"
            await dead_letters.keep(databases.get(service, first), body, error, service in databases)

        drained = await bus.drain(keep)
    sys.stdout.write(f"{drained} messages are parked\n")
