"""`./dev bank`: a named scenario of the practice bank, set on a payer of the running system."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from deploy.local.clock import At, Business, Refused, ask, in_words, run_at
from deploy.local.running.state import STATE, State, from_caller
from deploy.practice_bank.scenarios import SCENARIOS

LIST = "list"
PAGE = 200
DAYS_TO_SEE_IT = 10
"""From a debit's charge date to the last thing that a scenario does, weekends and a holiday included."""


def bank(
    scenario: Annotated[str, typer.Argument(help="A name of the list; without one, or with `list`, the list.")] = LIST,
    client: Annotated[
        str | None, typer.Option(help="The beginning of the payer's name; else who is debited next.")
    ] = None,
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
        payer = await _payer(at, client)
        await _behave(at, payer.mandate["provider_mandate"], scenario)
        ending = payer.mandate["account_ending"]
        typer.echo(f"{payer.name}, account ending {ending}: {scenario}. {SCENARIOS[scenario].sentence}")
        typer.echo(_next(at, payer, scenario, folder))

    run_at(folder, business, set_it)


@dataclass(frozen=True)
class Payer:
    """Somebody who can be debited; `next_date`: when the next debit is due, none where nothing is to come."""

    name: str
    mandate: dict[str, Any]
    next_date: date | None


async def _payer(at: At, client: str | None) -> Payer:
    """The payer that is meant, by the beginning of a name; without one, who is debited next. Raises Refused."""
    mandates = await _all(at, f"{at.addresses.urls['directdebit']}/directdebit/v1/mandates")
    names = {each["client_id"]: each["name"] for each in await _all(at, "clients")}
    dates = await at.observer.next_debits(at.business_id)
    payers = [
        Payer(names.get(each["payer_id"], each["payer_id"]), each, dates.get(each["payer_id"]))
        for each in mandates
        if each["state"] == "active" and each["provider_mandate"]
    ]
    if not payers:
        raise Refused(f"nobody at {at.name} has an active mandate at the bank: run ./dev demo, or record a mandate")
    if client is None:
        return min(payers, key=lambda payer: payer.next_date or date.max)
    meant = [payer for payer in payers if payer.name.casefold().startswith(client.casefold())]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise Refused(f"{client!r} may be {' or '.join(sorted(payer.name for payer in meant))}")
    can = ", ".join(sorted(payer.name for payer in payers))
    if any(name.casefold().startswith(client.casefold()) for name in names.values()):
        raise Refused(f"{client} has no active mandate at the bank; these have one: {can}")
    raise Refused(f"{at.name} has no client {client!r}; these can be debited: {can}")


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


def _next(at: At, payer: Payer, scenario: str, folder: Path) -> str:
    """When it will be seen, what to type, and where to look."""
    look = f"Then look at the bank, {at.addresses.bank_url}, and at the mails, {at.addresses.mail_url}"
    where = "" if folder == STATE else f" --state {folder}"
    today = at.now.date()
    if payer.next_date is None:
        return f"Nothing is to be debited from {payer.name} so far: sell them something with auto_pay, or name another."
    due = f"{payer.name}'s next debit is due on {in_words(max(payer.next_date, today))}"
    if at.test_now is None:
        return f"{due}. {at.name} lives in real time, and so does its bank. {look}"
    days = max((payer.next_date - today).days, 1)
    then = f", and ./dev clock advance {DAYS_TO_SEE_IT}{where} shows the rest" if SCENARIOS[scenario].steps else ""
    return f"{due}: ./dev clock advance {days}{where} sends it{then}.\n{look}"
