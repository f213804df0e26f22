from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.asof import format_iso
from model.batch import ID, LATE, PROBLEM, SECOND, TIME, TIME_TYPE, Key, Tag, event_times, with_tag
from model.errors import UserError
from model.latest import default_latest, reject_later
from model.schema import Features, Schema
from model.validation import validate
from reading import plan, read

SCHEMA = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
LATEST = int(pd.Timestamp("2024-01-02", tz="UTC").value // 1000)
BEGIN = int(pd.Timestamp("2024-01-01", tz="UTC").value // 1000)
SENTINELS = ("9999-12-31T00:00:00Z", "2099-12-31T00:00:00Z", "2024-01-02T00:00:01Z")
REASON = "column 't' (the time): '{}': must be a time until 2024-01-02T00:00:00Z (--latest)"


def rows(sentinel: str) -> pd.DataFrame:
    """Ten rows, a second apart, and in their midst one with another time."""
    times = [f"2024-01-01T00:00:{second:02d}Z" for second in range(10)]
    times.insert(4, sentinel)
    return pd.DataFrame({"t": times, "y": np.arange(11.0), "x": 1.0})


def table_of(frame: pd.DataFrame) -> pa.Table:
    times = pa.array(frame["t"]).cast(TIME_TYPE)
    return pa.table({"t": times, "y": frame["y"], "x": frame["x"]})


def csv(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_csv(folder / "a.csv", index=False)
    return folder / "a.csv"


def ndjson(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_json(folder / "a.ndjson", orient="records", lines=True)
    return folder / "a.ndjson"


def parquet(frame: pd.DataFrame, folder: Path, statistics: bool = True) -> Path:
    pq.write_table(table_of(frame), folder / "a.parquet", 6, write_statistics=statistics)
    return folder / "a.parquet"


def bare_parquet(frame: pd.DataFrame, folder: Path) -> Path:
    return parquet(frame, folder, statistics=False)


@pytest.mark.parametrize("sentinel", SENTINELS)
@pytest.mark.parametrize("write", [csv, ndjson, parquet, bare_parquet])
def test_a_row_after_the_latest_time_is_rejected_and_no_plan_reaches_for_it(
    tmp_path: Path, write: object, sentinel: str
) -> None:
    path = write(rows(sentinel), tmp_path)  # type: ignore[operator]
    planned = plan(str(path), SCHEMA, latest=LATEST)
    assert planned.rows == 11
    assert min(chunk.least for chunk in planned.chunks) == BEGIN
    assert max(chunk.greatest for chunk in planned.chunks) == BEGIN + 9 * SECOND
    accepted, reasons = 0, []
    for chunk in planned.chunks:
        for batch in read(planned.files[chunk.file], chunk, SCHEMA, 100):
            good, rejects = validate(with_tag(batch, Tag(Key(0, 0, 0), 0, "a", 0)), SCHEMA)
            accepted += good.num_rows
            reasons += [(reject.reason, reject.dated) for reject in rejects]
    assert (accepted, reasons) == (10, [(REASON.format(sentinel), False)])


@pytest.mark.parametrize("write", [csv, ndjson, parquet, bare_parquet])
def test_a_row_at_the_latest_time_and_one_of_the_year_1_are_accepted(
    tmp_path: Path, write: object
) -> None:
    for time in ("2024-01-02T00:00:00Z", "0001-01-01T00:00:00Z", "1900-01-01T00:00:00Z"):
        path = write(rows(time), tmp_path)  # type: ignore[operator]
        planned = plan(str(path), SCHEMA, latest=LATEST)
        batches = [
            batch
            for chunk in planned.chunks
            for batch in read(planned.files[chunk.file], chunk, SCHEMA, 100)
        ]
        assert all(PROBLEM not in batch.schema.names for batch in batches)
        times = {format_iso(int(time)) for batch in batches for time in event_times(batch)}
        assert time in times and len(times) == 11


def test_without_a_row_in_time_it_is_refused_with_the_option(tmp_path: Path) -> None:
    frame = rows(SENTINELS[1])
    frame["t"] = "2030-01-01T00:00:00Z"
    with pytest.raises(UserError) as refused:
        plan(str(csv(frame, tmp_path)), SCHEMA, latest=LATEST)
    result = REASON.format("2030-01-01T00:00:00Z")
    assert str(refused.value).endswith(f"none of the 11 rows has a time that may be: {result}")


def test_a_problem_that_a_row_has_already_stays_and_undated_rows_stay_so() -> None:
    batch = pa.record_batch(
        {
            ID: pa.array([0, 1, 2]),
            TIME: pa.array([LATEST + 1, None, LATEST]).cast(TIME_TYPE),
            LATE: pa.array([False] * 3),
            PROBLEM: pa.array(["no row", "no time", None]),
        }
    )
    found = reject_later(batch, SCHEMA, LATEST)
    assert found.column(PROBLEM).to_pylist() == ["no row", "no time", None]
    assert found.column(TIME).cast(pa.int64()).to_pylist() == [None, None, LATEST]
    assert reject_later(batch, SCHEMA, None) is batch
    assert reject_later(batch, SCHEMA, LATEST + 1) is batch


@pytest.mark.parametrize("second", [0, 1, 43_200, 86_399])
def test_the_default_is_at_least_a_day_ahead_and_the_same_all_day(second: int) -> None:
    day = pd.Timestamp("2024-05-06", tz="UTC")
    found = default_latest(day.timestamp() + second)
    assert format_iso(found) == "2024-05-08T00:00:00Z"
    assert found - (day.timestamp() + second) * SECOND >= 86_400 * SECOND


def test_ndjson_epochs_are_shown_as_they_were_read(tmp_path: Path) -> None:
    seconds = [*range(BEGIN // SECOND, BEGIN // SECOND + 9), 253402214400]  # the last: year 9999
    lines = [{"t": t, "y": 1, "x": 1} for t in seconds]
    (tmp_path / "a.ndjson").write_text("\n".join(map(json.dumps, lines)))
    planned = plan(str(tmp_path / "a.ndjson"), SCHEMA, latest=LATEST)
    *_, batch = read(planned.files[0], planned.chunks[-1], SCHEMA, 100)
    assert batch.column(PROBLEM).to_pylist()[-1] == REASON.format(253402214400).replace(
        "'253402214400'", "253402214400"
    )
