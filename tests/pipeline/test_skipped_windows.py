"""Runs in which some windows make no model."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import Ridge

from model.store import Store
from tests.kit.job import SCHEMA, Job, content, metrics, models

BEGIN = datetime(2024, 1, 1, tzinfo=timezone.utc)
WORDS = ("--input", "rows.csv", "--schema", "schema.toml", "--window", "60", "--output", "o")
PICKY = """\
import os
import numpy as np
from sklearn.linear_model import LinearRegression

class Picky(LinearRegression):
    def fit(self, matrix, target):
        if len(target) == 50 and not os.path.exists("mended"):
            raise ValueError(f"Picky:\\n50 rows at {id(self):#x}")
        return super().fit(matrix, target)

class Infinite(LinearRegression):
    def predict(self, matrix):
        return np.full(len(matrix), np.nan) if len(matrix) == 50 else super().predict(matrix)

class Hungry(LinearRegression):
    def fit(self, matrix, target):
        if len(target) == 50:
            raise MemoryError("no room")
        return super().fit(matrix, target)
"""


def rows(minutes: list[int]) -> pd.DataFrame:
    """So many rows in each minute, y = 3 x + 5 if c is red + noise."""
    rng = np.random.default_rng(7)
    seconds = [
        60 * minute + second for minute, many in enumerate(minutes) for second in range(many)
    ]
    x, red = rng.normal(size=len(seconds)), rng.random(len(seconds)) < 0.5
    return pd.DataFrame(
        {
            "t": [(BEGIN + timedelta(seconds=s)).strftime("%Y-%m-%dT%H:%M:%SZ") for s in seconds],
            "y": 3 * x + 5 * red + rng.normal(size=len(seconds)) / 10,
            "x": x,
            "c": np.where(red, "red", "blue"),
        }
    )


@pytest.fixture
def write(home: Path) -> Any:
    """Writes a schema, and rows: so many in each minute."""
    (home / "schema.toml").write_text(SCHEMA)
    (home / "my_learner.py").write_text(PICKY)
    return lambda minutes: rows(minutes).to_csv("rows.csv", index=False)


def skips(folder: str = "o") -> dict[str, dict[str, Any]]:
    found = sorted(Path(folder).glob("skipped/*.json"))
    return {path.stem: json.loads(path.read_text()) for path in found}


def serving_models(folder: str = "o") -> list[str | None]:
    """The last digits of the model that served in each refresh: its window's minute."""
    return [None if one["model"] is None else one["model"][11:13] for one in metrics(folder)]


def test_an_inclusive_export_leaves_the_newest_model_of_a_whole_window(
    job: Job, write: Any
) -> None:
    write([60] * 10 + [1])
    result = job.ran(*WORDS, "--learner", "ridge")
    assert {name: one["rows"] for name, one in models("o").items()} == {
        f"20240101T00{minute:02d}00Z": 60 for minute in (8, 9, 10)
    }
    assert skips() == {
        "20240101T001100Z": {
            "format": 1,
            "window_start": "2024-01-01T00:10:00Z",
            "window_end": "2024-01-01T00:11:00Z",
            "rows": 1,
            "kind": "few_rows",
            "reason": "1 labelled row, where --min-rows is 10",
        }
    }
    assert "1 window with too few labelled rows made no model (o/skipped)" in result.out
    frame = rows([60] * 10 + [1]).iloc[540:600]
    mean, scale = frame.x.mean(), frame.x.std(ddof=0)
    matrix = np.column_stack([(frame.x - mean) / scale, frame.c == "blue", frame.c == "red"])
    fitted: Any = Ridge().fit(np.column_stack([matrix, np.zeros(60)]).astype(float), frame.y)
    asked: dict[str, list[Any]] = {"x": [0.5, 2.0], "c": ["red", "blue"]}
    known = np.array([[(0.5 - mean) / scale, 0, 1, 0], [(2.0 - mean) / scale, 1, 0, 0]])
    newest = Store("o/models").load("20240101T001000Z")
    np.testing.assert_allclose(newest.predict_columns(asked), fitted.predict(known), rtol=1e-9)


def test_the_older_model_serves_until_a_window_has_rows_enough(job: Job, write: Any) -> None:
    write([60, 60, 9, 1, 0, 3, 60, 60])
    job.ran(*WORDS, "--learner", "ridge", "--keep", "1")
    assert serving_models() == [None, "01", "02", "02", "02", "02", "07"]
    assert {name[11:13]: one["rows"] for name, one in skips().items()} == {
        "03": 9,
        "04": 1,
        "06": 3,
    }
    scored = pq.read_table("o/predictions").to_pandas()
    assert scored.prediction.isna().sum() == 60
    assert [name[11:13] for name in models("o")] == ["07", "08"]


