"""The count of proven behaviours can be trusted: a test that did not pass proves nothing, however it was run."""

import json
from pathlib import Path

import pytest

from deploy.local.behaviours import print_behaviours, read_behaviours, spans
from deploy.local.servers import ROOT
from tests.proven import Story, merge, proven, without_group

pytest_plugins = ["pytester"]

PLUGINS = ["-p", "tests.proven", "-p", "no:hypothesispytest", "-p", "no:asyncio"]  # the two are slow to load

DOCUMENT = """
| id | behaviour | service |
|---|---|---|
| EZ-01 | A sale is made. | packages, catalog |
| EZ-02 | It is billed. | billing |
| EZ-03 | It is mailed. | notify |
| OE-01 | It goes on. | packages |
| G-01 | Not a behaviour. | But a gap. |
"""

STORIES = """
import os
import pytest

behaviour = pytest.mark.behaviour

@pytest.fixture
def breaks_afterwards():
    yield
    raise RuntimeError

@behaviour("EZ-01", "EZ-02")
@pytest.mark.parametrize("transport", ["embedded", "rabbitmq"])
def test_sold(transport):
    pass

@pytest.mark.xdist_group("bills")
@behaviour("EZ-02")
def test_billed():
    assert os.environ.get("FIXED")

@pytest.mark.xdist_group("mails")
@behaviour("EZ-03")
class TestMailed:
    def test_at_once(self):
        pass

    @SECOND_MAIL
    def test_again(self):
        pass

def test_of_something_else():
    pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A repository of its own, with four behaviours and the stories above."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the workers of xdist, which are processes of their own
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.mkdir("docs").joinpath("behaviours.md").write_text(DOCUMENT, encoding="utf-8")
    write_stories(pytester)
    return pytester


def write_stories(project: pytest.Pytester, *, second_mail: str = "behaviour('EZ-01')") -> None:
    project.path.joinpath("test_stories.py").write_text(STORIES.replace("SECOND_MAIL", second_mail), encoding="utf-8")


def run(project: pytest.Pytester, *arguments: str) -> dict[str, list[str]]:
    """Run the stories, and read what they have proven."""
    project.runpytest_inprocess(*PLUGINS, *arguments)
    content: dict[str, list[str]] = json.loads(project.path.joinpath(".dev/proven.json").read_text(encoding="utf-8"))
    return content


SOLD = ["test_stories.py::test_sold[embedded]", "test_stories.py::test_sold[rabbitmq]"]
MAILED = ["test_stories.py::TestMailed::test_again", "test_stories.py::TestMailed::test_at_once"]


@pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "loadgroup")], ids=["one", "two"])
def test_a_behaviour_is_proven_by_all_its_tests_together(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    assert run(project, *workers) == {"EZ-01": [MAILED[0], *SOLD], "EZ-03": MAILED}


# Marks of a made-up project inside the test: each keeps a test from passing, and must keep its id from being proven.
@pytest.mark.parametrize(
    "second_mail",
    [
        "pytest.mark.skip",
        "pytest.mark.skipif(True, reason='no broker')",
        "pytest.mark.xfail",  # written into a made-up project, to see that a test with such a mark proves nothing
        "pytest.mark.usefixtures('breaks_afterwards')",
        "pytest.mark.usefixtures('unknown_fixture')",
    ],
)
def test_only_a_pass_proves(project: pytest.Pytester, second_mail: str) -> None:
    write_stories(project, second_mail=second_mail)
    assert "EZ-03" not in run(project)


def test_a_crashed_worker_proves_nothing(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    project.makepyfile(
        test_crash="""
        import os, pytest

        @pytest.mark.behaviour("OE-01")
        def test_it():
            if os.environ.get("CRASH"):
                os._exit(1)
        """
    )
    assert "OE-01" in run(project)
    monkeypatch.setenv("CRASH", "yes")
    assert "OE-01" not in run(project, "-n", "1")


def test_a_partial_run_speaks_only_for_the_tests_that_ran(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(project, "-k", "embedded or billed") == {}
    assert list(run(project, "-k", "not billed")) == ["EZ-01", "EZ-03"]
    monkeypatch.setenv("FIXED", "yes")
    assert list(run(project, "test_stories.py::test_billed")) == ["EZ-01", "EZ-02", "EZ-03"]
    monkeypatch.delenv("FIXED")
    assert list(run(project, "-k", "billed", "-n", "1")) == ["EZ-01", "EZ-03"]


def test_tests_that_are_gone_neither_prove_nor_hold_back(project: pytest.Pytester) -> None:
    extra = project.makepyfile(test_extra="import pytest\n@pytest.mark.behaviour('EZ-03')\ndef test_it(): assert False")
    assert list(run(project)) == ["EZ-01"]
    extra.unlink()
    assert list(run(project, "-k", "sold")) == ["EZ-01", "EZ-03"]


@pytest.mark.parametrize("marker", ["behaviour('EZ-01', 'EZ-99')", "behaviour", "behaviour()", "behaviour(['EZ-01'])"])
def test_an_unknown_behaviour_stops_the_run(project: pytest.Pytester, marker: str) -> None:
    project.makepyfile(test_wrong=f"import pytest\n@pytest.mark.{marker}\ndef test_it(): pass")
    result = project.runpytest_inprocess(*PLUGINS)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_wrong.py::test_it: *behaviour*"])
    assert not project.path.joinpath(".dev/proven.json").exists()


def test_an_unknown_behaviour_fails_a_distributed_run(project: pytest.Pytester) -> None:
    project.makepyfile(test_wrong="import pytest\n@pytest.mark.behaviour('EZ-99')\ndef test_it(): pass")
    result = project.runpytest_inprocess(*PLUGINS, "-n", "1", "-k", "not billed")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["test_wrong.py::test_it: docs/behaviours.md has no behaviour [[]'EZ-99'[]]"])


def test_a_test_that_has_never_run_holds_its_behaviours_back() -> None:
    stories = merge({}, {"t.py::a": ["EZ-01"], "t.py::b": ["EZ-01"]}, {"t.py::a": "passed"}, whole=True)
    assert stories["t.py::b"] == Story(ids=["EZ-01"], outcome="not run")
    assert proven(stories) == {}
    assert list(proven(merge(stories, {"t.py::b": ["EZ-01"]}, {"t.py::b": "passed"}, whole=False))) == ["EZ-01"]


def test_a_group_of_xdist_is_no_part_of_a_name() -> None:
    collected = {"t.py::a", "t.py::b[x@y]"}
    assert without_group("t.py::a@rabbitmq", collected) == "t.py::a"
    assert without_group("t.py::b[x@y]", collected) == "t.py::b[x@y]"
    assert without_group("t.py::b[x@y]@rabbitmq", collected) == "t.py::b[x@y]"


def test_the_table_shows_what_is_proven_and_what_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/behaviours.md").write_text(DOCUMENT, encoding="utf-8")
    assert print_behaviours(tmp_path) == 1
    assert "No story has been run yet" in capsys.readouterr().out

    (tmp_path / ".dev").mkdir()
    (tmp_path / ".dev/proven.json").write_text('{"EZ-01": ["a"], "EZ-02": ["b"], "CC-77": ["gone"]}', encoding="utf-8")
    assert print_behaviours(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "proven 2 of 4"
    assert lines[2:5] == ["EZ  EZFacility            2 of 3", "    proven      01-02", "    not proven  03"]


def test_rows_are_read_with_their_services() -> None:
    first = read_behaviours()[0]
    assert (first.id, first.source, first.services) == ("EZ-01", "EZ", ("packages", "catalog"))


@pytest.mark.parametrize(
    ("ids", "text"),
    [([], ""), (["EZ-01"], "01"), (["EZ-02", "EZ-01", "EZ-03", "EZ-07", "EZ-09", "EZ-10"], "01-03 07 09-10")],
)
def test_spans(ids: list[str], text: str) -> None:
    assert spans(ids) == text
