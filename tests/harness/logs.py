"""What is logged in tests: little, so that a failure is not to be searched for among requests."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

from shared import log


class Lines(StringIO):
    """What was logged, line by line."""

    def said(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


def quiet() -> None:
    log.configure(logging.WARNING)


@contextmanager
def logged() -> Iterator[Lines]:
    """All that is logged meanwhile, as in production."""
    with redirect_stdout(Lines()) as said:
        log.configure()
    try:
        yield said
    finally:
        quiet()
