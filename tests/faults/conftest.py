"""Faults run against a whole system of which one process, the victim, can be made to die anywhere."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from deploy.local.running.system import SERVICES, TOGETHER, System, served, system
from shared.ids import new_id
from tests.harness.studio import Studio, opened

T = TypeVar("T")
DEATH_SECONDS = 20


class Doomed:
    """A system with a victim: some services in a process of their own, which runs well or dies at a failpoint."""

    def __init__(self, made: System, victim: Sequence[str]) -> None:
        self.system, self.victim = made, victim
        self._fate = made.logs / "fate"
        self._running = ExitStack()
        self._start()

    def _start(self) -> None:
        self._fate.write_text("")
        self._process = self._running.enter_context(served(self.system, *self.victim, failpoint=f"@{self._fate}"))

    def close(self) -> None:
        self._running.close()

    @contextmanager
    def away(self) -> Iterator[None]:
        """The victim is stopped, and started again afterwards."""
        self.close()
        try:
            yield
        finally:
            self._start()

    async def survive(self, failpoint: str, act: Callable[[], Awaitable[T]]) -> T:
        """Act while the victim dies at a failpoint and is started again; return what the act returned."""
        self._fate.write_text(failpoint)
        acting = asyncio.ensure_future(act())
        try:
            async with asyncio.timeout(DEATH_SECONDS):
                while self._process.alive():  # noqa: ASYNC110 — a process, not a task
                    await asyncio.sleep(0.02)
        except TimeoutError:
            acting.cancel()
            raise
        finally:
            self.close()
            self._start()
        return await acting


async def free_what_the_dead_held(studio: Studio, *services: str) -> None:
    """What a killed process had in hand is taken up when its lease of a minute ends; here, at once."""
    for service in services or SERVICES:
        async with studio.observer.databases[service].transaction() as db:
            await db.execute(text("update work set due_at = now()"))
            await db.execute(text("update inbox_failed set next_attempt_at = now() where next_attempt_at is not null"))


@contextmanager
def doomed(folder: Path, postgres_url: str, amqp_url: str | None, victim: Sequence[str] = SERVICES) -> Iterator[Doomed]:
    """A system whose victim can die; without a broker the victim is everything."""
    others = [name for name in SERVICES if name not in victim]
    groups = [list(victim), others] if others else TOGETHER
    prefix = f"fault_{new_id().hex[-8:]}"
    with system(folder, postgres_url, amqp_url, groups=groups, start=False, prefix=prefix) as made, ExitStack() as rest:
        if others:
            rest.enter_context(served(made, *others))
        victims = Doomed(made, victim)
        try:
            yield victims
        finally:
            victims.close()


EMBEDDED = pytest.param(("embedded", SERVICES), id="embedded", marks=pytest.mark.xdist_group("faults-embedded"))


def on_rabbitmq(name: str) -> Any:
    """A service that dies alone, as a parameter of `house`; a module may name others than those below."""
    marks = [pytest.mark.broker, pytest.mark.xdist_group(f"faults-{name}")]
    return pytest.param(("rabbitmq", (name,)), id=f"rabbitmq-{name}", marks=marks)


AT_LENGTH = pytest.param(
    ("rabbitmq", ("packages",)),
    id="rabbitmq-packages",
    marks=[*on_rabbitmq("packages").marks, pytest.mark.at_length],
)


def dies(*deaths: tuple[Any, ...], at_length: Sequence[tuple[Any, ...]] = ()) -> pytest.MarkDecorator:
    """Parametrizes `house` and `failpoint`: of each house, the points at which its victim dies.

    What every service does alike, with the outbox, the bus and the inbox, need not die in each of them for each flow.
    """
    chosen = [(*death, ()) for death in deaths] + [(*death, (pytest.mark.at_length,)) for death in at_length]
    pairs = [
        pytest.param(house.values[0], failpoint, id=f"{house.id}-{failpoint}", marks=[*house.marks, *marks])
        for house, *failpoints, marks in chosen
        for failpoint in failpoints
    ]
    # Without its scope, a parametrization by something direct as well makes the house anew for each test.
    return pytest.mark.parametrize(("house", "failpoint"), pairs, indirect=["house"], scope="module")


@pytest.fixture(scope="module", params=[EMBEDDED, on_rabbitmq("booking"), AT_LENGTH])
def house(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Doomed]:
    transport, victim = request.param
    amqp_url: Any = request.getfixturevalue("amqp_url") if transport == "rabbitmq" else None
    with doomed(tmp_path_factory.mktemp("fault"), postgres_url, amqp_url, victim) as made:
        yield made


@pytest.fixture
async def studio(house: Doomed) -> AsyncIterator[Studio]:
    async with opened(house.system) as studio:
        yield studio
