"""How a plan's rows lie in windows, and the window that would fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import SECOND
from model.schema import Features, Schema
from reading import plan
from reading.outlook import LENGTHS, RowTimes, times_from_bounds, times_from_rows

SCHEMA = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))


def outlook(seconds: list[int]) -> RowTimes:
    return RowTimes(np.array(seconds, np.int64) * SECOND, np.ones(len(seconds)))


@given(
    st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=200),
    st.integers(1, 10**5),
    st.integers(1, 20),
)
@settings(deadline=None)
def test_windows_are_those_of_pandas(seconds: list[int], length: int, least: int) -> None:
    seen = outlook(seconds).windows(length, least)
    rows = pd.Series(seconds).floordiv(length).value_counts()
    assert (seen.number, seen.rows) == (len(rows), round(rows.median()))
    assert seen.few == pytest.approx((rows < least).mean())


def hourly(days: int, each: int = 1) -> list[int]:
    return [hour * 3600 for hour in range(days * 24) for _ in range(each)]


@pytest.mark.parametrize(
    ("seconds", "proposed"),
    [
        (list(range(6000)), 300),  # a row a second: 5m hold 300 rows
        (hourly(365, 5), 86_400),  # five stations an hour: 1d holds 120 rows
        (hourly(833), 7 * 86_400),
        ([day * 86_400 for day in range(400)], 28 * 86_400),  # 28 rows, fewer than would be good
        ([second // 100 for second in range(10_000_000 // 10)], 60),
        ([0, 1, 2], None),
        ([], None),
    ],
)
def test_the_window_that_is_proposed_holds_rows_enough_and_is_not_too_long(
    seconds: list[int], proposed: int | None
) -> None:
    assert outlook(seconds).proposal(least=10) == proposed


def write(folder: Path, times: list[str], name: str = "in.csv") -> str:
    frame = pd.DataFrame({"t": times, "y": 1.0, "x": 2.0})
    path = folder / name
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return str(path)


def each_second(rows: int) -> list[str]:
    times = pd.date_range("2024-01-01", periods=rows, freq="s", tz="UTC")
    return list(times.strftime("%Y-%m-%dT%H:%M:%SZ"))


def test_evenly_spread_rows_need_not_be_read_for_their_times(tmp_path: Path) -> None:
    planned = plan(write(tmp_path, each_second(600)), SCHEMA)
    assert times_from_bounds(planned).windows(60, 10) == (10, 60, 0.0)


@pytest.mark.parametrize("name", ["in.csv", "in.parquet"])
@pytest.mark.parametrize("far", ["1970-01-01T00:00:00Z", "9999-12-31T00:00:00Z"])
def test_one_row_far_away_fills_one_window(name: str, far: str, tmp_path: Path) -> None:
    planned = plan(write(tmp_path, [*each_second(600), far], name), SCHEMA)
    assert times_from_bounds(planned).windows(60, 10).number > 500
    assert times_from_rows(planned, SCHEMA).windows(60, 10) == (11, 60, pytest.approx(1 / 11))
    latest = pd.Timestamp("2024-06-01").value // 1000
    counted = 10 if far > "2024" else 11
    assert times_from_rows(planned, SCHEMA, latest).windows(60, 10).number == counted


def test_the_lengths_are_ascending() -> None:
    assert sorted(set(LENGTHS)) == list(LENGTHS)
