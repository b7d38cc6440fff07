"""A pytest plugin that records which behaviours the tests have proven.

A test names the behaviours it proves, `@pytest.mark.behaviour("EZ-15", "CC-02")`; an id that `docs/behaviours.md` does
not have is a collection error. A behaviour is proven when every test that carries it, in every parametrisation, passed
when it last ran: a failed, skipped or expectedly failing one, or one never run, holds it back.

Two files in `.dev/` outlive the run, so that a run of some tests changes only what those tests say:
`story_outcomes.json` keeps the last outcome of each test, and `proven.json`, derived from it, `{id: [tests]}`.
"""

import json
from collections import defaultdict
from collections.abc import Container, Generator, Mapping
from pathlib import Path
from typing import Any, TypedDict

import pytest

from deploy.local.behaviours import DOCUMENT, PROVEN, read_behaviours

OUTCOMES = Path(".dev/story_outcomes.json")
PROPERTY = "behaviour"


class Story(TypedDict):
    """The behaviours that a test carries, and how it last ended."""

    ids: list[str]
    outcome: str


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "behaviour(*ids): the behaviours of docs/behaviours.md that this story proves")
    config.pluginmanager.register(Recorder(config), "proven-recorder")


class Recorder:
    """Collects markers and reports. With xdist the workers collect and run; their controller hears of it and writes."""

    def __init__(self, config: pytest.Config) -> None:
        self.root = config.rootpath
        self.on_worker = hasattr(config, "workerinput")
        self.known: frozenset[str] | None = None
        self.collected: dict[str, list[str]] = {}
        """Every test collected, whether or not it was selected, with its behaviours; most have none."""
        self.reports: defaultdict[str, list[pytest.TestReport]] = defaultdict(list)
        self.whole = not (config.getoption("lf", False) or any("::" in arg for arg in config.args))
        """False when only a part of some file is collected."""

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(self) -> Generator[None, Any, Any]:
        """Refuse unknown behaviours where pytest turns an exception into a collection error, xdist or not."""
        made = yield
        for item in made if isinstance(made, list) else [made]:
            if isinstance(item, pytest.Item):
                self._refuse_unknown(item)
        return made

    def _refuse_unknown(self, item: pytest.Item) -> None:
        for marker in item.iter_markers(PROPERTY):
            if self.known is None:
                self.known = frozenset(behaviour.id for behaviour in read_behaviours(self.root))
            if not marker.args or marker.kwargs:
                raise pytest.Collector.CollectError(f'{item.nodeid}: write @pytest.mark.behaviour("EZ-15", …)')
            if unknown := [each for each in marker.args if str(each) not in self.known]:
                raise pytest.Collector.CollectError(f"{item.nodeid}: {DOCUMENT} has no behaviour {unknown}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """First, so that tests about to be deselected still count among those that carry a behaviour."""
        for item in items:
            ids = sorted({each for marker in item.iter_markers(PROPERTY) for each in marker.args})
            self.collected[item.nodeid] = ids
            item.user_properties += [(PROPERTY, each) for each in ids]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports[report.nodeid].append(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of xdist has ended, and left what it had collected."""
        self.collected.update(getattr(node, "workeroutput", {}).get("proven_collected", {}))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.on_worker:
            session.config.workeroutput["proven_collected"] = self.collected  # type: ignore[attr-defined]
            return
        collected, ended = self._this_run()
        if ended:
            before: dict[str, Story] = _read(self.root / OUTCOMES)
            stories = merge(before, collected, ended, whole=self.whole)
            stories = {test: story for test, story in stories.items() if (self.root / test.split("::")[0]).exists()}
            _write(self.root / OUTCOMES, stories)
            _write(self.root / PROVEN, proven(stories))

    def _this_run(self) -> tuple[dict[str, list[str]], dict[str, str]]:
        """All tests collected with their behaviours, and the outcome of those that carry any and ran."""
        collected, ended = dict(self.collected), {}
        for test, reports in self.reports.items():
            name = without_group(test, collected)
            # empty when the worker crashed: then only the collection knows
            carried = {str(value) for report in reports for key, value in report.user_properties if key == PROPERTY}
            if collected.setdefault(name, sorted(carried)):
                ended[name] = outcome(reports)
        return collected, ended


def without_group(test: str, collected: Container[str]) -> str:
    """The id of a test as collected: some versions of xdist append "@group" to it in reports."""
    return test if test in collected or "@" not in test else test.rpartition("@")[0]


def outcome(reports: list[pytest.TestReport]) -> str:
    """How a test ended, by the reports of its phases. Only `passed` proves anything."""
    if any(report.failed for report in reports):
        return "failed"
    # A test that was left out, or expected to fail, proves nothing: this is what keeps such marks from counting.
    if any(report.skipped or hasattr(report, "wasxfail") for report in reports):
        return "skipped"
    return "passed" if {report.when for report in reports} >= {"setup", "call", "teardown"} else "interrupted"


def merge(
    before: Mapping[str, Story], collected: Mapping[str, list[str]], ended: Mapping[str, str], *, whole: bool
) -> dict[str, Story]:
    """What is known after a run: its outcomes, and the older ones of tests that did not run and still exist."""
    seen_files = {test.split("::")[0] for test in collected} if whole else set()
    stories = {
        test: story
        for test, story in before.items()
        if test not in collected and test.split("::")[0] not in seen_files  # else renamed, or its marker is gone
    }
    for test, ids in collected.items():
        if ids:
            last = before[test]["outcome"] if test in before else "not run"
            stories[test] = Story(ids=ids, outcome=ended.get(test, last))
    return dict(sorted(stories.items()))


def proven(stories: Mapping[str, Story]) -> dict[str, list[str]]:
    """The behaviours of which every test passed, each with those tests."""
    carriers: defaultdict[str, list[str]] = defaultdict(list)
    for test, story in stories.items():
        for behaviour in story["ids"]:
            carriers[behaviour].append(test)
    return {
        behaviour: sorted(tests)
        for behaviour, tests in sorted(carriers.items())
        if all(stories[test]["outcome"] == "passed" for test in tests)
    }


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write(path: Path, content: object) -> None:
    """Whole or not at all, whoever reads at the same time."""
    path.parent.mkdir(exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    new.replace(path)
