"""Rules explain themselves: each has a docstring, and each error's docstring is the sentence that a client reads."""

import ast
import builtins
from collections.abc import Iterable
from fnmatch import fnmatch

import pytest

from tests.house.sources import SERVICES, qualified_names, sources


def rule_files() -> dict[str, str]:
    patterns = ("services/*/rules.py", "services/*/rules/*.py")
    return {path: text for path, text in sources("services").items() if any(fnmatch(path, p) for p in patterns)}


def unexplained(text: str) -> list[str]:
    """Public functions and classes without a docstring."""
    return [
        f"{node.name} has no docstring"
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not (ast.get_docstring(node) or "").strip()
    ]


def error_classes(texts: Iterable[str]) -> dict[str, ast.ClassDef]:
    """The exceptions among these files: children of a built-in exception, of shared.errors, or of each other."""
    errors: dict[str, ast.ClassDef] = {}
    classes: list[tuple[ast.ClassDef, list[str]]] = []
    for text in texts:
        tree = ast.parse(text)
        name_of = qualified_names(tree)
        classes += [
            (node, [name_of(parent) or ast.unparse(parent) for parent in node.bases])
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
        ]
    size = -1
    while size < len(errors):
        size = len(errors)
        errors |= {node.name: node for node, parents in classes if any(_is_error(parent, errors) for parent in parents)}
    return errors


def _is_error(name: str, errors: dict[str, ast.ClassDef]) -> bool:
    builtin = getattr(builtins, name.removeprefix("builtins."), None)
    is_builtin = isinstance(builtin, type) and issubclass(builtin, BaseException)
    return is_builtin or name.startswith("shared.errors.") or name.rpartition(".")[2] in errors


def is_sentence(docstring: str | None) -> bool:
    """Its first line, which clients get to read, begins like a sentence, has words, and ends like one."""
    line = (docstring or "").strip().partition("\n")[0]
    return len(line.split()) > 1 and not line[0].islower() and line[-1] in ".!?"


def speechless(texts: Iterable[str]) -> list[str]:
    return [
        f"{name}: its docstring is the message, so a sentence"
        for name, node in error_classes(texts).items()
        if not is_sentence(ast.get_docstring(node))
    ]


@pytest.mark.parametrize(
    "snippet", ["def f(): ...", "class Window:\n    x: int", "async def f(): ''", "def f():\n    ' '"]
)
def test_the_check_of_docstrings_can_fail(snippet: str) -> None:
    assert unexplained(snippet)
    assert not unexplained("def _f(): ...\ndef g():\n    'It is so.'\n    def inner(): ...")


@pytest.mark.parametrize(
    "snippet",
    [
        "class Full(Exception): ...",
        "class Full(ValueError):\n    'full'",
        "from shared.errors import Conflict\nclass Full(Conflict):\n    'it is full.'",
        "from shared import errors\nclass Full(errors.Conflict):\n    'Full.'",
        "from shared.errors import Conflict\nclass Odd(Conflict):\n    'It is odd.'\nclass Full(Odd):\n    'Full'",
        "from .errors import Odd\nclass Full(Odd): ...\n",
    ],
)
def test_the_check_of_errors_can_fail(snippet: str) -> None:
    elsewhere = "from shared.errors import Conflict\nclass Odd(Conflict):\n    'This is odd.'"
    assert speechless([snippet, elsewhere]) == ["Full: its docstring is the message, so a sentence"]
    assert not speechless([elsewhere, "class Window: ...", "class Full(Exception):\n    '''It is full.\n\n    x'''"])


def test_rules_have_docstrings() -> None:
    assert [f"{path}: {found}" for path, text in rule_files().items() for found in unexplained(text)] == []


@pytest.mark.parametrize("service", SERVICES)
def test_errors_speak_in_sentences(service: str) -> None:
    own = [text for path, text in rule_files().items() if path.startswith(f"services/{service}/")]
    assert speechless([*own, *sources("shared").values()]) == []
