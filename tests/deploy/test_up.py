"""`./dev up` in one terminal, `./dev status`, `restart` and `stop` in another."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from deploy.local.cli import commands
from deploy.local.control import News
from deploy.local.running.state import Addresses, noted, read_addresses
from deploy.local.running.system import SERVICES
from deploy.local.servers import ROOT, wait_for

pytestmark = pytest.mark.xdist_group("embedded")


def dev(command: str, *words: object) -> Result:
    return CliRunner().invoke(commands([command]), [command, *map(str, words)])


@pytest.fixture
def up(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`./dev up` on one process; its words are in `up.log`."""
    with (tmp_path / "up.log").open("wb") as log:
        command = [sys.executable, "-m", "deploy.local", "up", "--embedded", "--state", str(tmp_path)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            ready = tmp_path / "fleet.json"
            wait_for("./dev up", lambda: ready.exists() or None, seconds=90, alive=lambda: process.poll() is None)
            yield process
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.servers
def test_it_is_looked_at_started_again_and_stopped(up: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    shown = dev("status", "--state", tmp_path)
    assert shown.exit_code == 0, shown.output
    assert "services  ready" in shown.stdout
    assert all(name in shown.stdout for name in SERVICES)

    (replica,) = News.read(tmp_path).replicas
    assert replica.pid
    psutil.Process(replica.pid).kill()

    def again() -> bool | None:
        now = News.read(tmp_path).replicas[0]
        return (now.restarts == 1 and now.state == "ready") or None

    wait_for("the next process", again, seconds=60)
    assert News.read(tmp_path).replicas[0].pid != replica.pid
    assert "services      ended, and is started again (killed by SIGKILL" in (tmp_path / "up.log").read_text()

    refused = dev("restart", "--state", tmp_path)
    assert refused.exit_code == 2
    assert "./dev up --services" in refused.stderr, "one process has nobody to take over"

    stopped = dev("stop", "--state", tmp_path)
    assert stopped.exit_code == 0, stopped.output
    assert up.wait(5) == 0
    assert (tmp_path / "postgres").exists(), "the data is kept"


@pytest.mark.parametrize("command", ["status", "restart", "stop"])
def test_where_nothing_runs_it_says_what_would(command: str, tmp_path: Path) -> None:
    told = dev(command, "--state", tmp_path)
    assert told.exit_code == 2
    assert "start ./dev up first" in told.stderr


@pytest.mark.parametrize("words", [["--scale", "billing=0"], ["--scale", "till=2"], ["--embedded", "--services"]])
def test_a_shape_that_cannot_be_is_refused_before_anything_starts(words: list[str]) -> None:
    assert dev("up", *words).exit_code == 2


def test_a_run_that_was_killed_is_not_mistaken_for_whoever_has_its_number_now(tmp_path: Path) -> None:
    left = Addresses(urls={}, database_urls={}, bank_url="", pid=os.getpid(), began=psutil.Process().create_time() - 60)
    with noted(tmp_path, left):
        assert read_addresses(tmp_path) is None
        assert dev("stop", "--state", tmp_path).exit_code == 2
