"""`./dev bank` shows the scenarios, and sets one on a payer of the running system."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.running import here
from deploy.practice_bank.scenarios import SCENARIOS
from tests.deploy.practice_bank.town import FRIDAY, Town, bank, running_town


@pytest.fixture(scope="module")
def town(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with running_town(tmp_path_factory.mktemp("dev_bank"), postgres_url, "dev_bank") as town:
        yield town


def on_servers(test: Any) -> Any:
    return pytest.mark.servers(pytest.mark.xdist_group("dev_bank")(test))


@on_servers
def test_a_scenario_is_set_on_a_payer_and_said_in_sentences(town: Town) -> None:
    town.settle(test_now=FRIDAY)
    account = town.open_account(FRIDAY)
    town.ask("PUT", "provider", account, service="directdebit")
    mandates = {name: town.sign(name, account) for name in ("Ana", "Bo")}

    said = bank(town.state, "late_return", "--client", "bo")
    assert said.exit_code == 0, said.output
    assert "Bo, account ending 89: late_return. The next payment is confirmed, and 3 bank days later" in said.stdout
    assert "Nothing is to be debited from Bo so far" in said.stdout

    assert "Ana, account ending 89: decline." in bank(town.state, "decline").stdout, "the first, unless one is named"
    headers = {"Authorization": f"Bearer {account['access_token']}"}
    with here.client(base_url=town.system.bank_url, headers=headers) as http:
        for name in mandates:
            links = {"mandate": mandates[name]}
            payment = {"amount": 1, "currency": "AUD", "charge_date": "2022-09-09", "links": links}
            http.post("/payments", json={"payments": payment}).raise_for_status()
        log = http.get("/practice/log").json()["payments"]
    scenarios = {payment["links"]["mandate"]: payment["scenario"] for payment in log}
    assert {name: scenarios[mandate] for name, mandate in mandates.items()} == {"Ana": "decline", "Bo": "late_return"}


@on_servers
def test_without_a_name_it_is_who_is_debited_next_and_the_days_until_then_are_counted(town: Town) -> None:
    town.settle(test_now=FRIDAY)
    account = town.open_account(FRIDAY)
    town.ask("PUT", "provider", account, service="directdebit")
    for name in ("Ana Ferreira", "Ana Novak", "Bo"):
        town.sign(name, account)
    clients = {each["name"]: each["client_id"] for each in town.ask("GET", "clients")["items"]}
    offered = {"name": "10 PT sessions", "billing_mode": "pre_bill", "form": "paid_in_full", "session_count": 10}
    service = town.ask("POST", "services", {"name": "Training", "minutes": 60})["service_id"]
    template = town.ask("POST", "templates", offered | {"price_minor": 50000, "service_ids": [service]})
    order = {"client_id": clients["Bo"], "auto_pay": True, "first_due_date": "2022-09-13"}
    town.until(
        lambda: town.ask("POST", "packages", order | {"template_id": template["template_id"]}, service="packages")
    )
    town.until(lambda: "Bo's next debit" in bank(town.state, "late_return").stdout or None)

    said = bank(town.state, "late_return").stdout
    due = "Bo's next debit is due on Tuesday 13 September 2022: "
    assert due + f"./dev clock advance 4 --state {town.state} sends it" in said
    assert f"./dev clock advance 10 --state {town.state} shows the rest" in said
    assert town.system.bank_url in said
    both = bank(town.state, "outage", "--client", "ana")
    assert (both.exit_code, "'ana' may be Ana Ferreira or Ana Novak" in both.stderr) == (2, True)
    assert "Ana Novak, account ending 89" in bank(town.state, "outage", "--client", "Ana N").stdout


@on_servers
def test_a_payer_who_cannot_be_debited_is_answered_with_those_who_can(town: Town) -> None:
    town.settle(test_now=FRIDAY)
    account = town.open_account(FRIDAY)
    nobody = bank(town.state, "outage")
    assert (nobody.exit_code, "nobody at Harbour Studio has an active mandate" in nobody.stderr) == (2, True)

    town.ask("PUT", "provider", account, service="directdebit")
    town.sign("Ana", account)
    town.ask("POST", "clients", {"name": "Bo", "email": "bo@clients.example"})
    for name, sentence in (("Bo", "Bo has no active mandate"), ("Kim", "has no client 'Kim'")):
        refused = bank(town.state, "outage", "--client", name)
        assert refused.exit_code == 2
        assert sentence in refused.stderr
        assert "Ana" in refused.stderr


def test_the_scenarios_are_listed_and_an_unknown_one_is_answered_with_the_list(tmp_path: Path) -> None:
    listed = bank(tmp_path, "list")
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(SCENARIOS)
    assert bank(tmp_path).stdout == listed.stdout
    refused = bank(tmp_path, "sunshine")
    assert (refused.exit_code, "./dev bank list" in refused.stderr) == (2, True)
    unstarted = bank(tmp_path, "outage")
    assert (unstarted.exit_code, "start ./dev up first" in unstarted.stderr) == (2, True)
