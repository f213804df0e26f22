"""With REQUIRE_ALL=1 a skipped test fails the run.

With CI set, hypothesis takes its own profile "ci": the same examples every time, no deadline.
"""

from __future__ import annotations

import os

import pytest


def _skipped(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("REQUIRE_ALL") != "1" or reporter is None:
        return 0
    return len(reporter.stats.get("skipped", []))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if count := _skipped(config):
        line = f"REQUIRE_ALL=1: {count} skipped (reasons above), so the run fails"
        terminalreporter.write_line(line, red=True)
