"""With REQUIRE_ALL=1 a skipped test fails the run.

With ``--dist loadgroup`` all tests with "flink" in their names run on one worker, those with
"kafka" on one, and those of a file whose fixtures take long.

Hypothesis has no deadline, and where no test may be skipped it tries the same examples every time:
neither a slow machine nor an example that nobody has seen before fails a change that is right.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # as in pipeline/__main__.py
ALL = os.environ.get("REQUIRE_ALL") == "1"

settings.register_profile(
    "correnteza",
    deadline=None,
    derandomize=ALL or settings().derandomize,  # hypothesis itself does so where it sees a CI
    database=None if ALL else settings().database,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("correnteza")


def _skipped(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not ALL or reporter is None:
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


COSTLY = (*("dashboard", "exactness", "interrupt", "kill_prism", "package", "prometheus", "serve"),)
"""Files of tests/end_to_end whose fixtures take longer than most tests: one worker makes them."""


class SharedApart(LoadScopeScheduling):
    """Sends the tests that share Flink, or the broker, to one worker, the others anywhere.

    Some of them kill what others need; one needs both (``kafka.one_at_a_time``).

    (xdist's own groups go by a node id that it changes, which pytest 9.2 no longer lets it do.)
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0].lower()
        for name in ("flink", "kafka"):
            if name in nodeid.lower():
                return name
        return path if path.endswith(tuple(f"/test_{one}.py" for one in COSTLY)) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> SharedApart | None:
    return SharedApart(config, log) if config.getvalue("dist") == "loadgroup" else None
