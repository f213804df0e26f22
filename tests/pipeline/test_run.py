"""Whole runs of the command line on the embedded runner: what they write and what they tell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from examples.answers import write
from pipeline import run
from pipeline.progress import Progress
from pipeline.run import at_launch, explain_failure
from tests.kit.job import (
    ROOT,
    SMALL,
    Job,
    assert_whole,
    content,
    finish,
    make_settings,
    metrics,
    models,
    process,
    resume_options,
    status,
)


def predictions(folder: str) -> pd.DataFrame:
    """All predictions of a run, with the minute in which a row falls by its event time."""
    paths = sorted(Path(folder).glob("predictions/*/*.parquet"))
    parts = [pd.read_parquet(path).assign(refresh=path.parent.name) for path in paths]
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(minute=rows["time"].dt.floor("60s"))


def name(minute: pd.Timestamp) -> str:
    return str(minute.strftime("%Y%m%dT%H%M%SZ"))


def test_a_run_writes_every_part_of_the_contract_and_shows_where(job: Job) -> None:
    result = job.ran(*SMALL, "--output", "o")
    assert_whole("o")
    assert sorted(os.listdir("o")) == [
        *("ended.json", "metrics", "models", "predictions", "sample", "settings.json"),
        *("status.json", "summaries", "timing"),
    ]
    refreshes = [f"20260101T000{minute}00Z" for minute in range(4)]
    assert sorted(os.listdir("o/metrics")) == [f"{name}.json" for name in refreshes[:3]]
    assert sorted(os.listdir("o/sample")) == [f"{name}.parquet" for name in refreshes[:3]]
    assert sorted(os.listdir("o/predictions")) == refreshes[:3]
    assert sorted(os.listdir("o/models")) == refreshes[1:]
    assert sorted(os.listdir("o/timing")) == [f"{name}.json" for name in refreshes[1:]]
    lines = result.out.splitlines()
    assert [line.split()[2] for line in lines[1:4]] == ["1,200"] * 3
    assert [line.split()[3] for line in lines[1:4]] == ["-", *refreshes[1:3]]
    assert lines[-2].startswith("3,600 rows read in ") and lines[-1] == "run folder: o"
    assert result.err.splitlines()[0] == "people -> o (direct runner)"
    assert (status("o")["state"], status("o")["rows_read"]) == ("done", 3600)


@pytest.mark.slow
def test_figures_only_leaves_predictions_and_samples_out(job: Job) -> None:
    job.ran(*SMALL, "--output", "o")
    job.ran(*SMALL, "--output", "p", "--predictions", "none")
    assert not Path("p/predictions").exists() and not Path("p/sample").exists()
    for one, other in zip(metrics("p"), metrics("o"), strict=True):
        assert {**one, "files": {}} == {**other, "files": {}}
        assert {name.split("/")[0] for name in one["files"]} == {"summaries"}


def test_a_row_is_scored_by_the_model_of_the_window_before_its_refresh(job: Job) -> None:
    job.ran(*SMALL, "--output", "o")
    rows = predictions("o")
    first = rows["minute"] == rows["minute"].min()
    assert rows.loc[first, ["model", "prediction"]].isna().all(axis=None)
    assert (rows.loc[~first, "model"] == rows.loc[~first, "minute"].map(name)).all()
    for report, (_, part) in zip(metrics("o"), rows.groupby("minute"), strict=True):
        assert report["rows"] == len(part)
        if report["model"] is not None:
            mae = (part["prediction"] - part["target"]).abs().mean()
            assert report["mae"] == pytest.approx(mae, rel=1e-12)


@pytest.mark.parametrize("lag", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_with_a_lag_models_are_so_many_refreshes_older(lag: int, job: Job) -> None:
    job.ran(*SMALL, "--refreshes", 5, "--output", "o", "--lag", lag, "--keep", 0)
    expected = [None] * lag + [f"20260101T000{minute}00Z" for minute in range(1, 6 - lag)]
    assert [report["model"] for report in metrics("o")] == expected
    assert len(models("o")) == 5


def test_sliding_windows_train_on_the_last_three_minutes_every_minute(job: Job) -> None:
    argv = ["--window", "3m", "--every", "1m", "--refreshes", 5, "--keep", 0]
    job.ran(*SMALL, *argv, "--output", "o")
    per_minute = predictions("o").groupby("minute").size()
    for end, manifest in models("o").items():
        stop = pd.Timestamp(end)
        start = stop - pd.Timedelta(minutes=3)
        assert manifest["window_end"] == stop.isoformat().replace("+00:00", "Z")
        assert manifest["window_start"] == start.isoformat().replace("+00:00", "Z")
        within = (per_minute.index >= start) & (per_minute.index < stop)
        assert manifest["rows"] == per_minute[within].sum()
    assert [report["model"] for report in metrics("o")][1:] == [
        f"20260101T000{minute}00Z" for minute in range(1, 5)
    ]


def test_the_original_people_cannot_be_learnt_and_the_learnable_ones_can(job: Job) -> None:
    job.ran(*SMALL, "--rate", 100, "--output", "o", "--people", "original", "--gate", "none")
    job.ran(*SMALL, "--rate", 100, "--output", "p")
    assert all(abs(report["skill"]) < 0.05 for report in metrics("o")[1:])
    assert all(report["skill"] > 0.4 for report in metrics("p")[1:])


def test_late_rows_are_scored_and_counted_but_not_trained_on(job: Job) -> None:
    argv = ["--rate", 60, "--disorder", "5s", "--refreshes", 4, "--keep", 0]
    job.ran(*SMALL, *argv, "--output", "o")
    rows = predictions("o")
    assert rows["late"].any()
    reports = {report["refresh_start"]: report for report in metrics("o")}
    for refresh, part in rows.groupby("refresh"):
        report = reports[pd.Timestamp(str(refresh)).isoformat().replace("+00:00", "Z")]
        assert (report["rows"], report["late"]) == (len(part), part["late"].sum())
        assert report["scored"] == (0 if report["model"] is None else len(part))
        assert part.loc[part["model"].notna(), "prediction"].notna().all()
    trained = rows[~rows["late"] & rows["target"].notna()].groupby("minute").size()
    for end, manifest in models("o").items():
        assert manifest["rows"] == trained[pd.Timestamp(end) - pd.Timedelta(minutes=1)]
    late = rows[rows["late"]]
    assert (late["time"].dt.floor("60s").map(name) <= late["refresh"]).all()
    assert status("o")["rows_read"] == sum(report["rows"] for report in metrics("o"))


def test_twelve_windows_leave_the_newest_four_models_and_keep_0_leaves_all(job: Job) -> None:
    argv = [*SMALL, "--refreshes", 12, "--rate", 2]
    job.ran(*argv, "--output", "o")
    job.ran(*argv, "--output", "p", "--keep", 0)
    assert list(models("o")) == list(models("p"))[-4:]
    assert len(models("p")) == 12
    assert metrics("o") == metrics("p")


@pytest.mark.parametrize("learner", ["forest", pytest.param("ridge", marks=pytest.mark.slow)])
def test_two_runs_differ_in_timing_and_status_alone_whatever_the_hash_seed(
    learner: str, home: Path
) -> None:
    argv = [*SMALL, "--learner", learner, "--batch-rows", 500]
    both = [process(*argv, "--output", f"o{seed}", seed=seed) for seed in ("1", "2")]
    assert [finish(each).code for each in both] == [0, 0]
    assert content("o1") == content("o2")
    assert len(content("o1")) == 2 + 3 * 3 + 3 * 2 + len(list(Path("o1/predictions").glob("*/*")))


@pytest.mark.slow
def test_the_same_run_again_in_this_process_writes_the_same_bytes(job: Job) -> None:
    for folder in ("o", "p"):
        job.ran(*SMALL, "--output", folder, "--disorder", "3s", "--window", "2m", "--every", "1m")
    assert content("o") == content("p")


ROWS = """\
name = "s"
time = "t"
target = "y"
[features]
numeric = ["a", "b"]
[baseline]
season = "1h"
"""


def people(folder: Path) -> list[str]:
    """Rows with categories, some of them late."""
    return ["--rate", "60", "--refreshes", "3", "--disorder", "3s"]


def numbers(folder: Path) -> list[str]:
    """Rows of a file, out of order, with nulls and columns of different sizes."""
    rng = np.random.default_rng(0)
    seconds = rng.permutation(9_000) / 50
    values = rng.normal(size=(3, 9_000)) * [[1.0], [1e-3], [1e4]] + [[0.0], [0.0], [1e6]]
    values[0] += values[1] * 1e3
    values[:2][rng.random((2, 9_000)) < 0.1] = np.nan
    stamps = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(seconds, unit="s")
    rows = pd.DataFrame({"t": stamps, **dict(zip("yab", values, strict=True))})
    rows.to_parquet(folder / "rows.parquet", row_group_size=2_500)
    (folder / "s.toml").write_text(ROWS)
    return ["--input", "rows.parquet", "--schema", "s.toml", "--window", "2m", "--every", "1m"]


def labels(folder: Path) -> list[str]:
    """Questions, and their labels apart."""
    write(folder, 3_000)
    files = ["--input", "questions.csv", "--labels", "labels.csv"]
    return [*files, "--schema", str(ROOT / "examples" / "answers.toml"), "--latency", "30s"]


@pytest.mark.parametrize("source", [people, numbers, labels])
def test_another_cut_into_batches_changes_no_byte(
    source: Callable[[Path], list[str]], job: Job, home: Path
) -> None:
    argv = [*source(home), "--learner", "ridge"]
    for rows in (1_024, 10_000):
        job.ran(*argv, "--batch-rows", rows, "--output", str(rows))
    one, other = content("1024"), content("10000")
    assert one.pop("settings.json") != other.pop("settings.json")
    assert one == other
    assert len([name for name in one if name.startswith("models/")]) >= 4


@pytest.mark.slow
def test_other_shards_agree_to_rounding(job: Job) -> None:
    job.ran(*SMALL, "--output", "o")
    job.ran(*SMALL, "--output", "p", "--shards", 3)
    one, other = (pd.DataFrame(metrics(run)).drop(columns="files") for run in ("o", "p"))
    pd.testing.assert_frame_equal(one, other, rtol=1e-9, atol=0)


MINE = """\
import os
import numpy as np
class Mean:
    def fit(self, matrix, target):
        if os.path.exists("fail") and len(target) > 1000:
            raise ArithmeticError("this window\\nis [/b]no good")
        self.mean = target.mean()
    def predict(self, matrix):
        return np.full(len(matrix), self.mean)
