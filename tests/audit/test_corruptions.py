"""A season is lived on real services; then it is corrupted, a thousand times, and the audit finds every one."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.audit import books as reading
from deploy.audit.auditing import audit
from deploy.audit.books import Books, first_id, made_at
from deploy.audit.findings import Finding
from deploy.local.running.system import System
from tests.audit.corrupting import Bench, judged
from tests.audit.corruption import Corruption, Corruptor
from tests.audit.season import lived

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("audit"), pytest.mark.timeout(3600)]

SEED = 4091
OF_NO_EVENT = {"payments", "payment_parts", "postings"}
"""Rows that a person made at a door; and sides of an entry, which alone knows its event: the row is named."""


def test_a_season_that_was_lived_is_clean(season: Bench) -> None:
    assert judged(season.books) == []
    assert all(season.books.counted.values())


async def test_what_is_corrupted_is_found_and_the_event_is_named(
    season: Bench, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Forty corruptions of the short season, a thousand of the long one; the seed says which."""
    many = 1000 if request.node.callspec.id == "six months" else 40
    corruptor, came_to, wrong = Corruptor(season.books, SEED), Counter[str](), list[str]()
    while came_to.total() - came_to["refused by the database"] < many:
        corruption = corruptor.draw()
        found = await season.found(corruption)
        came_to[verdict(corruption, found)] += 1
        if verdict(corruption, found).startswith("not"):
            wrong.append(f"{corruption} {[finding.line() for finding in found or ()][:3]}")
    with capsys.disabled():
        print(f"\nseed {SEED}: {dict(came_to)}")  # noqa: T201 — the figures of the proof
    assert wrong == []
    assert judged(season.books) == [], "and nothing of it stayed"


def verdict(corruption: Corruption, found: list[Finding] | None) -> str:
    """What came of a corruption."""
    if found is None:
        return "refused by the database"
    if not corruption.detectable:
        return "beyond any audit"
    if not found:
        return "not found"
    of_it = [finding for finding in found if any(name in finding.line() for name in corruption.names)]
    by_event = any(finding.type.endswith(".v1") for finding in of_it) or corruption.what in OF_NO_EVENT
    by_event |= any(finding.what == "broken" and finding.found == corruption.invariant for finding in of_it)
    if corruption.what.endswith(".v1"):
        by_event = any(corruption.what == finding.type or finding.event_id in corruption.names for finding in of_it)
    return "found and named" if of_it and by_event else "not named"


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_of_what_the_logs_have_forgotten_nothing_is_concluded(
    season: Bench, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the logs begin, what is left of them agrees with the rows; and there is still much to compare."""
    monkeypatch.setattr(reading, "SLACK", reading.SLACK / 86400)
    whole = season.books
    ids = sorted(whole.by_id)
    since = made_at(ids[int(len(ids) * share)])
    shelves = {
        name: replace(shelf, log=[told for told in shelf.log if told.event_id >= first_id(since)])
        for name, shelf in whole.shelves.items()
    }
    cut = Books(whole.business_id, shelves, whole.subscriptions, since, bank_log=whole.bank_log)
    assert audit(cut) == []
    assert cut.counted["events"] > 0


@pytest.mark.at_length
@pytest.mark.parametrize("seed", [11, 12, 13])
async def test_other_seasons_are_clean_too(own_system: System, tmp_path: Path, seed: int) -> None:
    async with lived(own_system, tmp_path / "books", seed=seed, weeks=6) as life:
        assert judged(await life.observer.books(life.business_id)) == []
