"""Flights that are asked about when they leave and answered when they land, beside the oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import Ridge

from examples import departures, flights
from pipeline.__main__ import main
from tests.end_to_end import streams
from tests.end_to_end.label_oracle import Labels, replay_labels
from tests.end_to_end.oracle import Cadence, Stream
from tests.end_to_end.test_labels import check, check_rows, read_manifests, schema_of
from tests.end_to_end.test_oracle import forest, name
from tests.kit.job import ROOT

HOUR = 3_600
STREAM = Stream(
    "departed",
    "arr_delay",
    ("dep_delay", "distance", "hour", "temp", "wind_speed"),
    ("carrier", "origin"),
)
FLIGHTS = 12_000
"""Those of the first two weeks of 2013."""


@pytest.fixture(scope="module")
def departed(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The first flights of the year, those of each airport together; times are as the job's."""
    path = tmp_path_factory.mktemp("flights") / "departures.parquet"
    table = departures.read(flights.data_folder()).slice(0, FLIGHTS)
    pq.write_table(table.sort_by([("origin", "ascending"), ("departed", "ascending")]), path)
    return pd.read_parquet(path)


def test_a_flight_has_landed_its_air_time_after_it_left(departed: pd.DataFrame) -> None:
    rows = pd.read_csv(flights.data_folder() / "flights.csv.zip")
    hours = pd.to_datetime(rows[["year", "month", "day", "hour"]])
    utc = hours.dt.tz_localize("America/New_York").dt.tz_convert("UTC")
    minutes = rows["minute"] + rows["dep_delay"]
    rows["departed"] = utc + pd.to_timedelta(minutes, "min")
    rows["arrived"] = (rows["departed"] + pd.to_timedelta(rows["air_time"], "min")).where(
        rows["arr_delay"].notna()
    )
    rows["flight"] = rows["carrier"] + rows["flight"].astype(str)
    columns = ["flight", "origin", "departed", "arrived", "arr_delay", "dep_delay"]
    last = departed["departed"].max()  # some flights of its minute may be cut off
    expected = rows[rows["departed"] < last][columns]
    found = departed[departed["departed"] < last][columns]
    assert len(found) > FLIGHTS - 20
    expected, found = (each.sort_values(columns, ignore_index=True) for each in (expected, found))
    expected["arr_delay"] = expected["arr_delay"].where(expected["arrived"].notna())
    pd.testing.assert_frame_equal(found.astype(expected.dtypes), expected)


@pytest.mark.parametrize(
    ("learner", "regressor", "cadence", "options", "wait"),
    [
        ("ridge", Ridge, Cadence(24 * HOUR, 6 * HOUR, lag=2), ["--lag", "2"], 24 * HOUR),
        pytest.param(
            *("forest", forest, Cadence(24 * HOUR, 12 * HOUR), [], 3 * HOUR),
            marks=pytest.mark.slow,
        ),
        pytest.param(*("ridge", Ridge, Cadence(HOUR, HOUR), [], 5 * HOUR), marks=pytest.mark.slow),
        pytest.param(
            *("forest", forest, Cadence(24 * HOUR, 8 * HOUR, lag=2), ["--lag", "2"], 24 * HOUR),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["ridge, sliding, lag 2", "forest, sliding", "ridge, hours", "forest, sliding, lag 2"],
)
def test_flights_of_several_files_have_the_figures_of_a_loop_over_both_clocks(
    departed: pd.DataFrame,
    tmp_path: Path,
    learner: str,
    regressor: Callable[[], Any],
    cadence: Cadence,
    options: list[str],
    wait: int,
) -> None:
    # the files overlap in time, as each holds an airport's flights: they are read side by side
    source = streams.parquet_files(departed, tmp_path / "in", pieces=3, group=1_000)
    labels = Labels("arrived", wait)
    schema = schema_of(STREAM, tmp_path / "flights.toml", labels)
    folder = tmp_path / "out"
    argv = ["--input", source, "--schema", str(schema), "--output", str(folder), "--keep", "0"]
    argv += ["--min-rows", "30", "--learner", learner, "--batch-rows", "500", *options]
    argv += ["--window", f"{cadence.window}s", "--every", f"{cadence.every}s"]
    assert main(argv) == 0
    rows = departed.rename(columns={"departed": "at", "arr_delay": "y", "arrived": "known"})
    stream = STREAM._replace(time="at", target="y")
    expected = replay_labels(rows, stream, Labels("known", wait), cadence, regressor, least=30)
    hours = (rows["known"] - rows["at"]) / pd.Timedelta("1h")
    assert hours.median() > 2 and rows["known"].isna().any()
    assert any(report["expired"] for report in expected.reports.values())
    check(folder, expected)
    check_rows(folder, expected, rows)
    assert sorted(read_manifests(folder)) == sorted(str(name(end)) for end in expected.models)


@pytest.mark.slow
def test_the_tour_prints_the_lines_that_the_docs_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert departures.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for page in ("README.md", "docs/labels.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert [line for line in lines if line not in text.splitlines()] == [], page
