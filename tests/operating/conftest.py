"""Bus fixtures of the tests of the bus."""

from tests.shared.conftest import broker

__all__ = ["broker"]
