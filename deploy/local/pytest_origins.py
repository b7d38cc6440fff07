"""Has pytest say where its servers came from, first and last: a failure is read with its database in mind."""

import os

import pytest

VARIABLE = "TEST_SERVERS"


def pytest_report_header() -> list[str]:
    """Name the servers before the tests."""
    return _origins()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the servers above the line that counts."""
    terminalreporter.section("servers")
    for origin in _origins():
        terminalreporter.write_line(origin)


def _origins() -> list[str]:
    return os.environ.get(VARIABLE, "").splitlines()
