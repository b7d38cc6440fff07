"""`./dev token`: what the services of this machine ask for."""

from typing import Annotated, Literal
from uuid import UUID

import typer

from deploy.local.running.issuer import Issuer
from deploy.local.running.state import STATE, State, current_business, from_caller


def token(
    business: Annotated[UUID | None, typer.Option(help="The business it is for; else the newest demo's.")] = None,
    role: Annotated[Literal["owner", "client"], typer.Option(help="An owner may do everything.")] = "owner",
    client: Annotated[UUID | None, typer.Option(help="Which client, for the role client.")] = None,
    state: State = STATE,
) -> None:
    """Print an access token, good for 12 hours, that the services of this machine accept."""
    if (role == "client") != (client is not None):
        typer.echo("dev: --client ID goes with --role client; GET /catalog/v1/clients lists the clients", err=True)
        raise typer.Exit(2)
    folder = from_caller(state)
    issuer = Issuer(folder / "issuer")
    business_id = business or current_business(folder)
    typer.echo(issuer.client(business_id, client) if client else issuer.staff(business_id))
