"""Reading the repository's own code, for the tests that judge it."""

import ast
import builtins
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from services import __main__ as composition

ROOT = Path(__file__).parents[2]
SERVICES = tuple(composition.SERVICES)


@cache
def sources(*folders: str, suffixes: tuple[str, ...] = (".py",)) -> dict[str, str]:
    """Every file below these folders with one of these suffixes: its path from the root, and its text."""
    files = (file for folder in folders for file in sorted((ROOT / folder).rglob("*")) if file.suffix in suffixes)
    return {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files if file.is_file()}


def findings(check: Callable[[str, str], Iterable[str]], *folders: str) -> list[str]:
    """What a check has to say about the Python files below these folders."""
    return [f"{path}: {found}" for path, text in sources(*folders).items() for found in check(path, text)]


def qualified_names(tree: ast.Module) -> Callable[[ast.expr], str | None]:
    """A function that tells what an expression like `dt.now` stands for, by the imports of the module."""
    origin: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                origin[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            origin |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}

    def name_of(node: ast.expr) -> str | None:
        if isinstance(node, ast.Attribute):
            owner = name_of(node.value)
            return owner and f"{owner}.{node.attr}"
        if isinstance(node, ast.Name):
            return origin.get(node.id) or (f"builtins.{node.id}" if hasattr(builtins, node.id) else None)
        return None

    return name_of