"""


def test_a_learner_of_ones_own_is_found_in_the_current_folder(job: Job) -> None:
    Path("learner_of_mine.py").write_text(MINE)
    job.ran(*SMALL, "--learner", "learner_of_mine:Mean", "--output", "o")
    assert all(report["skill"] == 0 for report in metrics("o")[1:])


def test_a_job_that_fails_shows_why_in_a_line_and_can_be_resumed(job: Job) -> None:
    argv = [*SMALL, "--learner", "learner_that_fails:Mean", "--strict", "--output", "o"]
    Path("learner_that_fails.py").write_text(MINE)
    Path("fail").touch()
    result = job(*argv)
    assert result.code == 1
    [line] = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert "the job failed: " in line and "is [/b]no good" in line
    assert result.err.splitlines()[-2] == "what was complete stays in o; go on with:"
    again = [*map(str, SMALL), "--learner", "learner_that_fails:Mean", "--output", "o", "--resume"]
    assert resume_options(result)[: len(again) - 3] == again[:-3]
    assert resume_options(result)[-3:] == again[-3:]
    assert status("o")["state"] == "failed"
    assert_whole("o")
    Path("fail").unlink()
    job.ran(*argv, "--resume")
    assert (status("o")["state"], len(metrics("o"))) == ("done", 3)


def test_help_is_shown_without_loading_what_only_a_run_needs(home: Path) -> None:
    code = "import sys\nfrom pipeline.__main__ import main\ntry: main(['--help'])\nfinally: print("
    code += "[name for name in ('sklearn', 'faker') if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"


def test_an_interrupt_before_anything_runs_ends_with_130(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run", interrupted)
    assert job() == (130, "", "interrupted\n")


def test_an_interrupt_while_the_progress_begins_is_reported_as_any_other(
    job: Job, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(progress: Progress) -> Progress:
        begin(progress)
        raise KeyboardInterrupt

    begin = Progress.__enter__
    monkeypatch.setattr(Progress, "__enter__", interrupted)
    monkeypatch.setattr(run, "exit_at_once", int)  # it would end this process
    result = job("--refreshes", "1", "--output", "o")
    assert result.code == 130 and status("o")["state"] == "interrupted"
    assert result.err.splitlines()[-2] == "interrupted: 0 refreshes are complete in o; go on with:"
    assert resume_options(result) == ["--refreshes", "1", "--output", "o", "--resume"]


def test_a_live_run_starts_now_unless_its_start_is_given() -> None:
    live = make_settings(live=True, runner="prism")
    now = at_launch(live).start
    assert now is not None
    assert abs(pd.Timestamp(now) - pd.Timestamp.now(tz="UTC")) < pd.Timedelta(minutes=1)
    assert at_launch(make_settings()).start is None
    assert at_launch(live.model_copy(update={"start": "2026-01-01"})).start == "2026-01-01"


def chained(*errors: Exception) -> Exception:
    for error, reason in pairwise(errors):
        error.__cause__ = reason
    return errors[0]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("a\nb\n"), "ValueError: b"),
        (ValueError(), "ValueError: no message"),
        (RuntimeError("OSError: [Errno 28] full [while running 'x']"), None),
        (
            RuntimeError("job 1 failed: a.B\n\tat c.D\nCaused by: a.E: no disk\n\tat f\n]"),
            "a.E: no disk",
        ),
        (chained(ValueError("last"), OSError(28, "full")), "OSError: [Errno 28] full"),
    ],
)
def test_the_cause_of_a_failure_is_the_first_error_in_one_line(
    error: Exception, message: str | None
) -> None:
    assert explain_failure(error) == (message or str(error))
