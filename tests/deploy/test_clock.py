"""`./dev clock` lets the days of a business go by, and says what keeps one from ending."""

import asyncio
import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from typer.testing import CliRunner, Result

from deploy.local.cli import commands
from deploy.local.state import Addresses, current_business, noted, read_addresses
from deploy.local.system import System, system
from shared.ids import new_id
from tests.harness.studio import PROFILE

FRIDAY = "2022-09-09T08:00:00+10:00"
PLANT = (
    "insert into inbox_failed (event_id, business_id, type, envelope, error, attempts, next_attempt_at)"
    " values ($1, $2, 'catalog.business_changed.v1', '{}', 'Reject: planted', 1, now() + $3::interval)"
)


def clock(state: Path, *words: object) -> Result:
    return CliRunner().invoke(commands(["clock"]), ["clock", *map(str, words), "--state", str(state)])


@dataclass
class Town:
    """A running system, and the folder that it notes its addresses in."""

    system: System
    state: Path

    def settle(self, **profile: Any) -> None:
        """A new business, of which `./dev clock` speaks from now on."""
        business_id = current_business(self.state, becomes=new_id())
        self.ask("PUT", "business", PROFILE | profile)
        assert self.ask("GET", "business")["business_id"] == str(business_id)

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        token = self.system.issuer.staff(current_business(self.state))
        url = f"{self.system.urls['catalog']}/catalog/v1/{path}"
        answer = httpx.request(method, url, json=body, headers={"Authorization": f"Bearer {token}"})
        document: dict[str, Any] = answer.raise_for_status().json()
        return document

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self.ask("GET", "business")["test_now"])

    def sql(self, service: str, statement: str, *values: object) -> list[Any]:
        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.system.database_urls[service])
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return asyncio.run(run())

    def days_told(self) -> list[str]:
        """The dates of which catalog has said that they have started."""
        told = "select envelope from event_log where type = 'catalog.business_day_started.v1' and business_id = $1"
        rows = self.sql("catalog", f"{told} order by event_id", current_business(self.state))
        return [json.loads(row["envelope"])["data"]["business_date"] for row in rows]

    def plant(self, seconds: float | None) -> None:
        """An event that notify cannot handle: to be tried again so much later, or parked."""
        again = None if seconds is None else f"{seconds} seconds"
        statement = PLANT.replace("$3::interval", f"interval '{again}'" if again else "null::interval")
        self.sql("notify", statement, new_id(), current_business(self.state))


@pytest.fixture(scope="session")
def town(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    state = tmp_path_factory.mktemp("clock")
    with (
        system(state, postgres_url, None, prefix=f"clock_{new_id().hex[-8:]}") as made,
        noted(state, Addresses(made.urls, made.database_urls, made.bank_url)),
    ):
        yield Town(made, state)


def on_servers(test: Any) -> Any:
    return pytest.mark.servers(pytest.mark.xdist_group("clock")(test))


@on_servers
def test_days_go_by_one_at_a_time_at_the_same_time_of_day(town: Town) -> None:
    town.settle(test_now="2022-09-29T08:00:00+10:00")
    gone = clock(town.state, "advance", 3)
    assert gone.exit_code == 0, gone.output
    assert gone.stdout.splitlines() == [
        "Friday 30 September 2022",
        "Saturday 1 October 2022",
        "Sunday 2 October 2022",
    ]
    assert town.now == datetime.fromisoformat("2022-10-02T08:00:00+11:00")
    assert town.days_told() == ["2022-09-29", "2022-09-30", "2022-10-01", "2022-10-02"]
    shown = clock(town.state, "show")
    assert shown.stdout.splitlines() == [
        "Harbour Studio: Sunday 2 October 2022, 08:00, Australia/Sydney, on a test clock",
        "quiet",
    ]


@on_servers
def test_a_jump_to_a_date_is_one_step(town: Town) -> None:
    town.settle(test_now=FRIDAY)
    gone = clock(town.state, "advance", "2022-09-30", "--jump")
    assert (gone.exit_code, gone.stdout) == (0, "Friday 30 September 2022\n"), gone.output
    assert town.days_told() == ["2022-09-09", "2022-09-30"]


@on_servers
@pytest.mark.parametrize(
    ("to", "sentence"),
    [
        ("2022-09-09", "it is Friday 9 September 2022 there already"),
        ("2022-09-08", "only moves forward"),
        ("0", "only moves forward"),
        ("soon", "neither a date such as 2022-09-30 nor a number of days"),
        ("2022-02-30", "neither a date"),
        ("999999", "goes no further"),
    ],
)
def test_a_day_that_cannot_come_is_refused(town: Town, to: str, sentence: str) -> None:
    town.settle(test_now=FRIDAY)
    refused = clock(town.state, "advance", to)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert sentence in refused.stderr
    assert town.now == datetime.fromisoformat(FRIDAY)


@on_servers
def test_a_business_in_real_time_is_told_how_to_get_a_clock(town: Town) -> None:
    town.settle()
    refused = clock(town.state, "advance", 1)
    assert refused.exit_code == 2
    assert "Harbour Studio lives in real time" in refused.stderr
    assert "test_now" in refused.stderr
    shown = clock(town.state, "show")
    assert shown.stdout.splitlines()[0].endswith("Australia/Sydney, in real time")
    assert shown.stdout.splitlines()[1] == "quiet"


@on_servers
def test_a_business_that_nobody_described_has_no_clock(town: Town) -> None:
    refused = clock(town.state, "advance", 1, "--business", new_id())
    assert refused.exit_code == 2
    assert "no business is described there" in refused.stderr


@on_servers
def test_a_day_that_does_not_end_says_what_is_not_quiet(town: Town) -> None:
    town.settle(test_now=FRIDAY)
    town.plant(seconds=9999)
    stuck = clock(town.state, "advance", 1, "--seconds", 0.5)
    assert (stuck.exit_code, stuck.stdout) == (1, "")
    assert "notify: events to try again: catalog.business_changed.v1, 1" in stuck.stderr
    assert str(town.state / "logs") in stuck.stderr
    assert town.now == datetime.fromisoformat(FRIDAY)


@on_servers
def test_a_parked_event_stops_the_clock_and_is_named(town: Town) -> None:
    town.settle(test_now=FRIDAY)
    town.plant(seconds=None)
    stuck = clock(town.state, "advance", 1)
    assert stuck.exit_code == 1
    assert "notify: parked, it waits for a person: catalog.business_changed.v1, 1" in stuck.stderr
    assert "Reject: planted" in clock(town.state, "show").stdout


def test_without_a_running_system_it_says_what_to_start(tmp_path: Path) -> None:
    refused = clock(tmp_path, "advance", 1)
    assert refused.exit_code == 2
    assert "start ./dev up first" in refused.stderr


def test_what_a_killed_run_left_behind_answers_nothing(tmp_path: Path) -> None:
    gone = "http://127.0.0.1:9"
    with noted(tmp_path, Addresses({"catalog": gone}, {}, gone)):
        refused = clock(tmp_path, "show", "--business", new_id())
    assert refused.exit_code == 2
    assert "start ./dev up first" in refused.stderr


def test_addresses_are_for_their_user_only_and_gone_with_the_run(tmp_path: Path) -> None:
    (tmp_path / "running.json").touch(mode=0o644)
    addresses = Addresses({"catalog": "http://one"}, {"catalog": "postgresql://two"}, "http://three")
    with noted(tmp_path, addresses):
        assert stat.S_IMODE((tmp_path / "running.json").stat().st_mode) == 0o600
        assert read_addresses(tmp_path) == addresses
    assert read_addresses(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