@pytest.mark.parametrize("least", [1, 9, 61])
def test_the_least_rows_can_be_chosen(job: Job, write: Any, least: int) -> None:
    write([60, 9, 60])
    job.ran(*WORDS, "--learner", "ridge", "--min-rows", least, "--keep", "0")
    assert [one["rows"] for one in models("o").values()] == [n for n in (60, 9, 60) if n >= least]
    assert json.loads(Path("o/settings.json").read_text())["min_rows"] == least


def test_sliding_windows_and_a_lag_skip_by_the_rows_of_the_window(job: Job, write: Any) -> None:
    write([4, 4, 4, 60, 60, 1])
    job.ran(
        *WORDS[:4], *("--window", "2m", "--every", "1m", "--lag", "2", "--keep", "0"), *WORDS[6:]
    )
    # 60, 60 and 1 row lie in windows that make models; the one that ends at 7 outlasts the rows
    assert {name[11:13]: one["rows"] for name, one in skips().items()} == {
        **{"01": 4, "02": 8, "03": 8}
    }
    assert [name[11:13] for name in models("o")] == ["04", "05", "06"]
    assert serving_models() == [None, None, None, None, None, "04"]


def test_only_labelled_rows_count_and_the_sample_does_not(job: Job, write: Any) -> None:
    write([60, 60])
    frame = pd.read_csv("rows.csv")
    frame.loc[:54, "y"] = None
    frame.to_csv("rows.csv", index=False)
    job.ran(*WORDS, "--learner", "ridge", "--sample-rows", "5")
    assert [one["rows"] for one in skips().values()] == [5]
    assert [one["rows"] for one in models("o").values()] == [60]


@pytest.mark.parametrize("learner", ["Picky", "Infinite", "sklearn.neighbors:KNeighborsRegressor"])
def test_a_window_whose_fit_fails_is_skipped_and_the_older_model_serves(
    job: Job, write: Any, learner: str
) -> None:
    write([60, 50, 60, 60])
    name = learner if ":" in learner else f"my_learner:{learner}"
    param = ("--learner-param", "n_neighbors=55") if ":" in learner else ()
    result = job.ran(*WORDS, "--learner", name, *param, "--keep", "0")
    assert serving_models() == [None, "01", "01", "03"]
    [skipped] = skips().values()
    assert (skipped["rows"], skipped["kind"]) == (50, "fit_failed")
    assert skipped["reason"] == {
        "Picky": "ValueError: Picky: 50 rows",
        "Infinite": "its predictions of the rows that it was fitted to are not finite",
    }.get(
        learner,
        "ValueError: Expected n_neighbors <= n_samples_fit, but n_neighbors = 55, "
        "n_samples_fit = 50, n_samples = 50",
    )
    assert f"1 window whose fit failed made no model: {skipped['reason']} (o/skipped)" in result.out


def test_strict_ends_the_job_at_a_fit_that_fails_and_without_it_the_run_goes_on(
    job: Job, write: Any
) -> None:
    write([60, 50, 60])
    argv = (*WORDS, "--learner", "my_learner:Picky")
    result = job(*argv, "--strict")
    assert result.code == 1
    assert (
        "window 2024-01-01T00:01:00Z to 2024-01-01T00:02:00Z of 50 labelled rows: "
        "ValueError: Picky: 50 rows (--strict: without it the window is skipped, "
        "and the older model serves)"
    ) in result.error
    job.ran(*argv, "--resume")
    assert serving_models() == [None, "01", "01"]
    Path("mended").touch()
    job.ran(*argv[:-4], "--learner", "my_learner:Picky", "--output", "p")
    Path("mended").unlink()
    job.ran(*argv[:-4], "--learner", "my_learner:Picky", "--output", "q")
    assert content("o") == content("q") != content("p")


def test_what_the_machine_lacks_is_no_fault_of_the_window(job: Job, write: Any) -> None:
    write([60, 50, 60])
    result = job(*WORDS, "--learner", "my_learner:Hungry")
    assert result.code == 1 and "MemoryError: no room" in result.error
    assert skips() == {}


def test_a_resumed_run_skips_the_same_windows(job: Job, write: Any) -> None:
    write([60, 60, 9, 50, 60, 3, 60, 60])
    argv = (*WORDS, "--learner", "my_learner:Picky")
    job.ran(*argv)
    whole = content("o")
    for lost in ("metrics/20240101T000[4-7]00Z.json", "skipped/*.json", "ended.json"):
        for path in Path("o").glob(lost):
            path.unlink()
    job.ran(*argv, "--resume")
    assert content("o") == whole


