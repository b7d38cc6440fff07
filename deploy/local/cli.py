"""The commands of `./dev`, and the modules that they are in."""

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from deploy.local.servers import NoServer

COMMANDS = {
    "demo": "deploy.local.demo",
    "up": "deploy.local.up",
    "status": "deploy.local.control",
    "restart": "deploy.local.control",
    "stop": "deploy.local.control",
    "token": "deploy.local.token",
    "clock": "deploy.local.clock",
    "bank": "deploy.local.bank",
    "audit": "deploy.local.audit",
    "check": "deploy.local.checks",
    "test": "deploy.local.tests_run",
    "faults": "deploy.local.faults",
    "bench": "deploy.local.bench",
    "docs": "deploy.local.docs",
    "behaviours": "deploy.local.behaviours",
}
"""Each command, and the module that has a function of its name, or a group of commands."""

TO_PYTEST = {"allow_extra_args": True, "ignore_unknown_options": True}


class Commands(TyperGroup):
    """A word we do not know is answered with the words we do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Stop at an unknown first word, before typer answers it with a bare error."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            typer.echo(ctx.get_help(), err=True)
            typer.echo(f"There is no command {args[0]!r}.", err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)


def commands(names: Iterable[str]) -> typer.Typer:
    """The command line with these commands."""
    app = typer.Typer(
        cls=Commands,
        name="./dev",
        help="Work on Punchcard: run it, test it, check it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(lambda: None)
    for name in names:
        found = getattr(import_module(COMMANDS[name]), name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, cls=Commands)
            continue
        settings = TO_PYTEST if name == "test" else None
        app.command(name, context_settings=settings)(found)
    return app


def main() -> None:
    """Run the command; a server that cannot be had is a sentence and exit code 2, never a traceback.

    Only the module of the command asked for is loaded: all of them take seconds.
    """
    asked = [word for word in sys.argv[1:2] if word in COMMANDS]
    try:
        commands(asked or COMMANDS)(prog_name="./dev")
    except NoServer as failure:
        typer.echo(f"dev: {failure}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
