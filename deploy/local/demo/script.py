"""Reads the demo's files, all of them, and finds everything that is wrong with them before anything is sent."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from deploy.local.demo import shapes
from deploy.local.demo.agreement import contradictions, without_mandate
from deploy.local.demo.problems import BadScript, Problem, shown
from deploy.local.demo.shapes import Place, Row, Script

R = TypeVar("R", bound=Row)

SECRET = {"account_number"}
"""Fields whose content is never repeated."""
NO_COMMA = "has no commas; save it as CSV with a comma between the columns"


@dataclass
class Sheet(Generic[R]):
    """A file as far as it could be read: its good rows, the names it gives, and what is wrong."""

    rows: list[R] = field(default_factory=list)
    raw: list[Mapping[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    readable: bool = True

    def names(self, column: str) -> set[str] | None:
        """What the file calls things, good rows or bad, so that one mistake is told once; None where it is not read."""
        return {str(row[column]) for row in self.raw if column in row} if self.readable else None


def read_script(folder: Path) -> Script:
    """The script in a folder. Raises BadScript with everything that has to be put right."""
    if not folder.is_dir():
        raise BadScript(
            folder, [Problem(Place(str(folder)), None, "is no folder; copy deploy/demo and change its files")]
        )
    sheets: dict[str, Sheet[Any]] = {
        "staff": _csv(folder / "staff.csv", shapes.StaffMember),
        "services": _csv(folder / "services.csv", shapes.OfferedService),
        "templates": _json_list(folder / "templates.json", shapes.Template),
        "clients": _csv(folder / "clients.csv", shapes.Client),
        "mandates": _csv(folder / "mandates.csv", shapes.Mandate),
        "sales": _csv(folder / "sales.csv", shapes.Sale),
        "payments": _csv(folder / "payments.csv", shapes.Payment),
        "bookings": _csv(folder / "bookings.csv", shapes.Booking),
    }
    business = _json(folder / "business.json", shapes.Business)
    problems = [*business.problems, *(problem for sheet in sheets.values() for problem in sheet.problems)]
    names = {name: sheet.names("package" if name == "sales" else "name") for name, sheet in sheets.items()}
    rows: dict[str, Any] = {name: sheet.rows for name, sheet in sheets.items()}
    problems += contradictions(rows, names)
    if not sheets["mandates"].problems:
        problems += without_mandate(rows["mandates"])
    if problems:
        raise BadScript(folder, problems)
    return Script(business=business.rows[0], **rows)


def _text(path: Path, sheet: Sheet[R]) -> str | None:
    """What a file says; else why it cannot be read."""
    where = Place(path.name)
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        problem = Problem(where, None, "is missing; copy the one of deploy/demo and change it")
    except UnicodeDecodeError:
        problem = Problem(where, None, "is not UTF-8 text; save it as “CSV UTF-8”")
    except OSError as error:
        problem = Problem(where, None, f"cannot be read: {error.strerror}")
    sheet.problems.append(problem)
    sheet.readable = False
    return None


# Tables


def _csv(path: Path, kind: type[R]) -> Sheet[R]:
    """A table whose first row names the columns; a cell may be empty."""
    sheet: Sheet[R] = Sheet()
    text = _text(path, sheet)
    if text is None:
        return sheet
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    header = [cell.strip() for cell in next(reader, [])]
    sheet.problems += _wrong_columns(Place(path.name, 1), header, kind)
    if sheet.problems:
        sheet.readable = False
        return sheet
    for cells in reader:
        values = [cell.strip() for cell in cells]
        where = Place(path.name, reader.line_num)
        if len(values) > len(header):
            sheet.raw.append(dict(zip(header, values, strict=False)))
            why = f"has {len(values)} cells for {len(header)} columns; put quotes around a text with a comma in it"
            sheet.problems.append(Problem(where, None, why))
        elif any(values):
            _take(sheet, where, kind, dict(zip(header, values, strict=False)))
    return sheet


def _wrong_columns(where: Place, header: list[str], kind: type[Row]) -> Iterator[Problem]:
    columns = [name for name in kind.model_fields if name != "place"]
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        yield Problem(where, None, NO_COMMA)
        return
    for name in dict.fromkeys(header):
        if name not in columns:
            yield Problem(where, name, f"is no column of this file; its columns are {', '.join(columns)}")
        elif header.count(name) > 1:
            yield Problem(where, name, "is there twice; leave one of the two columns out")
    for name in columns:
        if kind.model_fields[name].is_required() and name not in header:
            yield Problem(where, name, f"is missing; add the column: {kind.model_fields[name].description}")


# JSON


def _json(path: Path, kind: type[R]) -> Sheet[R]:
    """One object."""
    sheet: Sheet[R] = Sheet()
    _take_object(sheet, Place(path.name), kind, _parsed(path, sheet))
    return sheet


def _json_list(path: Path, kind: type[R]) -> Sheet[R]:
    """A list of objects."""
    sheet: Sheet[R] = Sheet()
    parsed = _parsed(path, sheet)
    if sheet.readable and not isinstance(parsed, list):
        sheet.problems.append(Problem(Place(path.name), None, "is not a list; write [ … ]"))
        sheet.readable = False
    for number, item in enumerate(parsed if isinstance(parsed, list) else [], start=1):
        _take_object(sheet, Place(path.name, number), kind, item)
    return sheet


def _parsed(path: Path, sheet: Sheet[R]) -> Any:
    """What a JSON file says; a number with a point stays the text it is, so that no amount becomes a float."""
    text = _text(path, sheet)
    if text is None:
        return None
    try:
        return json.loads(text, parse_float=str)
    except json.JSONDecodeError as error:
        why = f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        sheet.problems.append(Problem(Place(path.name), None, why))
        sheet.readable = False
        return None


def _take_object(sheet: Sheet[R], where: Place, kind: type[R], item: Any) -> None:
    if isinstance(item, dict):
        _take(sheet, where, kind, item)
    elif sheet.readable:
        sheet.problems.append(Problem(where, None, "is not an object; write { … }"))


# Rows


def _take(sheet: Sheet[R], where: Place, kind: type[R], values: Mapping[str, Any]) -> None:
    """A row of the right shape, or what is wrong with each of its fields; an empty one counts as left out."""
    written = {name: value for name, value in values.items() if value not in ("", None)}
    sheet.raw.append(written)
    try:
        sheet.rows.append(kind.model_validate(written | {"place": where}))
    except ValidationError as error:
        sheet.problems += [
            Problem(where, ".".join(map(str, each["loc"])), _why(kind, dict(each))) for each in error.errors()
        ]


def _why(kind: type[BaseModel], error: dict[str, Any]) -> str:
    """What is wrong with a field, and what to write instead."""
    names = [part for part in error["loc"] if isinstance(part, str)]
    shape, name = (kind if len(names) == 1 else shapes.Tier), names[-1]
    fields = [each for each in shape.model_fields if each != "place"]
    if error["type"] == "extra_forbidden":
        return f"is no field of this; the fields are {', '.join(fields)}"
    instead = f"write {shape.model_fields[name].description}"
    if error["type"] == "missing":
        return f"is empty; {instead}"
    reason = str(error["ctx"]["error"]) if error["type"] == "value_error" else "will not do"
    what = "what is written" if name in SECRET else shown(error["input"])
    return f"{what} {reason}; {instead}"
