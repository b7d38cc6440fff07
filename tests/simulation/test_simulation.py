"""Whatever happens in whatever order, to whoever: at rest, all is right, and every answer was true.

`PUNCHCARD_SIMULATION=10000 ./dev test tests/simulation` looks at as many lives, chosen anew each time.
"""

import os
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.machine import NotRight, Simulation
from tests.simulation.planted import PLANTED, Planted, an_inbox_that_handles_again

LIVES = 200
"""In CI always the same ones."""
STEPS = 8
"""A short life costs half of one of 25 steps, and begins with sales, days and a death that waits already."""
LONG = 25
FOUND_WITHIN = 40
"""So many lives at most it takes to find a planted fault."""
wanted = os.environ.get("PUNCHCARD_SIMULATION")

pytestmark = [
    pytest.mark.servers,
    pytest.mark.xdist_group("simulation"),
    pytest.mark.timeout(60 * int(wanted) if wanted else 900),
]


def live(simulation: Callable[[], Simulation], chosen: settings) -> None:
    """Live through them; fails with the shortest life that does not end well."""
    run_state_machine_as_test(cast("type[Simulation]", simulation), settings=chosen)


def lives(many: int, *, steps: int = STEPS, anew: bool = False, shrink: bool = True) -> settings:
    """So many lives, none of which is remembered for the next time."""
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    return settings(
        max_examples=many,
        stateful_step_count=steps,
        derandomize=not anew,
        database=None,
        deadline=None,
        phases=phases,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


def test_all_is_right_in_the_end(simulation: Callable[[], Simulation]) -> None:
    live(simulation, lives(int(wanted or LIVES), anew=bool(wanted)))


@pytest.mark.at_length
def test_all_is_right_after_long_lives(simulation: Callable[[], Simulation]) -> None:
    live(simulation, lives(int(wanted or LIVES) // 10, steps=LONG, anew=bool(wanted)))


@pytest.mark.parametrize(("plant", "what"), PLANTED, ids=lambda each: getattr(each, "__name__", ""))
def test_a_fault_is_found(
    plant: Planted, what: str, simulation: Callable[[], Simulation], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(NotRight, match=what):
        live(simulation, lives(FOUND_WITHIN, shrink=False))


@pytest.mark.at_length
def test_what_is_handled_twice_has_one_effect(
    simulation: Callable[[], Simulation], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the inbox stands a second lock: a key of the business, a sequence, a state (docs/decisions/0001)."""
    an_inbox_that_handles_again(monkeypatch)
    live(simulation, lives(LIVES // 10))
