"""`./dev demo`: three months of a studio's business, lived over HTTP, and proven at the end."""

import asyncio
import sys
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.local.clock import Stuck
from deploy.local.demo.doors import Doors, Unexpected
from deploy.local.demo.life import Life
from deploy.local.demo.outcome import Seen, look
from deploy.local.demo.problems import BadScript
from deploy.local.demo.progress import Diary
from deploy.local.demo.script import read_script
from deploy.local.demo.shapes import Script
from deploy.local.demo.summary import conclude
from deploy.local.running.observer import Observer
from deploy.local.running.state import STATE, State, current_business, from_caller
from deploy.local.running.system import System
from deploy.local.servers import ROOT
from deploy.local.up import Embedded, Up, addresses, running_system
from shared.ids import new_id

SCRIPT = ROOT / "deploy" / "demo"
PLAIN_WIDTH = 110


def demo(
    script: Annotated[Path, typer.Option("--input", help="Your own files.", show_default="deploy/demo")] = SCRIPT,
    embedded: Embedded = False,
    stay: Annotated[bool, typer.Option("--stay", help="Keep all running afterwards, to look around.")] = False,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Let days go by after the last of the files.")
    ] = None,
    state: State = STATE,
) -> None:
    """Live through the days that the input files describe, and show that every session and cent is accounted for."""
    console, state = _console(), from_caller(state)
    try:
        wrong = _demo(
            console, from_caller(script), state, embedded=embedded, stay=stay, until=until.date() if until else None
        )
    except BadScript as bad:
        typer.echo(f"dev: {bad}", err=True)
        raise typer.Exit(2) from None
    except (Unexpected, Stuck, AssertionError) as trouble:
        typer.echo(f"dev: the demo cannot go on: {trouble}", err=True)
        typer.echo(f"dev: the services' logs are in {state / 'logs'}; remove {state} to start afresh", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("Stopped.")
        raise typer.Exit(130) from None
    raise typer.Exit(int(wrong))


def _demo(console: Console, folder: Path, state: Path, *, embedded: bool, stay: bool, until: date | None) -> bool:
    """Whether something was wrong at the end."""
    script = read_script(folder)
    if until and until <= script.days[-1]:
        raise typer.BadParameter(f"the files go on until {script.days[-1]}; give a later day", param_hint="--until")
    began = time.monotonic()

    def say(what: str, how: str) -> None:
        console.print(f"  {what:<12}{how}", highlight=False, soft_wrap=True)

    console.print(
        f"Punchcard demo: {script.business.name}, {len(script.sales)} packages, {len(script.bookings)} bookings"
    )
    say("input", str(folder))
    with running_system(state, say, embedded=embedded) as made:
        started = time.monotonic()
        console.print()
        seen = asyncio.run(live(console, script, made.system, state, until))
        wrong = conclude(console, script, seen)
        _verdict(console, wrong, starting=started - began, living=time.monotonic() - started)
        _where_next(console, made, folder, stay=stay)
        if stay:
            try:
                made.watch()
            except KeyboardInterrupt:
                console.print("Stopped; the data is kept.")
    return bool(wrong)


async def live(console: Console, script: Script, system: System, state: Path, until: date | None = None) -> Seen:
    """A new business lives through the script, and on to a day; what it came to."""
    business_id = new_id()
    current_business(state, becomes=business_id)
    observer = Observer(system)
    try:
        async with Doors(system, business_id) as doors:
            with Diary(console, script.days) as diary:
                life = Life(script, doors, observer, diary.tell)
                await life.live()
            if until:
                await _go_on(console, life, until)
            return await look(life)
    finally:
        await observer.close()


async def _go_on(console: Console, life: Life, until: date) -> None:
    began = time.monotonic()
    last = life.lived
    days = [last + timedelta(days=count) for count in range(1, (until - last).days + 1)]
    with Diary(console, days, weekly=False) as diary:
        await life.go_on(until, diary.tell)
    took = time.monotonic() - began
    console.print(f"  {len(days)} more days, on which nobody came, took {took:.1f} s", highlight=False)


def _verdict(console: Console, wrong: list[str], *, starting: float, living: float) -> None:
    console.print()
    if wrong:
        console.print("This must not be:", style="bold red")
        for each in wrong:
            console.print(f"  {each}", highlight=False, markup=False)
    else:
        console.print("Every session and every cent is accounted for.", style="bold green")
    took = f"{starting + living:.0f} s: {starting:.0f} s until all was running, {living:.0f} s for the days"
    console.print(took, highlight=False)


def _where_next(console: Console, made: Up, folder: Path, *, stay: bool) -> None:
    folder_given = "" if made.state == STATE else f" --state {_short(made.state)}"
    look_around = f"./dev up{folder_given}: this run's data, with the API pages, the mails and the bank's page"
    lines = addresses(made) if stay else [("look around", look_around), ("mails", str(_short(made.state / "mail")))]
    when = "in another terminal" if stay else "once ./dev up runs"
    lines += [
        ("more days", f"{when}: ./dev clock advance 14{folder_given}"),
        ("scenarios", f"{when}: ./dev bank list, then ./dev bank late_return{folder_given}"),
        ("own input", f"copy {_short(folder)}, change it, ./dev demo --input your-folder"),
        ("docs", "docs/rules.md: every rule; docs/events.md: who tells what to whom; docs/openapi.json: every request"),
    ]
    console.print("\nWhere to look next", style="bold")
    for what, where in lines:
        console.print(f"  {what:<14}{where}", highlight=False, soft_wrap=True, markup=False)
    if stay:
        console.print("\nAll keeps running; Ctrl-C stops it.")


def _short(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def _console() -> Console:
    """Where no terminal is, lines are long, and nothing that cannot be written stops us."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    return Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, no_color=True)
