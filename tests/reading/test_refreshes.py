from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.asof import Cadence, format_iso
from model.batch import SECOND, TIME_TYPE
from model.schema import Features, Schema
from reading import plan
from reading.refreshes import Refreshes

SCHEMA = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
MINUTE = 60 * SECOND
EACH_MINUTE = Cadence(window=MINUTE, every=MINUTE, latency=MINUTE)


def refreshes(seconds: list[int], folder: Path, form: str, group: int = 3) -> Refreshes:
    """The refreshes of a minute of a file of rows at some seconds since the epoch."""
    frame = pd.DataFrame({"t": seconds, "y": 1.0, "x": 2.0})
    if form == "csv":
        frame["t"] = [format_iso(second * SECOND) for second in seconds]
        frame.to_csv(folder / "a.csv", index=False)
    else:
        times = pa.array(np.array(seconds) * SECOND).cast(TIME_TYPE)
        table = pa.table({"t": times, "y": frame.y, "x": frame.x})
        pq.write_table(table, folder / "a.parquet", row_group_size=group)
    return Refreshes(plan(str(folder / f"a.{form}"), SCHEMA), SCHEMA, EACH_MINUTE)


@pytest.mark.parametrize("offset", [1, 25, 59])
def test_refreshes_that_begin_at_an_offset_hold_the_rows_from_there(
    tmp_path: Path, offset: int
) -> None:
    seconds = np.cumsum(np.random.default_rng(offset).choice([1, 7, 61, 500], 12)).tolist()
    cadence = Cadence(window=MINUTE, every=MINUTE, latency=MINUTE, offset=offset * SECOND)
    found = refreshes(seconds, tmp_path, "parquet", 3)._replace(cadence=cadence)
    held = sorted({((second - offset) // 60 * 60 + offset) * SECOND for second in seconds})
    for many in range(len(held) + 1):
        assert found.first_missing(held[:many], held[0]) == (held[many:] or [None])[0]


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("seed", range(12))
def test_the_first_missing_refresh_is_that_of_the_first_row_that_is_in_none_that_is_done(
    tmp_path: Path, form: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    seconds = np.cumsum(rng.choice([1, 7, 61, 500, 10**6], 12)).tolist()
    if seed % 2:
        rng.shuffle(seconds)
    found = refreshes(seconds, tmp_path, form)
    held = sorted({second // 60 * MINUTE for second in seconds})
    for many in range(len(held) + 1):
        done = {*held[:many], *rng.choice(held, 2).tolist()}
        left = [refresh for refresh in held if refresh not in done]
        assert found.first_missing(done, held[0]) == (left[0] if left else None)


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("group", [1, 100])
def test_a_gap_of_1900_years_is_no_longer_than_one_of_a_minute(
    tmp_path: Path, form: str, group: int
) -> None:
    far = 1_900 * 365 * 86_400  # from the year 70 to 3868
    found = refreshes([-far, -far + 1, 0, 30, far], tmp_path, form, group)
    held = [second // 60 * MINUTE for second in (-far, 0, far)]
    began = time.process_time()
    assert [found.first_missing(set(held[:many]), held[0]) for many in range(4)] == [*held, None]
    assert time.process_time() - began < 5
