"""The code keeps to the house: rooms, names, sizes and calls. `STYLE.md` says why.

Every check is a function from source text to findings, and is shown something bad first: a check that cannot fail
checks nothing.
"""

import ast
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.house.sources import ROOT, SERVICES, findings, qualified_names, sources

ROOMS = {"__init__", "main", "api", "handlers", "workers", "actions", "rules", "invariants", "tables", "migrations"}
SPECIAL_ROOMS = {"directdebit": {"bank"}, "notify": {"channels"}}

LONGEST_FILE = 300
LONGEST_FUNCTION = 60
LONG_FILES: dict[str, str] = {
    # "services/billing/rules.py": "why it may be longer",
}
LONG_FUNCTIONS: dict[str, str] = {
    "*/migrations/versions/*.py": "a migration is a list of tables, not logic",
}

BANNED_STEMS = {"util", "utils", "helper", "helpers", "common", "base", "manager", "managers"}
EVERYWHERE = ("services", "shared", "deploy")

# A name, the folders where it is banned, and what to use. A name is banned when called and when passed on.
BANNED_NAMES = {
    "datetime.datetime.utcnow": (EVERYWHERE, "datetime.now(UTC), or the business's clock (shared.clock)"),
    "datetime.datetime.today": (EVERYWHERE, "the business's clock (shared.clock)"),
    "datetime.date.today": (EVERYWHERE, "a business date: the event's, or the business's clock (shared.clock)"),
    "time.time": (("services", "shared"), "the database's now() for deadlines, time.monotonic() for durations"),
    "uuid.uuid4": (("services",), "shared.ids.new_id()"),
    "asyncio.sleep": (("services",), "a work row (workers.py), or `raise Later`"),
}
# The same for calls only: `float` may well stand in an annotation.
BANNED_CALLS = {
    "builtins.print": (("services", "shared"), "shared.log"),
    "builtins.float": (("services",), "integers in minor units (R-01)"),
}
NAIVE_NOW = "datetime.datetime.now"


# Rooms and names


def wrong_rooms(service: str, entries: Iterable[str]) -> list[str]:
    """What a service's folder holds besides its rooms; a room is a file, or a folder of the same name."""
    allowed = ROOMS | SPECIAL_ROOMS.get(service, set())
    rooms = [entry for entry in entries if entry not in {"__pycache__", "py.typed"}]
    return [entry for entry in rooms if entry.removesuffix(".py") not in allowed]


@pytest.mark.parametrize(
    ("service", "entry"),
    [
        ("booking", "utils.py"),
        ("booking", "bank"),
        ("directdebit", "bank.sql"),
        ("notify", "documents"),
        ("billing", "x"),
    ],
)
def test_the_check_of_rooms_can_fail(service: str, entry: str) -> None:
    assert wrong_rooms(service, ["__init__.py", "rules", "api.py", "__pycache__", entry]) == [entry]


def test_services_have_only_the_rooms_of_the_house() -> None:
    folders = [folder for folder in (ROOT / "services").iterdir() if folder.is_dir() and folder.name != "__pycache__"]
    assert {folder.name for folder in folders} <= set(SERVICES)
    wrong = {folder.name: wrong_rooms(folder.name, [entry.name for entry in folder.iterdir()]) for folder in folders}
    assert {service: rooms for service, rooms in wrong.items() if rooms} == {}


def empty_names(path: str, _: str) -> list[str]:
    return [
        f"{part!r} says nothing: name what it does" for part in Path(path).with_suffix("").parts if part in BANNED_STEMS
    ]


@pytest.mark.parametrize("path", ["shared/utils.py", "services/base/api.py", "deploy/local/manager.py"])
def test_the_check_of_names_can_fail(path: str) -> None:
    assert empty_names(path, "")
    assert not empty_names("services/billing/rules/instalments.py", "")


def test_modules_are_named_for_what_they_do() -> None:
    assert findings(empty_names, *EVERYWHERE, "tests") == []


# Sizes


