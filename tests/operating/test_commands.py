"""A command that cannot do its work says which setting is to be looked at, and never what that holds."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from deploy.local.running.issuer import Issuer
from services.__main__ import main
from services.directdebit.main import service as directdebit
from shared import log
from shared.database import Database
from shared.ids import new_id
from shared.migrations import migrate
from shared.plumbing import inbox_failed
from shared.settings import NotConfigured
from tests.harness.databases import Databases
from tests.harness.logs import quiet
from tests.operating.hand import hand

PASSWORD = "s3cr3t-and-long-enough"
AWAY = f"postgresql://punchcard:{PASSWORD}@127.0.0.1:1/punchcard"
"""Nobody listens on port 1."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Two databases that are away, and nothing else of what a service needs."""
    for name in os.environ:
        if name.startswith("PUNCHCARD_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(log, "configure", lambda: None)  # it would hold on to what stdout is during one test
    for service in ("billing", "directdebit"):
        monkeypatch.setenv(f"PUNCHCARD_DATABASE_URL__{service.upper()}", AWAY)
    return monkeypatch


@pytest.fixture(autouse=True, scope="module")
def quiet_again() -> Iterator[None]:
    """A command that runs in this process logs as in production."""
    yield
    quiet()


def refusal(*words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code not in (None, 0)
    return str(ended.value)


@pytest.mark.parametrize(
    "command",
    [
        ("dead", "list"),
        ("replay", "all"),
        ("waiting",),
        ("restore", "hold", "--by", "kim"),
        ("purge", "directdebit"),
    ],
)
def test_a_command_names_the_database_that_is_away(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(*command)
    lines = said.splitlines()
    assert "directdebit: cannot reach 127.0.0.1:1 " in lines[-1]
    assert "PUNCHCARD_DATABASE_URL__DIRECTDEBIT" in lines[-1]
    assert len(lines) == (1 if {"hold", "directdebit"} & {*command} else 2), "each that is away is named"
    assert PASSWORD not in said + "".join(capsys.readouterr())


@pytest.mark.servers
async def test_a_login_that_there_is_not_is_no_traceback(databases: Databases, issuer: Issuer) -> None:
    do = hand({"directdebit": directdebit}, {"directdebit": databases.url("nowhere")}, issuer)
    with pytest.raises(SystemExit, match=r"directdebit: cannot reach .*PUNCHCARD_DATABASE_URL__DIRECTDEBIT"):
        await do("restore", "hold", "--by", "kim")


@pytest.mark.servers
async def test_who_only_reads_sees_what_can_be_reached(
    databases: Databases, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the very hour in which a database is away."""
    await databases.make("booking")
    await migrate("booking", databases.url("booking"))
    environment.setenv("PUNCHCARD_DATABASE_URL__BOOKING", databases.url("booking"))
    booking, event_id = Database(databases.url("booking")), new_id()
    async with booking.transaction() as db:
        await db.execute(
            insert(inbox_failed).values(event_id=event_id, type="a.b.v1", envelope="", error="", attempts=1)
        )
    for words in (("dead", "show", str(event_id)), ("dead", "list"), ("waiting",)):
        with pytest.raises(SystemExit, match="directdebit: cannot reach"):
            await asyncio.to_thread(main, words)
    seen = capsys.readouterr().out
    assert seen.count(str(event_id)) == 2
    assert "a.b.v1" in seen
    async with booking.transaction() as db:
        await db.execute(delete(inbox_failed).where(inbox_failed.c.event_id == event_id))
    await booking.close()


def test_a_service_that_runs_still_needs_all_of_its_settings() -> None:
    said = refusal("run", "billing")
    for line in (
        "PUNCHCARD_BUS_URL: Field required (amqp://",
        "PUNCHCARD_JWKS: Field required (a file",
        "PUNCHCARD_TOKEN_ISSUER: Field required (",
    ):
        assert line in said


@pytest.mark.parametrize(
    ("command", "setting"),
    [
        (("rotate", "keys"), "PUNCHCARD_ENCRYPTION_KEYS"),
        (("restore", "adopt", "--since", "2026-11-20", "--by", "kim"), "PUNCHCARD_PROVIDER_URL"),
        (("dead", "drain"), "PUNCHCARD_BUS_URL"),
        (("purge", "notify"), "PUNCHCARD_DATABASE_URL__NOTIFY"),
    ],
)
def test_a_command_names_the_setting_that_it_needs(command: tuple[str, ...], setting: str) -> None:
    with pytest.raises(NotConfigured, match=setting):
        main(command)


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("PUNCHCARD_ENCRYPTION_KEYS", PASSWORD, '["…", "…"]'),
        ("PUNCHCARD_DATABASE_URL", AWAY, "PUNCHCARD_DATABASE_URL__BOOKING=postgresql://…"),
    ],
)
def test_a_value_that_is_not_json_is_answered_with_an_example(
    environment: pytest.MonkeyPatch, name: str, value: str, example: str
) -> None:
    environment.setenv(name, value)
    said = refusal("dead", "list")
    assert f"{name}: not valid JSON" in said
    assert example in said
    assert PASSWORD not in said


def test_a_day_is_written_in_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    refusal("restore", "adopt", "--since", "tomorrow", "--by", "kim")
    assert "'tomorrow' is no day: write YYYY-MM-DD" in capsys.readouterr().err


def test_a_file_of_an_argument_that_there_is_not_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refusal("databases", f"@{tmp_path / 'url'}")
    assert f"there is no file {tmp_path / 'url'}" in capsys.readouterr().err
