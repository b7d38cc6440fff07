"""JSON from outside, read strictly: one meaning or none. What a database could not keep is refused here."""

import json
from typing import Any, NoReturn

DEEPEST = 20


class Unreadable(ValueError):
    """This is not JSON with one meaning."""


def read(raw: bytes) -> Any:
    """The value of a UTF-8 document. Raises Unreadable, saying why without repeating anything of it.

    Refused: duplicate names, NaN and infinities, more than 20 levels, NUL and lone surrogates in strings. Fractions
    stay text.
    """
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_members, parse_constant=_refuse_constant, parse_float=str)
    except RecursionError:
        raise Unreadable("too deep") from None
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(f"not JSON: {type(error).__name__}") from None
    _walk(value)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Unreadable("a name occurs twice in one object")
    return made


def _refuse_constant(_: str) -> NoReturn:
    raise Unreadable("NaN or an infinity")


def _walk(value: Any) -> None:
    """Level by level, so that depth costs no stack."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise Unreadable("too deep")


def _inside(value: Any) -> list[Any]:
    match value:
        case str():
            if "\0" in value or not _encodable(value):
                raise Unreadable("a character that no text has")
        case dict():
            return [*value, *value.values()]
        case list():
            return value
    return []


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
