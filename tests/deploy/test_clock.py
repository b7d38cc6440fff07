"""`./dev clock` lets the days of a business go by, at its bank first, and says what keeps one from ending."""

import asyncio
import stat
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deploy.local.clock import advance
from deploy.local.running import here
from deploy.local.running.observer import Observer
from deploy.local.running.state import Addresses, noted, read_addresses
from shared.ids import new_id
from tests.deploy.practice_bank.town import FRIDAY, Town, clock, running_town


@pytest.fixture(scope="module")
def town(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with running_town(tmp_path_factory.mktemp("clock"), postgres_url, "clock") as town:
        yield town


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
async def test_each_day_comes_at_the_bank_before_it_comes_at_the_business(town: Town) -> None:
    await asyncio.to_thread(town.settle, test_now="2022-10-01T08:00:00+10:00")
    await asyncio.to_thread(town.open_account, "2022-10-01T08:00:00+10:00")
    seen: list[tuple[str, str | None]] = []

    async def put(now: datetime) -> None:
        seen.append((now.isoformat(), await asyncio.to_thread(lambda: town.bank_now)))

    observer = Observer(town.system)
    since = datetime(2022, 10, 1, 8, tzinfo=ZoneInfo("Australia/Sydney"))
    try:
        await advance(observer, town.business_id, put, since=since, until=date(2022, 10, 3))
        assert seen == [(each, each) for each in ("2022-10-02T08:00:00+11:00", "2022-10-03T08:00:00+11:00")]
        seen.clear()
        await advance(observer, town.business_id, put, since=since, until=date(2022, 11, 1), jump=True)
        assert seen == [("2022-11-01T08:00:00+11:00", "2022-11-01T08:00:00+11:00")]
    finally:
        await observer.close()


@on_servers
def test_the_bank_is_left_alone_where_it_is_in_real_time_or_there_already(town: Town) -> None:
    town.settle(test_now=FRIDAY)
    town.open_account()
    assert clock(town.state, "advance", 1).exit_code == 0
    assert town.bank_now is None

    town.settle(test_now=FRIDAY)
    town.open_account("2022-09-12T09:00:00+10:00")
    assert clock(town.state, "advance", 2).exit_code == 0
    assert town.bank_now == "2022-09-12T09:00:00+10:00"
    assert clock(town.state, "advance", 2).exit_code == 0
    assert town.bank_now == "2022-09-13T08:00:00+10:00"


@on_servers
def test_callbacks_to_another_business_are_none_of_ours(town: Town) -> None:
    town.settle(test_now=FRIDAY)
    town.open_account(FRIDAY)
    stranger = {"name": "Stranger", "callback_url": "http://127.0.0.1:9/", "callback_secret": "a secret of a stranger"}
    opened = here.request("POST", f"{town.system.bank_url}/practice/creditors", json=stranger | {"now": FRIDAY})
    payer = {"account_holder_name": "Bo", "account_number": "12345", "branch_code": "062-000", "currency": "AUD"}
    headers = {"Authorization": f"Bearer {opened.json()['creditors']['access_token']}"}
    with here.client(base_url=town.system.bank_url, headers=headers) as http:
        mandate = http.post("/practice/mandates", json={"mandates": payer}).json()["mandates"]["id"]
        payment = {"amount": 1, "currency": "AUD", "charge_date": "2022-09-09", "links": {"mandate": mandate}}
        http.post("/payments", json={"payments": payment}).raise_for_status()
        unsent = {"state": "unsent", "creditor": opened.json()["creditors"]["id"]}
        assert http.get("/practice/callbacks", params=unsent).json()["meta"]["count"] == 1, "nobody answers there"
    assert clock(town.state, "advance", 1, "--seconds", 10).exit_code == 0


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
