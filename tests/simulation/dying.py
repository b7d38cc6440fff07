"""Death at a failpoint, as `kill -9` would bring it: nothing of what was under way is finished, and nobody is told."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Died(BaseException):
    """The process is gone. No Exception: no code of a service may live on after it."""


class Failpoints:
    """Stands in for `shared.failpoints`: the point at which death waits kills once."""

    def __init__(self) -> None:
        self._deadly: str | None = None

    def hit(self, name: str) -> None:
        if name == self._deadly:
            self._deadly = None
            raise Died(name)

    def lurk(self, name: str | None) -> None:
        """Death waits at this point for whoever comes by first."""
        self._deadly = name

    @contextmanager
    def unanswered(self) -> Iterator[None]:
        """What is asked in the block is done, and its answer lost; death goes on waiting where it did."""
        before, self._deadly = self._deadly, "http.committed"
        try:
            with self.may_die():
                yield
        finally:
            self._deadly = before

    @contextmanager
    def may_die(self) -> Iterator[None]:
        """What is done in the block ends where death waits."""
        with suppress(Died):
            yield
