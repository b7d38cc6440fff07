"""Every row of the bench still runs: in a size of which no figure means anything."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.up import POSTGRES
from tests.bench.figures import TINY, Figure, Goal
from tests.bench.place import Place, place
from tests.bench.rows import ROWS
from tests.bench.table import show, write

pytestmark = [pytest.mark.servers, pytest.mark.broker, pytest.mark.xdist_group("bench")]


@pytest.fixture(scope="module")
def tiny(postgres_url: str, amqp_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("bench"), postgres_url, amqp_url, TINY) as made:
        yield made


@pytest.mark.parametrize("row", ROWS)
async def test_a_row_runs(row: str, tiny: Place, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POSTGRES, postgres_url)
    found = await ROWS[row](tiny)
    assert found
    assert all(each.row.startswith("S") for each in found)
    for each in found:
        if isinstance(each, Figure):
            assert all(value > 0 for value in (*each.ours, *each.limit))
    show(found, {}, 0)


def test_a_ratio_is_of_rounds_and_a_goal_can_be_missed(tmp_path: Path) -> None:
    figure = Figure("S0", "work", "/s", [10, 20, 90], Goal(0.5), [20, 50, 100])
    assert figure.ratio == 0.5, "the median of 0.5, 0.4 and 0.9"
    assert figure.met
    assert not Figure("S0", "work", "/s", [10, 20, 90], Goal(0.6), [20, 50, 100]).met
    assert not Figure("S0", "work", "ms", [70], Goal(60, at_most=True, of_ratio=False)).met
    write(tmp_path / "figures.json", [figure], {}, {})
    assert '"verdict": "met"' in (tmp_path / "figures.json").read_text()