def test_a_run_from_before_min_rows_goes_on_as_it_began(job: Job, write: Any) -> None:
    write([60, 5, 60])
    job.ran(*WORDS, "--learner", "ridge", "--min-rows", "1", "--keep", "0")
    whole = content("o")
    settings = json.loads(Path("o/settings.json").read_text())
    del settings["min_rows"]
    Path("o/settings.json").write_text(json.dumps(settings))
    Path("o/metrics/20240101T000200Z.json").unlink()
    job.ran(*WORDS, "--learner", "ridge", "--keep", "0", "--resume")
    assert content("o") == whole and skips() == {}


FAR = "2024-01-01T00:03:30Z,1,1,red\n9999-12-31T00:00:00Z,1,1,red\n"


def test_a_sentinel_of_the_year_9999_changes_nothing_but_that_it_is_rejected(
    job: Job, write: Any
) -> None:
    write([60] * 4)
    job.ran(*WORDS, "--learner", "ridge")
    clean = content("o")
    lines = Path("rows.csv").read_text().splitlines(keepends=True)
    Path("rows.csv").write_text("".join([*lines, FAR.splitlines()[1] + "\n"]))
    result = job.ran(*WORDS[:-2], "--output", "p", "--learner", "ridge")
    assert "241 rows read" in result.out and "1 of them rejected" in result.out
    dirty = content("p")
    changed = {name for name in dirty if dirty[name] != clean.get(name)}
    assert {name.split("/")[0] for name in changed} <= {"metrics", "rejected", "settings.json"}
    assert sum(report["rejected"] for report in metrics("p")) == 1
    [line] = Path("p").glob("rejected/undated/*.ndjson")
    assert "'9999-12-31T00:00:00Z': must be a time until" in line.read_text()
    assert len(metrics("p")) == 4


def test_a_resumed_run_keeps_the_latest_time_of_its_launch(
    job: Job, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write([60, 60])
    ahead = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=3)
    with Path("rows.csv").open("a") as file:
        file.write(f"{ahead:%Y-%m-%dT%H:%M:%SZ},1,1,red\n")
    argv = (*WORDS, "--learner", "ridge")
    job.ran(*argv)
    whole = content("o")
    assert sum(report["rejected"] for report in metrics("o")) == 1
    launched = (ahead - timedelta(days=3), datetime.now(timezone.utc))  # midnight may lie between
    assert json.loads(Path("o/settings.json").read_text())["latest"] in {
        f"{moment + timedelta(days=2):%Y-%m-%dT00:00:00Z}" for moment in launched
    }
    sorted(Path("o").glob("metrics/*.json"))[-1].unlink()
    week = ahead + timedelta(days=7)
    monkeypatch.setattr(
        "pipeline.run.default_latest", lambda now: int(week.timestamp()) * 1_000_000
    )
    job.ran(*argv, "--resume")
    assert content("o") == whole
    later = f"{ahead + timedelta(days=9):%Y-%m-%d}"
    assert "--latest" in job.refused(*argv, "--resume", "--latest", later)
    job.ran(*argv[:-4], "--output", "p", "--learner", "ridge", "--latest", later)
    assert sum(report["rejected"] for report in metrics("p")) == 0


def test_people_have_no_latest_time_unless_it_is_given(job: Job) -> None:
    argv = ("--refreshes", "2", "--rate", "20", "--learner", "ridge")
    job.ran(*argv, "--start", "2200-01-01", "--output", "o")
    assert [report["rejected"] for report in metrics("o")] == [0, 0]
    job.ran(*argv, "--output", "p", "--latest", "2026-01-01T00:01:30Z")
    assert [report["rejected"] for report in metrics("p")] == [0, 599]


SENTINELS = ("0001-01-01T00:00:00Z", "1900-01-01T00:00:00Z", "2023-12-31T00:00:00Z")


def test_a_run_with_gaps_of_centuries_is_resumed_where_rows_are_missing(
    job: Job, write: Any
) -> None:
    write([60, 60, 60])
    lines = Path("rows.csv").read_text().splitlines(keepends=True)
    lines += [f"{time},1,1,red\n" for time in SENTINELS]
    Path("schema.toml").write_text('time_format = "iso8601"\n' + SCHEMA)  # they are meant
    Path("rows.csv").write_text("".join(lines))
    argv = (*WORDS, "--learner", "ridge")
    job.ran(*argv)
    whole = content("o")
    assert [report["rows"] for report in metrics("o")] == [1, 1, 1, 60, 60, 60]
    assert [one["rows"] for one in skips().values()] == [1, 1, 1]
    assert serving_models() == [None, None, None, None, "01", "02"]
    sorted(Path("o").glob("metrics/*.json"))[-1].unlink()
    result = job.ran(*argv, "--resume")
    assert content("o") == whole
    assert int(result.out.split(" rows read")[0].split("\n")[-1].replace(",", "")) <= 180
