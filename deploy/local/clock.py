"""`./dev clock`: how late it is at a business on a test clock, and its days going by."""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local.running import here
from deploy.local.running.issuer import Issuer
from deploy.local.running.observer import NotQuiet, Observer
from deploy.local.running.state import STATE, Addresses, State, current_business, from_caller, read_addresses
from shared.clock import BusinessClock

DAY_SECONDS = 60.0
LAST_DAY = date(2099, 12, 30)
"""Catalog's clocks end with the century, wherever the business is."""

Put = Callable[[datetime], Awaitable[object]]
"""Sets the test clock to an instant."""
DayOver = Callable[[date], None]
"""Hears of each day that is over."""
Business = Annotated[UUID | None, typer.Option(help="Which business; else the newest demo's.")]
Seconds = Annotated[float, typer.Option(min=0.1, help="How long a day may take until all is quiet.")]

clock = typer.Typer(help="Show or advance the test clock of a business, while ./dev up runs.", no_args_is_help=True)


class Refused(Exception):
    """There is nothing that could be done; the message says what would help."""


class Stuck(AssertionError):
    """A day did not come to rest: what is not quiet, a line for each."""

    def __init__(self, day: date, lines: list[str], parked: list[str]) -> None:
        super().__init__(f"{in_words(day)}: {'; '.join(lines + parked)}")
        self.day, self.lines, self.parked = day, lines, parked


async def advance(
    observer: Observer,
    business_id: UUID,
    put: Put,
    *,
    since: datetime,
    until: date,
    told: DayOver = lambda day: None,
    jump: bool = False,
    seconds: float = DAY_SECONDS,
) -> None:
    """Live on to a date, at the same time of day: a day at a time, each when the one before is quiet, or in one step.

    `since` is where the clock stands, in the zone of the business. Raises Stuck, and leaves the clock where it is then.
    """
    today = since.date()
    await _come_to_rest(observer, business_id, today, seconds)
    steps = [until] if jump else [today + timedelta(days=count) for count in range(1, (until - today).days + 1)]
    for day in steps:
        now = datetime.combine(day, since.time().replace(fold=0), since.tzinfo)
        await move(observer, business_id, now, put, partial(_come_to_rest, observer, business_id, today, seconds))
        today = day
        await _come_to_rest(observer, business_id, today, seconds)
        told(day)


async def move(
    observer: Observer, business_id: UUID, now: datetime, put: Put, rest: Callable[[], Awaitable[None]] | None = None
) -> None:
    """It becomes so late at the bank first, and at the business when all that the bank tells is taken in.

    Without `rest`, which waits for that, it becomes so late at the business at once.
    """
    if await _move_bank(observer.bank, business_id, now) and rest:
        await rest()
    await put(now)


async def _move_bank(http: httpx.AsyncClient, business_id: UUID, now: datetime) -> bool:
    """Let the days pass at the practice bank for a business, up to this instant; whether it then has things to tell.

    Where the bank does not know the business, has it in real time, or is there already, nothing happens.
    """
    eventful = 0
    found = await http.get("/practice/creditors", params={"reference": str(business_id)})
    for creditor in found.raise_for_status().json()["creditors"]:
        if creditor["now"] and datetime.fromisoformat(creditor["now"]) < now:
            moved = await http.put(f"/practice/creditors/{creditor['id']}/clock", json={"now": now.isoformat()})
            eventful += moved.raise_for_status().json()["meta"]["eventful_days"]
    return eventful > 0


async def _come_to_rest(observer: Observer, business_id: UUID, day: date, seconds: float) -> None:
    lines: list[str] = []
    try:
        await observer.until_quiet(business_id, seconds)
    except NotQuiet as trouble:
        lines = list(_moving(trouble.unrest))
    parked = [
        f"{service}: parked, it waits for a person: {kind}, {many}"
        for service, rows in (await observer.parked(business_id)).items()
        for kind, many in Counter(row.type for row in rows).items()
    ]
    if lines or parked:
        raise Stuck(day, lines, parked)


def _moving(unrest: Mapping[str, Any]) -> Iterator[str]:
    """`billing: work to do: bill, 3`: the service, the kind, how many."""
    for what, found in unrest.items():
        if isinstance(found, Counter):
            yield from (f"{service}: {what}: {kind}, {many}" for (service, kind), many in found.items())
        elif isinstance(found, list):
            yield from (f"{what}: {kind}, {many}" for kind, many in found)
        else:
            yield f"{what}: {found}"


# The commands


@dataclass(frozen=True)
class At:
    """A business that runs, and the ways to ask it."""

    http: httpx.AsyncClient
    """Asks catalog, as an owner; with a whole address any service."""
    addresses: Addresses
    observer: Observer
    business_id: UUID
    name: str
    zone: str
    test_now: datetime | None

    @property
    def now(self) -> datetime:
        """How late it is there, in its own zone."""
        return BusinessClock(self.zone, self.test_now).now()

    async def put(self, now: datetime) -> None:
        await ask(self.http, "PUT", "business/clock", {"now": now.isoformat()})


