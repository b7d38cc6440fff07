"""`./dev bank`: a named scenario of the practice bank, set on a payer of the running system."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from deploy.local.clock import At, Business, Refused, ask, in_words, run_at
from deploy.local.state import STATE, State, from_caller
from deploy.practice_bank.scenarios import SCENARIOS

LIST = "list"
PAGE = 200
DAYS_TO_SEE_IT = 10
"""From a debit's charge date to the last thing that a scenario does, weekends and a holiday included."""


def bank(
    scenario: Annotated[str, typer.Argument(help="A name of the list; without one, or with `list`, the list.")] = LIST,
    client: Annotated[str | None, typer.Option(help="The payer's name; else the first with an active mandate.")] = None,
    business: Business = None,
    state: State = STATE,
) -> None:
    """Say what the bank can do to a payer's debits, or have it do one of these things, while ./dev up runs."""
    if scenario == LIST:
        width = max(map(len, SCENARIOS))
        typer.echo("\n".join(f"{name:<{width}}  {each.sentence}" for name, each in SCENARIOS.items()))
        return
    if scenario not in SCENARIOS:
        typer.echo(f"dev: {scenario!r} is no scenario; ./dev bank list says which there are", err=True)
        raise typer.Exit(2)
    folder = from_caller(state)

    async def set_it(at: At) -> None:
        name, mandate = await _payer(at, client)
        await _behave(at, mandate["provider_mandate"], scenario)
        typer.echo(f"{name}, account ending {mandate['account_ending']}: {scenario}. {SCENARIOS[scenario].sentence}")
        typer.echo(f"It begins with {name}'s next debit at {at.name}, where it is {in_words(at.now.date())}.")
        typer.echo(_next(at, scenario, folder))

    run_at(folder, business, set_it)


async def _payer(at: At, client: str | None) -> tuple[str, dict[str, Any]]:
    """The name of a payer, and their active mandate at the bank. Raises Refused."""
    mandates = await _all(at, f"{at.addresses.urls['directdebit']}/directdebit/v1/mandates")
    active = [each for each in mandates if each["state"] == "active" and each["provider_mandate"]]
    names = {each["client_id"]: each["name"] for each in await _all(at, "clients")}
    for mandate in active:
        name = names.get(mandate["payer_id"], "")
        if client is None or name.casefold() == client.casefold():
            return name or mandate["payer_id"], mandate
    if not active:
        raise Refused(f"nobody at {at.name} has an active mandate at the bank: run ./dev demo, or record a mandate")
    can = ", ".join(sorted({names.get(each["payer_id"], "") for each in active} - {""}))
    if client and client.casefold() in (name.casefold() for name in names.values()):
        raise Refused(f"{client} has no active mandate at the bank; these have one: {can}")
    raise Refused(f"{at.name} has no client {client!r}; an active mandate at the bank have {can}")


async def _all(at: At, path: str) -> list[dict[str, Any]]:
    """All items of a list, page after page."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await ask(at.http, "GET", f"{path}?{urlencode({'limit': PAGE, **cursor})}")
        items += page["items"]
        if not page["next_cursor"]:
            return items
        cursor = {"cursor": page["next_cursor"]}


async def _behave(at: At, provider_mandate: str, scenario: str) -> None:
    """Tell the bank. Raises Refused."""
    answer = await at.observer.bank.post(
        f"/practice/mandates/{provider_mandate}/behaviour", json={"payments": scenario}
    )
    if answer.status_code == 404:
        raise Refused(
            f"the bank does not know the mandate {provider_mandate}; its books were begun anew since it was signed"
        )
    if not answer.is_success:
        raise Refused(f"the bank answered {answer.status_code}: {answer.text[:500]}")


def _next(at: At, scenario: str, folder: Path) -> str:
    """What to type, and where to look."""
    look = f"The bank's page is {at.addresses.bank_url}; ./dev up names the mail page."
    if at.test_now is None:
        return f"{at.name} lives in real time, so the bank's days are those of the calendar. {look}"
    if not SCENARIOS[scenario].steps:
        return f"It needs no days to go by. {look}"
    where = "" if folder == STATE else f" --state {folder}"
    return f"Next, once a debit is on its way: ./dev clock advance {DAYS_TO_SEE_IT}{where}. {look}"
