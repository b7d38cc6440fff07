"""A system of its own for the audit: what is heard there and told by nobody can only be a corruption."""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.running.system import System, system
from shared.ids import new_id
from tests.audit.corrupting import Bench, bench
from tests.audit.season import lived

SEED = 20220909
SHORT, LONG = 1, 26
SEASONS = [
    pytest.param((SEED, SHORT), id="a week"),
    pytest.param((SEED + 1, LONG), id="six months", marks=pytest.mark.at_length),
]


@pytest.fixture
def own_system(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[System]:
    """The six services in one process, the practice bank and the mail sink, in databases that nobody else uses."""
    prefix = f"audit_{new_id().hex[-8:]}"
    with system(tmp_path_factory.mktemp(prefix), postgres_url, None, prefix=prefix) as made:
        yield made


@pytest.fixture(scope="package", params=SEASONS)
async def season(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres_url: str
) -> AsyncIterator[Bench]:
    """A season that was lived to its end, ready to be corrupted."""
    seed, weeks = request.param
    prefix = f"audit_{new_id().hex[-8:]}"
    folder = tmp_path_factory.mktemp(prefix)
    with system(folder, postgres_url, None, prefix=prefix) as made:
        async with lived(made, folder / "books", seed=seed, weeks=weeks) as life:
            books = await life.observer.books(life.business_id)
            async with bench(books, postgres_url, made.database_urls) as ready:
                yield ready
