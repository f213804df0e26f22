"""The same job on Prism: the same files, windows that show as they close, a clean Ctrl-C.

``make prism`` builds it; CI does so before the tests.
"""

from __future__ import annotations

import json
import signal
import time
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
import os, time
from pathlib import Path
from sklearn.linear_model import Ridge

class Slow(Ridge):
    def fit(self, matrix, target):
        if len(target) > 64:  # not the rows on which a learner is tried
            Path("fits").mkdir(exist_ok=True)
            number = len(list(Path("fits").iterdir()))
            Path("fits", f"{number}-{os.getpid()}-{time.time_ns()}").touch()
            until = time.monotonic() + 300
            # Of the third window on: until its next refresh, by the model before, is predicted.
            while 2 <= number <= 5 and len(list(Path("o/predictions").glob("*/*"))) < number - 1:
                if time.monotonic() > until:
                    raise TimeoutError("predictions wait for this fit")
                time.sleep(0.05)
        return super().fit(matrix, target)
"""


def test_with_a_lag_a_fit_slower_than_a_refresh_holds_up_no_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_learner.py").write_text(SLOW)
    monkeypatch.chdir(tmp_path)
    live = (*LIVE[:3], "--window", "2", "--latency", "2", "--refreshes", "8", "--rate", "200")
    argv = (*live, "--learner", "slow_learner:Slow", "--lag", "3", "--output", "o")
    result = finish(process(*argv))
    assert result.code == 0, result.err
    assert len(list(Path("fits").iterdir())) == 8
