"""The servers that `./dev` starts: real ones, on ports nobody has, gone when their run is gone."""

import asyncio
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import asyncpg
import psutil
import pytest

from deploy.local.servers import NoServer, Server, ServerFailed, first_that_works, free_ports, wait_for
from deploy.local.servers.postgres import postgres
from deploy.local.servers.rabbitmq import Way, embedded_bus, from_debian, installed, rabbitmq
from deploy.local.servers.unprivileged import BETWEEN_USERS, Identity


def absent() -> nullcontext[str]:
    """A way that leads nowhere."""
    raise NoServer("not here")


def test_the_first_way_that_leads_to_a_server_is_taken() -> None:
    with first_that_works("Server", [absent, lambda: nullcontext("found")], "") as found:
        assert found == "found"


def test_where_no_way_leads_to_a_server_one_sentence_says_why_and_what_helps() -> None:
    search = first_that_works("Server", [absent, absent], "Install one.")
    with pytest.raises(NoServer, match=r"^No Server: not here; not here\. Install one\.$"), search:
        pass


def test_a_wait_in_vain_ends_in_the_last_words_of_the_server() -> None:
    with pytest.raises(ServerFailed, match="Server did not answer within 0 s; its last words: port taken"):
        wait_for("Server", lambda: None, seconds=0.1, last_words=lambda: "port taken")


def test_no_port_is_handed_out_twice() -> None:
    assert len({*free_ports(20), *free_ports(20)}) == 40


def test_where_the_embedded_bus_will_do_there_is_no_broker() -> None:
    with rabbitmq(None, [embedded_bus]) as server:
        assert server is None


@pytest.fixture
def kept() -> Iterator[Path]:
    """A folder to keep data in, whoever PostgreSQL runs as; those of pytest are closed to other users."""
    with tempfile.TemporaryDirectory(prefix="punchcard-test-", dir=BETWEEN_USERS) as made:
        Path(made).chmod(0o755)
        yield Path(made, "data")


@pytest.mark.servers
def test_a_database_owner_who_is_no_superuser_can_keep_bookings_apart() -> None:
    with port_taken(5432), postgres(None, None, durable=False) as server:
        sql(server.url, "create role owner login password 'secret'", "create database diary owner owner")
        diary = f"postgresql://owner:secret@{urlsplit(server.url).netloc.rpartition('@')[2]}/diary"
        sql(
            diary,
            "create extension btree_gist",
            "create table booking (coach int, during int4range, exclude using gist (coach with =, during with &&))",
            "insert into booking values (1, '[10,12)'), (1, '[12,14)'), (2, '[11,13)')",
        )
        with pytest.raises(asyncpg.ExclusionViolationError):
            sql(diary, "insert into booking values (1, '[11,13)')")
    with pytest.raises(ConnectionRefusedError):
        sql(server.url, "select 1")


@pytest.mark.servers
def test_kept_data_is_there_the_next_time_and_safe_from_a_power_cut(kept: Path) -> None:
    with postgres(None, kept, durable=True) as server:
        sql(server.url, "create table kept ()")
    with postgres(None, kept, durable=True) as server:
        sql(server.url, "table kept")
        assert sql(server.url, "show fsync") == "on"


@pytest.mark.servers
def test_a_second_run_on_the_same_folder_is_refused(kept: Path) -> None:
    with (
        postgres(None, kept, durable=True),
        pytest.raises(NoServer, match="another run uses"),
        postgres(None, kept, durable=True),
    ):
        pass


@pytest.mark.servers
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_root_without_user_namespaces_runs_it_as_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    identity = Identity(account={"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []})
    monkeypatch.setattr("deploy.local.servers.postgres.identity", lambda: identity)
    with postgres(None, None, durable=False) as server:
        folder = Path(sql(server.url, "show data_directory"))
        assert folder.is_relative_to(BETWEEN_USERS)
        assert folder.owner() == "nobody"
    assert not folder.parent.exists()


@pytest.mark.servers
@pytest.mark.parametrize("with_its_keeper", [False, True], ids=["run killed", "run and keeper killed"])
def test_a_killed_run_does_not_stop_the_next(kept: Path, with_its_keeper: bool) -> None:
    script = (
        "import sys, time; from pathlib import Path; from deploy.local.servers.postgres import postgres\n"
        "with postgres(None, Path(sys.argv[1]), durable=True) as server: print(server.url, flush=True); time.sleep(600)"
    )
    run = subprocess.Popen([sys.executable, "-c", script, kept], stdout=subprocess.PIPE, text=True)
    assert run.stdout
    assert run.stdout.readline().startswith("postgresql://")
    left_over = psutil.Process(int((kept / "pg/postmaster.pid").read_text().split()[0]))
    keepers = psutil.Process(run.pid).children() if with_its_keeper else []
    for victim in (run, *keepers):
        victim.send_signal(signal.SIGKILL)
    run.wait()
    with postgres(None, kept, durable=True) as server:
        assert sql(server.url, "select 1") == 1
        assert gone([left_over])


@pytest.mark.servers
@pytest.mark.broker
@pytest.mark.xdist_group("private RabbitMQ")
@pytest.mark.parametrize("way", [installed, from_debian])
def test_a_private_broker_holds_a_quorum_queue_and_leaves_no_process(way: Way[Server]) -> None:
    before = psutil.Process().children(recursive=True)
    with ExitStack() as running:
        running.enter_context(port_taken(5672))
        try:
            server = running.enter_context(way(None))
        except ServerFailed:
            raise
        except NoServer as reason:
            # Nothing to test: this machine offers no broker this way, and `reason` says what it lacks. A way that is
            # offered and then fails raises ServerFailed, which is no reason to skip.
            pytest.skip(str(reason))
        asyncio.run(publish(server.url))
        assert asyncio.run(get(server.url)) == b"booked"
        started = [process for process in psutil.Process().children(recursive=True) if process not in before]
        assert {"beam.smp", "epmd"} <= {process.name() for process in started}
    assert gone(started)


@pytest.mark.servers
@pytest.mark.broker
@pytest.mark.xdist_group("private RabbitMQ")
def test_a_broker_that_is_kept_has_its_messages_the_next_time(tmp_path: Path) -> None:
    with rabbitmq(None, [installed, from_debian], tmp_path) as server:
        asyncio.run(publish(server.url))
    with rabbitmq(None, [installed, from_debian], tmp_path) as server:
        assert asyncio.run(get(server.url)) == b"booked"


async def publish(url: str) -> None:
    """Put a message into a quorum queue, confirmed."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("events", durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(b"booked", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, "events")


async def get(url: str) -> bytes:
    """Take it out again."""
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue("events")
        message = await queue.get(timeout=10)
        await message.ack()
        return message.body


def gone(processes: list[psutil.Process]) -> bool:
    """Whether they have all ended, or do within the time an exit takes."""
    return not psutil.wait_procs(processes, timeout=5)[1]


def sql(url: str, *statements: str) -> Any:
    """Run the statements; the first value of the last one."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    return asyncio.run(run())


@contextmanager
def port_taken(port: int) -> Iterator[None]:
    """Somebody listens on the port: whoever does already, or we."""
    with socket.socket() as listener:
        with suppress(OSError):
            listener.bind(("127.0.0.1", port))
            listener.listen()
        yield
