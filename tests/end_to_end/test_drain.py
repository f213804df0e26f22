"""``--on-interrupt drain``: Ctrl-C ends a live run with its refresh; ``--resume`` goes on there.

On Prism; on Flink it is a run with labels that is drained (``test_labels_flink``).
"""

from __future__ import annotations

import json
import math
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from pipeline.runners.prism import find_prism
from tests.end_to_end.exactness import Cadence, assert_exact, predictions
from tests.kit.job import (
    Told,
    assert_whole,
    finish,
    metrics,
    process,
    resume_options,
    status,
)

EVERY, RATE = 3, 500
LIVE = (
    *("--live", "--refreshes", "0", "--on-interrupt", "drain", "--learner", "ridge", "--keep", "0"),
    *("--window", str(EVERY), "--latency", "1", "--rate", str(RATE)),
)
PATIENCE = 300.0
"""Seconds in which reports must come."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism"),
]


def drain(run: Path, *argv: str) -> Told:
    """Runs a job until it has reported two refreshes more, and drains it."""
    before = len(metrics(run))
    running = process(*LIVE, *argv)
    try:
        until = time.monotonic() + PATIENCE
        while len(metrics(run)) < before + 2 and running.poll() is None:
            assert time.monotonic() < until, f"no reports in {PATIENCE} s"
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        return finish(running)
    finally:
        running.kill()


def assert_drained(result: Told, run: Path) -> pd.Timestamp:
    """Asserts that a run holds all rows to the end of its last refresh, once; gives that end."""
    assert result.code == 0, result.err
    assert "Traceback" not in result.err and status(run)["state"] == "drained"
    assert_whole(run)
    reports = metrics(run)
    ends = [pd.Timestamp(report["refresh_end"]) for report in reports]
    assert ends[:-1] == [pd.Timestamp(report["refresh_start"]) for report in reports[1:]]
    start = pd.Timestamp(json.loads((run / "settings.json").read_text())["start"])
    rows = math.ceil((ends[-1] - start) * RATE / pd.Timedelta(seconds=1))
    assert_exact(run, Cadence(EVERY), rows)
    assert sorted(predictions(run)["id"]) == list(range(rows))
    return ends[-1]


def test_a_live_run_is_drained_to_whole_refreshes_and_goes_on_there(home: Path) -> None:
    run = home / "run"
    message = drain(run, "--runner", "prism", "--output", str(run))
    end = assert_drained(message, run)
    again = drain(run, *resume_options(message)[len(LIVE) :])
    assert assert_drained(again, run) >= end + pd.Timedelta(seconds=2 * EVERY)