@clock.command()
def show(business: Business = None, state: State = STATE) -> None:
    """Say which day and time it is at the business, and whether all is quiet there."""

    async def tell(at: At) -> None:
        now = at.now
        kind = "on a test clock" if at.test_now else "in real time"
        typer.echo(f"{at.name}: {in_words(now.date())}, {now:%H:%M}, {at.zone}, {kind}")
        unrest = await at.observer.unrest(at.business_id)
        parked = await at.observer.parked(at.business_id)
        typer.echo("\n".join(["not quiet:", *(f"  {line}" for line in _moving(unrest))]) if unrest else "quiet")
        for service, rows in parked.items():
            typer.echo(f"{service}: parked: " + "; ".join(f"{row.type}: {row.error}" for row in rows))

    run_at(from_caller(state), business, tell)


@clock.command("advance")
def advance_command(
    to: Annotated[str, typer.Argument(metavar="DATE|DAYS", help="2022-09-30, or how many days.")],
    jump: Annotated[bool, typer.Option("--jump", help="In one step, instead of a day at a time.")] = False,
    seconds: Seconds = DAY_SECONDS,
    business: Business = None,
    state: State = STATE,
) -> None:
    """Let days go by: each begins when all that the one before brought is done."""

    async def go(at: At) -> None:
        if at.test_now is None:
            raise Refused(
                f"{at.name} lives in real time. A test clock is given with the first description of a business:"
                " PUT /catalog/v1/business with a test_now, and the token of a new business:"
                " ./dev token --business with a new UUID"
            )
        since = at.now
        until = _target(to, since.date())
        with _shown(1 if jump else (until - since.date()).days) as told:
            await advance(
                at.observer,
                at.business_id,
                at.put,
                since=since,
                until=until,
                told=told,
                jump=jump,
                seconds=seconds,
            )

    run_at(from_caller(state), business, go)


def _target(to: str, today: date) -> date:
    """The date that is meant. Raises Refused."""
    try:
        until = today + timedelta(days=int(to)) if re.fullmatch(r"[0-9]{1,6}", to) else date.fromisoformat(to)
    except (ValueError, OverflowError):
        raise Refused(f"{to!r} is neither a date such as 2022-09-30 nor a number of days") from None
    if until <= today:
        raise Refused(f"it is {in_words(today)} there already, and a test clock only moves forward")
    if until > LAST_DAY:
        raise Refused(f"a test clock goes no further than {in_words(LAST_DAY)}")
    return until


def in_words(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B %Y}"


@contextmanager
def _shown(steps: int) -> Iterator[DayOver]:
    """Shows the days that are over: a bar on a terminal, else a line for each."""
    console = Console(no_color=not sys.stdout.isatty())
    columns = (TextColumn("{task.description:<28}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=steps)

        def told(day: date) -> None:
            bar.update(task, advance=1, description=in_words(day))
            if not console.is_terminal:
                console.print(in_words(day), highlight=False)

        yield told


def run_at(state: Path, business: UUID | None, act: Callable[[At], Awaitable[None]]) -> None:
    """Act on a business of the running system; what goes wrong is told in sentences."""

    async def at_it() -> None:
        async with _at(state, business) as at:
            await act(at)

    try:
        asyncio.run(at_it())
    except Refused as refused:
        typer.echo(f"dev: {refused}", err=True)
        raise typer.Exit(2) from None
    except httpx.TransportError:
        typer.echo(f"dev: the system of {state} does not answer: start ./dev up first", err=True)
        raise typer.Exit(2) from None
    except Stuck as stuck:
        typer.echo("\n".join(_told(stuck, state)), err=True)
        raise typer.Exit(1) from None


def _told(stuck: Stuck, state: Path) -> Iterator[str]:
    """What is not quiet, and what to do next."""
    yield f"dev: it is {in_words(stuck.day)}, and not quiet:"
    yield from (f"  {line}" for line in stuck.lines + stuck.parked)
    if stuck.parked:
        yield "dev: ./dev clock show says why an event is parked; it stays in the service's inbox_failed until it is"
        yield "     handled or removed, and the clock stands as long"
    yield f"dev: the services' logs are in {state / 'logs'}; when the cause is gone, advance to the date you meant"


@asynccontextmanager
async def _at(state: Path, business: UUID | None) -> AsyncIterator[At]:
    addresses = read_addresses(state)
    if addresses is None:
        raise Refused(f"nothing runs on {state}: start ./dev up first")
    business_id = business or current_business(state)
    headers = {"Authorization": f"Bearer {Issuer(state / 'issuer').staff(business_id)}"}
    url = f"{addresses.urls['catalog']}/catalog/v1/"
    observer = Observer(addresses)
    try:
        async with here.async_client(base_url=url, headers=headers, timeout=30) as http:
            profile = await ask(http, "GET", "business")
            test_now = profile["test_now"] and datetime.fromisoformat(profile["test_now"])
            yield At(http, addresses, observer, business_id, profile["name"], profile["zone"], test_now)
    finally:
        await observer.close()


async def ask(http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    """The document of an answer. Raises Refused."""
    answer = await http.request(method, path, json=body)
    if answer.status_code == 404:
        raise Refused("no business is described there: PUT /catalog/v1/business with a test_now, or run ./dev demo")
    if not answer.is_success:
        raise Refused(f"{method} {path} was answered {answer.status_code}: {answer.text[:500]}")
    return answer.json()
