"""What is written beside the code is whole, consistent, and speaks of the product only."""

import ast
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from deploy.local.behaviours import SOURCES, Behaviour, read_behaviours
from deploy.local.docs import SOURCE
from tests.house.sources import ROOT, SERVICES, sources

SKIPPED_FOLDERS = {".git", ".venv", ".dev", "__pycache__", "node_modules", ".hypothesis"}
GENERATED = {"uv.lock"}

# Patterns with a class in brackets do not match themselves, so that this file needs no exception.
BANNED_WORDS = {
    r"(?<![\w.])/wor[k]/": "a path of one machine",
    r"(?<![\w.])/tm[p]/": "a path of one machine: use a temporary folder",
    r"\bassistan[t]s?\b": "not a word of the product",
    r"\bchat ?gp[t]\b": "not a word of the product",
    r"\bclaud[e]\b": "not a word of the product",
    r"\bpyp[i]\.org\b|\bpythonhoste[d]\b": "a registry is configured, not named",
    r"\bnpmj[s]\b": "a registry is configured, not named",
}


@cache
def texts() -> dict[str, str]:
    """Every text of the project: its path from the root, and what it says."""
    found = {}
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS and not name.endswith("_cache")]
        for path in (Path(folder, name) for name in files if name not in GENERATED):
            try:
                found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
    return found


def pages() -> dict[str, str]:
    return {path: text for path, text in texts().items() if path.endswith(".md")}


# Words


