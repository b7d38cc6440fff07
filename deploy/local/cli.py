"""The commands of `./dev`, one module each."""

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from deploy.local import checks, demo, docs, tests_run, up
from deploy.local.behaviours import print_behaviours
from deploy.local.servers import NoServer


class Commands(TyperGroup):
    """A word we do not know is answered with the words we do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Stop at an unknown first word, before typer answers it with a bare error."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            typer.echo(ctx.get_help(), err=True)
            typer.echo(f"There is no command {args[0]!r}.", err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=Commands,
    name="./dev",
    help="Work on Punchcard: run it, test it, check it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.command()(up.up)
app.command()(up.token)
app.command()(checks.check)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(tests_run.test)
app.command()(docs.docs)


@app.command()
def behaviours() -> None:
    """Count the behaviours of docs/behaviours.md that the stories have proven."""
    raise typer.Exit(print_behaviours())


def main() -> None:
    """Run the command; a server that cannot be had is a sentence and exit code 2, never a traceback."""
    try:
        app(prog_name="./dev")
    except NoServer as failure:
        typer.echo(f"dev: {failure}", err=True)
        sys.exit(2)
