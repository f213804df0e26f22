"""Refreshes by the clocks of the schema's zone, beside plain pandas: whole days, lags, sliding."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.runners.prism import find_prism
from tests.kit.job import Job, content

DAYS = 9
SCHEMA = """\
name = "s"
time = "t"
target = "y"
time_zone = "{zone}"
[features]
numeric = ["x"]
"""
MEAN = ("--learner", "sklearn.dummy:DummyRegressor", "--min-rows", 1)
ZONES = {"Asia/Kolkata": 5.5, "America/New_York": -5.0}
"""Hours ahead of UTC, without daylight saving."""
CADENCES = {
    "days": ((), 1, 1),
    "a lag and serve windows": (("--window", "1d", "--lag", 2, "--latency", "6h"), 1, 2),
    "sliding windows": (("--window", "3d", "--every", "1d", "--lag", 2), 3, 2),
}
"""Options, the window's days, and the lag."""


def write(zone: str) -> pd.DataFrame:
    """Ten rows an hour or so, over the change to daylight saving in New York; their table."""
    rng = np.random.default_rng(7)
    seconds = np.sort(rng.integers(0, DAYS * 86_400, 10 * DAYS * 24))
    times = pd.Timestamp("2024-03-06T00:00Z") + pd.to_timedelta(seconds, unit="s")
    rows = pd.DataFrame({"t": times, "x": rng.normal(size=len(times)), "y": np.arange(len(times))})
    written = rows.assign(t=rows["t"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    written.to_csv("in.csv", index=False)
    Path("s.toml").write_text(SCHEMA.format(zone=zone))
    return rows


def by_pandas(rows: pd.DataFrame, hours: float, days: int, lag: int) -> pd.DataFrame:
    """Each row with its local day and the mean target of the days that its model has seen."""
    local = rows["t"] + pd.to_timedelta(hours, unit="h")
    rows = rows.assign(day=local.dt.floor("D"))
    day = pd.Timedelta("1D")
    means = {}
    for each in rows["day"].unique():
        end = each - (lag - 1) * day
        means[each] = rows["y"][(rows["day"] >= end - days * day) & (rows["day"] < end)].mean()
    return rows.assign(prediction=rows["day"].map(means))


def assert_as_pandas(folder: str, rows: pd.DataFrame, hours: float, days: int, lag: int) -> None:
    wanted = by_pandas(rows, hours, days, lag)
    begins = wanted["day"] - pd.to_timedelta(hours, unit="h")
    names = begins.dt.strftime("%Y%m%dT%H%M%SZ")
    assert sorted(path.name for path in Path(folder, "predictions").iterdir()) == sorted(set(names))
    for name, mine in wanted.groupby(names):
        found = pq.read_table(f"{folder}/predictions/{name}").to_pandas().sort_values("id")
        assert found["id"].tolist() == mine.index.tolist()
        np.testing.assert_allclose(found["prediction"], mine["prediction"], rtol=1e-12)
        report = json.loads(Path(folder, f"metrics/{name}.json").read_text())
        assert report["rows"] == len(mine)
        begin, end = pd.Timestamp(report["refresh_start"]), pd.Timestamp(report["refresh_end"])
        assert (begin, end - begin) == (begins[mine.index[0]], pd.Timedelta("1D"))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cadence", CADENCES)
def test_days_begin_at_midnight_of_the_schemas_zone(zone: str, cadence: str, job: Job) -> None:
    options, days, lag = CADENCES[cadence]
    rows = write(zone)
    argv = ("--input", "in.csv", "--schema", "s.toml", "--window", "1d", *options, *MEAN)
    seen = job.ran(*argv, "--output", "o", "--keep", 0, "--batch-rows", 50)
    assert_as_pandas("o", rows, ZONES[zone], days, lag)
    clock = {"Asia/Kolkata": "18:30", "America/New_York": "05:00"}[zone]
    assert f"at {clock} UTC, by the clocks of {zone} without daylight saving" in seen.err
    offset = json.loads(Path("o/settings.json").read_text())["offset"]
    assert offset == -ZONES[zone] % 24 * 3600

    before = content("o")
    for path in sorted(Path("o/metrics").iterdir())[4:]:
        path.unlink()
        shutil.rmtree(Path("o/predictions", path.stem))
        shutil.rmtree(Path("o/models", path.stem))
    job.ran(*argv, "--output", "o", "--keep", 0, "--batch-rows", 50, "--resume")
    assert content("o") == before


def test_an_offset_that_is_given_takes_precedence_and_a_resumed_run_keeps_its_own(job: Job) -> None:
    rows = write("America/New_York")
    argv = ("--input", "in.csv", "--schema", "s.toml", "--window", "1d", *MEAN)
    job.ran(*argv, "--output", "o", "--offset", 0)
    assert_as_pandas("o", rows, 0, 1, 1)
    assert "offset" not in json.loads(Path("o/settings.json").read_text())
    before = content("o")
    Path(sorted(Path("o/metrics").iterdir())[-1]).unlink()
    job.ran(*argv, "--output", "o", "--resume")  # as one that began before refreshes had offsets
    assert content("o") == before
    assert "--offset was 0, is 3600" in job.refused(
        *argv, "--output", "o", "--resume", "--offset", "1h"
    )
    job.ran(*argv, "--output", "p", "--offset", "6h")
    assert_as_pandas("p", rows, -6, 1, 1)
    assert "--offset was 21600, is 0" in job.refused(
        *argv, "--output", "p", "--resume", "--offset", 0
    )


def test_refreshes_that_divide_the_zones_offset_are_as_without_a_zone(job: Job) -> None:
    write("America/New_York")
    argv = ("--input", "in.csv", "--schema", "s.toml", "--window", "1h", *MEAN)
    job.ran(*argv, "--output", "o")
    Path("s.toml").write_text(SCHEMA.replace('time_zone = "{zone}"\n', ""))
    job.ran(*argv, "--output", "p")
    assert "offset" not in json.loads(Path("o/settings.json").read_text())
    kinds = ("metrics", "predictions", "sample")
    found, wanted = (
        {path: digest for path, digest in content(run).items() if path.startswith(kinds)}
        for run in "op"
    )
    assert found.keys() == wanted.keys() and len(wanted) > 100
    same = {path for path in wanted if found[path] == wanted[path]}
    assert {path for path in wanted if path.startswith(("predictions", "sample"))} <= same


@pytest.mark.slow
@pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism")
def test_prism_writes_the_same_files(job: Job) -> None:
    rows = write("Asia/Kolkata")
    options, days, lag = CADENCES["sliding windows"]
    argv = ("--input", "in.csv", "--schema", "s.toml", *options, *MEAN, "--keep", 0)
    job.ran(*argv, "--output", "o")
    job.ran(*argv, "--output", "p", "--runner", "prism")
    assert_as_pandas("p", rows, ZONES["Asia/Kolkata"], days, lag)
    assert content("p") == content("o")


LATER = """\
name = "s"
time = "t"
target = "y"
label_time = "l"
wait = "30h"
{zone}[features]
numeric = ["x"]
"""
AHEAD = pd.Timedelta("5h30m")


def figures(folder: str, ahead: pd.Timedelta) -> dict[str, object]:
    """All figures of a run by their file, its times so much later."""
    found = {}
    for kind in ("metrics", "cohorts"):
        for path in sorted(Path(folder, kind).iterdir()):
            report = json.loads(path.read_text())
            for key in ("refresh_start", "refresh_end", "model"):
                if report[key] is not None:
                    report[key] = (pd.Timestamp(report[key]) + ahead).isoformat()
            report.pop("files", None)  # their sizes follow from the times
            name = (pd.Timestamp(path.stem) + ahead).isoformat()
            found[f"{kind} {name}"] = report
    return found


def test_labels_that_come_later_go_by_the_days_of_the_zone_too(job: Job) -> None:
    rows = write("Asia/Kolkata")
    late = rows["t"] + pd.to_timedelta(
        np.random.default_rng(3).integers(0, 40 * 3600, len(rows)), "s"
    )
    form = "%Y-%m-%dT%H:%M:%SZ"
    for name, ahead in (("here", 0 * AHEAD), ("there", AHEAD)):
        moved = rows.assign(
            t=(rows["t"] + ahead).dt.strftime(form), l=(late + ahead).dt.strftime(form)
        )
        moved.to_csv(f"{name}.csv", index=False)
    Path("zone.toml").write_text(LATER.format(zone='time_zone = "Asia/Kolkata"\n'))
    Path("none.toml").write_text(LATER.format(zone=""))
    argv = ("--window", "2d", "--every", "1d", *MEAN, "--keep", 0, "--batch-rows", 300)
    job.ran("--input", "here.csv", "--schema", "zone.toml", *argv, "--output", "o")
    job.ran("--input", "there.csv", "--schema", "none.toml", *argv, "--output", "p")
    assert figures("o", AHEAD) == figures("p", 0 * AHEAD)
    before = content("o")
    for path in sorted(Path("o/metrics").iterdir())[4:]:
        path.unlink()
    job.ran("--output", "o", "--resume", "--input", "here.csv")
    assert content("o") == before