def banned_words(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, reason in BANNED_WORDS.items():
            if match := re.search(pattern, line, re.IGNORECASE):
                yield f"line {number}: {match.group()!r}: {reason}"


@pytest.mark.parametrize(
    "parts",
    [
        ("see /wor", "k/main"),
        ("open('/tm", "p/x')"),
        ("an Assis", "tant"),
        ("by Chat", "GPT"),
        ("CLA", "UDE"),
        ("https://pyp", "i.org/simple"),
        ("registry.npm", "js.org"),
    ],
)
def test_the_check_of_words_can_fail(parts: tuple[str, str]) -> None:
    assert len(list(banned_words("A line.\n" + "".join(parts)))) == 1


def test_the_check_of_words_lets_the_rest_be() -> None:
    assert list(banned_words("shared/" + "work/x.py, ./tmp/x, /usr/share/, a work row, assist, Claudia, PyPI")) == []


def test_texts_speak_of_the_product_only() -> None:
    assert [f"{path}: {found}" for path, text in texts().items() for found in banned_words(text)] == []


# Behaviours


def crooked(behaviours: list[Behaviour]) -> Iterator[str]:
    """What is wrong with single rows."""
    for source in SOURCES:
        ids = [behaviour.id for behaviour in behaviours if behaviour.source == source]
        if ids != [f"{source}-{number:02}" for number in range(1, len(ids) + 1)]:
            yield f"{source} is not numbered 01, 02, 03 …"
    for each in behaviours:
        if not each.text[0].isupper() or not each.text.endswith("."):
            yield f"{each.id} is no sentence"
        if not set(each.services) <= set(SERVICES):
            yield f"{each.id} names no service of ours: {each.services}"
    yield from (f"said twice: {text}" for text, times in Counter(b.text for b in behaviours).items() if times > 1)


@pytest.mark.parametrize(
    "rows",
    [
        ["EZ-02"],
        ["EZ-01", "EZ-01"],
        ["OE-02", "OE-01"],
    ],
)
def test_the_check_of_numbers_can_fail(rows: list[str]) -> None:
    assert list(crooked([Behaviour(row, f"It is so, {n}.", ("billing",)) for n, row in enumerate(rows)]))


@pytest.mark.parametrize(
    ("text", "service"), [("it is so.", "billing"), ("It is so", "billing"), ("It is so.", "gateway")]
)
def test_the_check_of_rows_can_fail(text: str, service: str) -> None:
    assert list(crooked([Behaviour("EZ-01", text, (service,))]))
    assert not list(crooked([Behaviour("EZ-01", "It is so.", ("billing", "packages"))]))


def test_there_are_129_behaviours() -> None:
    counts = Counter(behaviour.source for behaviour in read_behaviours())
    assert counts == {"EZ": 22, "FSP": 21, "CC": 36, "PB": 31, "OE": 19}
    assert counts.total() == 129


def test_each_behaviour_is_a_sentence_with_its_services() -> None:
    assert list(crooked(read_behaviours())) == []


def test_every_gap_has_its_decision() -> None:
    page = pages()["docs/behaviours.md"]
    assert re.findall(r"^\| (G-\d\d) \| [^|]+ \| [^|]+ \|$", page, re.MULTILINE) == [f"G-{n:02}" for n in range(1, 11)]


# Sources

EXPLAINED = ("docs/behaviours.md", "docs/sources.md")


def unexplained(text: str, known: set[str]) -> Iterator[str]:
    """The sources that a text names and no page explains."""
    yield from sorted(set(SOURCE.findall(text)) - known)
    yield from (
        f"{number}, no decision of ours" for number in re.findall(r"\bdecisions? \d{1,3}\b", text, re.IGNORECASE)
    )
    cited = re.findall(r"decisions/(\d{4})(?![\d-])", text)
    yield from (f"decisions/{number}" for number in cited if not any(name.startswith(number) for name in decisions()))


def explained() -> list[str]:
    return [row for page in EXPLAINED for row in re.findall(rf"^\| ({SOURCE.pattern}) \|", pages()[page], re.MULTILINE)]


@pytest.mark.parametrize(
    "text",
    ["so (R-98).", "so (PB-15, EZ-99)", "V-" + "77.", "as decision" + " 12 says", "see docs/decisions/0" + "999."],
)
def test_the_check_of_sources_can_fail(text: str) -> None:
    assert len(list(unexplained(text, {"PB-15"}))) == 1
    assert not list(unexplained("PB-15, docs/decisions/0001, decisions, the decision of 2022", {"PB-15"}))


def test_every_source_that_is_named_is_explained() -> None:
    known = set(explained())
    judged = {path: text for path, text in texts().items() if not path.startswith("tests/house/")}
    assert [f"{path}: {found}" for path, text in judged.items() for found in unexplained(text, known)] == []


def test_every_source_is_explained_once() -> None:
    assert [row for row, times in Counter(explained()).items() if times > 1] == []


def named_by_tests(text: str) -> Iterator[str]:
    """The sources that a module of tests, or a test of it, says that it is about."""
    for node in ast.walk(ast.parse(text)):
        test = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if test or isinstance(node, ast.Module):
            yield from SOURCE.findall(ast.get_docstring(node) or "")  # type: ignore[arg-type]


def test_the_check_of_tests_can_fail() -> None:
    text = "'About R-01.'\ndef test_a():\n  'V-02, so it is.'\n  assert 1, 'R-03'\ndef helps():\n  'R-05.'\n# R-06"
    assert sorted(named_by_tests(text)) == ["R-01", "V-02"]


def test_every_decided_rule_and_number_is_what_a_test_is_about() -> None:
    ours = set(re.findall(r"^\| ([RV]-\d+) \|", pages()["docs/sources.md"], re.MULTILINE))
    named = {each for path, text in sources("tests").items() if "/test_" in path for each in named_by_tests(text)}
    assert sorted(ours - named) == []


# Decisions

HEADINGS = ["Context", "Decision", "Consequences", "Enforced by"]


def wrong_decision(text: str) -> Iterator[str]:
    if len(text.splitlines()) > 40:
        yield "more than 40 lines"
    if re.findall(r"^## (.+)$", text, re.MULTILINE) != HEADINGS:
        yield f"needs the headings {', '.join(HEADINGS)}"
    enforcers = re.findall(r"`([^`]+)`", text.partition("## Enforced by")[2])
    if not enforcers:
        yield "is enforced by nothing"
    yield from (f"is enforced by {path}, which is not there" for path in enforcers if not (ROOT / path).exists())


DECISION = "# 0001 So\n\n## Context\n\n## Decision\n\n## Consequences\n\n## Enforced by\n\n`tests/house/`.\n"


@pytest.mark.parametrize(
    "text",
    [
        DECISION + "\n" * 31,
        DECISION.replace("## Consequences\n", ""),
        DECISION.replace("## Enforced by", "## Enforcement"),
        DECISION.replace("`tests/house/`", "everybody"),
        DECISION.replace("tests/house/", "tests/mouse/"),
    ],
)
def test_the_check_of_decisions_can_fail(text: str) -> None:
    assert list(wrong_decision(text))
    assert not list(wrong_decision(DECISION))


def decisions() -> dict[str, str]:
    return {Path(path).name: text for path, text in pages().items() if re.match(r"docs/decisions/\d", path)}


def test_decisions_are_short_and_enforced() -> None:
    assert [f"{name} {wrong}" for name, text in decisions().items() for wrong in wrong_decision(text)] == []


def test_decisions_are_numbered_and_listed() -> None:
    names = sorted(decisions())
    assert [name[:4] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]
    assert re.findall(r"\]\((\d{4}-[^)]+)\)", pages()["docs/decisions/README.md"]) == names


# Pages


def dead_links(page: Path, text: str) -> list[str]:
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", prose)
    return [link for link in links if not (page.parent / link).exists()]


def test_the_check_of_links_can_fail() -> None:
    page = ROOT / "docs/page.md"
    assert dead_links(page, "[a](gone.md) [b](behaviours.md#x) [c](../LICENSE) [d](https://x.y) [e](#f)") == ["gone.md"]
    assert dead_links(page, "```\n[a](gone.md)\n```\n") == []


def test_links_between_pages_lead_somewhere() -> None:
    dead = {path: dead_links(ROOT / path, text) for path, text in pages().items()}
    assert {path: links for path, links in dead.items() if links} == {}


# The glossary


def terms(page: str) -> list[tuple[str, str]]:
    """Each term of a glossary, with its last column."""
    return re.findall(r"^\| ([A-Z][^|]+) \| [^|]+ \| (.+) \|$", page, re.MULTILINE)


def names_in(text: str) -> Iterator[str]:
    """The names that a module uses, and the words of its strings, such as SQL; comments and docstrings are left out."""
    tree = ast.parse(text)
    talk = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in talk:
            yield from re.findall(r"\w+", node.value)
        yield from (str(getattr(node, field)) for field in ("id", "attr", "arg", "name") if hasattr(node, field))


def made_up(page: str, code: Iterable[str]) -> list[str]:
    """The names of a glossary that the code does not have."""
    known = {name for text in code for name in names_in(text)}
    return [
        f"{term}: {name}"
        for term, names in terms(page)
        for name in re.findall(r"`([^`]+)`", names)
        if name not in known
    ]


def test_the_check_of_names_can_fail() -> None:
    page = "| Lot | Sessions. | `Lot`, `lot_id`, `lots` |\n| Hold | One session. | `Hold`, `held` |\n"
    code = ["class Hold:\n    'Of a Lot.'\n    state: Literal['held']", "x = 'select lot_id'  # lots"]
    assert made_up(page, code) == ["Lot: Lot", "Lot: lots"]


def test_the_glossary_names_what_the_code_has() -> None:
    built = pages()["docs/glossary.md"].partition("# Not built yet")[0]
    assert made_up(built, sources("services", "shared").values()) == []


def test_the_glossary_gives_each_word_one_meaning() -> None:
    rows = terms(pages()["docs/glossary.md"])
    assert len(rows) > 80
    assert [word for word, times in Counter(term.lower() for term, _ in rows).items() if times > 1] == []


# The style guide


def test_the_examples_of_the_style_guide_are_python() -> None:
    examples = re.findall(r"^```python\n(.*?)^```", (ROOT / "STYLE.md").read_text(encoding="utf-8"), re.M | re.S)
    assert len(examples) >= 7
    for example in examples:
        ast.parse(example)