def long_file(path: str, text: str) -> list[str]:
    lines = len(text.splitlines())
    return (
        [f"{lines} lines; make it a folder, split by ability"]
        if lines > LONGEST_FILE and path not in LONG_FILES
        else []
    )


def long_functions(path: str, text: str) -> Iterator[str]:
    if any(fnmatch(path, pattern) for pattern in LONG_FUNCTIONS):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield f"{node.name} has {lines} lines"


def test_the_checks_of_sizes_can_fail() -> None:
    assert long_file("services/x.py", "x\n" * 301)
    assert not long_file("services/x.py", "x\n" * 300)
    for kind in ("def", "async def"):
        assert list(long_functions("services/x.py", f"{kind} f():\n" + "    x\n" * 60)) == ["f has 61 lines"]
        assert not list(long_functions("services/x.py", f"{kind} f():\n" + "    x\n" * 59))


def test_files_are_short() -> None:
    files = sources(*EVERYWHERE, suffixes=(".py", ".sql", ".sh"))
    assert [f"{path}: {found}" for path, text in files.items() for found in long_file(path, text)] == []
    assert [path for path in LONG_FILES if path not in files] == [], "listed, but gone"


def test_functions_are_short() -> None:
    assert findings(long_functions, *EVERYWHERE) == []


# Calls


def banned_uses(path: str, text: str) -> Iterator[str]:
    tree = ast.parse(text)
    name_of = qualified_names(tree)
    floor = path.partition("/")[0]
    aware = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and _says_zone(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name, banned, line = name_of(node), BANNED_NAMES, node.lineno
            if name == NAIVE_NOW and id(node) not in aware:
                yield f"line {line}: {name} without a zone; use datetime.now(UTC), or the business's clock"
        elif isinstance(node, ast.Call):
            name, banned, line = name_of(node.func), BANNED_CALLS, node.lineno
        else:
            continue
        folders, instead = banned.get(name or "", ((), ""))
        if floor in folders:
            yield f"line {line}: {name} is banned here; use {instead}"


def _says_zone(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "tz")]
    return any(not (isinstance(value, ast.Constant) and value.value is None) for value in given)


@pytest.mark.parametrize(
    "snippet",
    [
        "from datetime import datetime\ndatetime.utcnow()",
        "from datetime import datetime as dt\nfield(default_factory=dt.utcnow)",
        "import datetime\ndatetime.datetime.now()",
        "import datetime as d\nd.datetime.now(tz=None)",
        "from datetime import datetime\nmap(datetime.now, x)",
        "from datetime import date\ndef f():\n    return date.today()",
        "import datetime\ndatetime.datetime.today()",
        "import time\ntime.time()",
        "from time import time\ntime()",
        "import uuid\nuuid.uuid4()",
        "from uuid import uuid4\nmapped_column(default=uuid4)",
        "import asyncio\nasync def f():\n    await asyncio.sleep(1)",
        "from asyncio import sleep as nap\nnap(0)",
        "print('x')",
        "float('1.5')",
    ],
)
def test_the_check_of_calls_can_fail(snippet: str) -> None:
    assert len(list(banned_uses("services/booking/actions.py", snippet))) == 1


@pytest.mark.parametrize(
    ("path", "snippet"),
    [
        ("services/x.py", "from datetime import UTC, datetime\ndatetime.now(UTC)\ndatetime.now(tz=UTC)"),
        ("services/x.py", "seconds: float = 1.5\ntime.monotonic()\nclock.now()\n'print()'"),
        ("services/x.py", "import time\ntime.time_ns()\nself.time.time"),
        ("shared/x.py", "from asyncio import sleep\nsleep(1)\nfloat('1')"),
        ("deploy/x.py", "print('x')"),
    ],
)
def test_the_check_of_calls_lets_the_rest_be(path: str, snippet: str) -> None:
    assert list(banned_uses(path, snippet)) == []


def test_nothing_banned_is_used() -> None:
    assert findings(banned_uses, *EVERYWHERE) == []
