"""The window of a run on files: what is told of it, when it is chosen, when refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model.batch import SECOND
from model.errors import UserError
from model.wording import format_duration
from pipeline.window import option, refuse_absurd
from reading.outlook import RowTimes
from tests.kit.job import SCHEMA, Job, content, make_settings, metrics

FILES = ("--input", "in.csv", "--schema", "s.toml", "--learner", "ridge")


def write(rows: int, every: str, each: int = 1) -> None:
    """Rows at even times, several at a time; the target is 3x + 5."""
    Path("s.toml").write_text(SCHEMA)
    times = pd.date_range("2024-01-01", periods=rows, freq=every, tz="UTC").repeat(each)
    x = np.arange(rows * each) % 17
    frame = pd.DataFrame({"t": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "y": 3 * x + 5, "x": x})
    frame.assign(c="a").to_csv("in.csv", index=False)


def window(folder: str = "o") -> int:
    return int(json.loads(Path(folder, "settings.json").read_text())["window"])


def test_the_start_shows_how_many_files_rows_and_windows_there_are(job: Job) -> None:
    write(600, "s")
    result = job.ran(*FILES, "--window", "60", "--output", "o").err.splitlines()
    size = f"{Path('in.csv').stat().st_size / 1000:.3g} kB"
    assert result[1] == (
        f"1 file ({size}), 600 rows from 2024-01-01T00:00:00Z to 2024-01-01T00:09:59Z"
    )
    assert result[2] == "windows of 1 minute: 10 windows of about 60 rows each"
    assert len(metrics("o")) == 10
    result = job.ran(*FILES, "--window", "3m", "--every", "1m", "--output", "p").err.splitlines()
    assert result[2] == "windows of 3 minutes every 1 minute: 10 windows of about 180 rows each"


def test_a_window_that_was_not_given_and_does_not_fit_gives_way_to_one_that_does(job: Job) -> None:
    write(1000, "h", each=5)
    result = job.ran(*FILES, "--output", "o")
    assert (
        "windows of 1 day: 42 windows of about 120 rows each "
        "(--window 1m would make 1,000 windows of about 5 rows each)"
    ) in result.err.splitlines()
    assert window() == 86_400 and len(metrics("o")) == 42
    assert all(report["skill"] > 0.9 for report in metrics("o")[2:])
    job.ran(*FILES, "--window", "1d", "--output", "p")
    assert content("p") == content("o")


def test_a_window_that_was_given_and_can_make_no_model_is_refused_with_one_that_can(
    job: Job,
) -> None:
    write(1000, "h", each=5)
    assert job.refused(*FILES, "--window", "60", "--output", "o") == (
        "--window 1m makes 1,000 windows of about 5 rows each: a model needs 10 labelled rows "
        "(--min-rows): --window 1d (or auto) makes 42 windows of about 120 rows each"
    )
    assert not Path("o").exists()
    job.ran(*FILES, "--window", "60", "--min-rows", "1", "--refreshes", "3", "--output", "o")
    assert window() == 60


def test_auto_is_the_same_when_resumed_and_so_is_a_window_that_gave_way(job: Job) -> None:
    write(1000, "h", each=5)
    job.ran(*FILES, "--window", "auto", "--output", "o")
    before = content("o")
    for path in [*sorted(Path("o/metrics").iterdir())[-2:], Path("o/ended.json")]:
        path.unlink()
    for given in (("--window", "auto"), ("--window", "1d"), ()):
        job.ran(*FILES, *given, "--output", "o", "--resume")
        assert content("o") == before
    assert "--window was 86400, is 60" in job.refused(
        *FILES, "--window", "60", "--output", "o", "--resume"
    )


def test_auto_goes_with_every_and_latency(job: Job) -> None:
    write(1000, "h", each=5)
    job.ran(*FILES, "--window", "auto", "--every", "10h", "--refreshes", "3", "--output", "o")
    assert window() == 108_000  # of 10, 20, 30 h ... the first that holds a day
    job.ran(*FILES, "--window", "auto", "--latency", "7h", "--refreshes", "3", "--output", "p")
    assert window("p") == 7 * 86_400


def test_auto_needs_files(job: Job) -> None:
    assert job.refused("--window", "auto").startswith("--window auto needs --input: ")


def test_windows_of_some_sparse_rows_are_reported_and_not_refused(job: Job) -> None:
    write(300, "20s")
    result = job.ran(*FILES, "--window", "60", "--refreshes", "3", "--output", "o")
    assert "100% of the windows hold fewer rows than a model needs (10, --min-rows)" in result.err


def test_few_rows_that_no_window_would_suit_are_not_refused(job: Job) -> None:
    write(60, "D")
    result = job.ran(*FILES, "--window", "60", "--refreshes", "2", "--output", "o")
    assert "60 windows of about 1 row each" in result.err


def test_more_windows_than_anyone_can_want_are_refused() -> None:
    outlook = RowTimes(np.arange(100_001) * 60 * SECOND, np.full(100_001, 50.0))
    seen = outlook.windows(60, 10)
    settings = make_settings(refreshes=0)
    with pytest.raises(
        UserError, match="makes 100,001 windows of about 50 rows each: must be at most 100,000"
    ):
        refuse_absurd(60, seen, 86_400, outlook, settings)
    refuse_absurd(60, seen._replace(number=100_000), 86_400, outlook, settings)


@pytest.mark.parametrize(
    ("seconds", "written", "argv"),
    [(60, "1m", "1 minute"), (604_800, "7d", "7 days"), (90, "90s", "90 seconds")],
)
def test_a_duration_is_shown_as_the_option_takes_it(seconds: int, written: str, argv: str) -> None:
    assert (option(seconds), format_duration(seconds)) == (written, argv)
    assert make_settings(window=written).window == seconds
