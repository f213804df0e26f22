"""The same job on Prism: the same files, windows that show as they close, a clean Ctrl-C.

``make prism`` builds it; CI does so before the tests.
"""

from __future__ import annotations

import json
import signal
import statistics
import time
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from pipeline.runners.prism import find_prism
from tests.end_to_end.streams import MADE, make_stream, parquet_files, schema_file
from tests.kit.job import assert_whole, content, finish, process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism"),
]
RIDGE = ("--learner", "ridge", "--rate", "50", "--refreshes", "6")
LIVE = ("--live", "--runner", "prism", "--learner", "ridge", "--rate", "500", "--window", "3")


@pytest.mark.parametrize(
    "options",
    [
        (*RIDGE, "--lag", "2"),
        (*RIDGE, "--window", "3m", "--every", "1m", "--latency", "2500ms"),
        (*RIDGE, "--disorder", "20", "--batch-rows", "100"),
        ("--rate", "20", "--refreshes", "3", "--keep", "0"),
    ],
    ids=["ridge with lag 2", "sliding windows", "late rows", "forest"],
)
def test_prism_writes_the_same_files_as_the_embedded_runner(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    for runner in ("direct", "prism"):
        result = finish(process(*options, "--runner", runner, "--output", tmp_path / runner))
        assert result.code == 0, result.err
    assert content(tmp_path / "prism") == content(tmp_path / "direct")


def test_several_files_with_gaps_and_rejects_give_the_same_files_on_prism(tmp_path: Path) -> None:
    rows = make_stream(windows=40, rows_a_window=60, seed=5)
    rows.loc[::50, "x"] = float("inf")
    given = parquet_files(rows, tmp_path / "in", pieces=3, group=97)
    schema = schema_file(MADE, tmp_path / "made.toml")
    for runner in ("direct", "prism"):
        argv = ("--input", given, "--schema", schema, "--learner", "ridge", "--runner", runner)
        result = finish(process(*argv, "--output", tmp_path / runner))
        assert result.code == 0, result.err
    assert content(tmp_path / "prism") == content(tmp_path / "direct")


def test_live_windows_are_reported_while_the_job_runs_and_ctrl_c_ends_it_cleanly(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    running = process(*LIVE, "--refreshes", "0", "--output", run)
    deadline = time.monotonic() + 300
    while len(list(run.glob("metrics/*.json"))) < 3:
        assert running.poll() is None and time.monotonic() < deadline, running.communicate()
        time.sleep(0.2)
    started = psutil.Process(running.pid).children(recursive=True)
    assert any("prism" in child.name() for child in started)
    running.send_signal(signal.SIGINT)
    result = finish(running)
    assert psutil.wait_procs(started, timeout=120)[1] == []
    assert result.code == 130 and "interrupted" in result.err
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    scored = [json.loads(path.read_text())["scored"] for path in run.glob("metrics/*.json")]
    assert sum(scored) > 1_000
    assert_whole(run)


SLOW = """
import time
from sklearn.linear_model import Ridge

class Slow(Ridge):
    def fit(self, matrix, target):
        if len(target) > 64:  # not the rows on which a learner is tried
            time.sleep(3)
        return super().fit(matrix, target)
"""


def lateness(folder: Path) -> float:
    """How long behind a refresh's end its report stood, seconds: the median of the last four."""
    behind = []
    for path in sorted(folder.glob("metrics/*.json"))[-4:]:
        end = json.loads(path.read_text())["refresh_end"].replace("Z", "+00:00")
        behind.append(path.stat().st_mtime - datetime.fromisoformat(end).timestamp())
    return statistics.median(behind)


def test_with_a_lag_a_fit_slower_than_a_refresh_holds_up_no_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_learner.py").write_text(SLOW)
    monkeypatch.chdir(tmp_path)
    live = (*LIVE[:3], "--window", "2", "--latency", "1", "--refreshes", "8", "--rate", "200")
    for lag in ("1", "3"):
        argv = (*live, "--learner", "slow_learner:Slow", "--lag", lag)
        result = finish(process(*argv, "--output", f"lag {lag}"))
        assert result.code == 0, result.err
    # a fit takes 3 s, a refresh 2 s: with lag 1 each refresh waits for the fit before it
    assert lateness(tmp_path / "lag 1") > lateness(tmp_path / "lag 3") + 1.5
