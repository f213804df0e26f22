"""Reads a text file with pandas, Polars or DuckDB in one thread, as often as is asked for.

It runs in the peers' own environment: ``readers.py NAME FILE TIMES`` prints a line of JSON for each
time: seconds of this process's cores, and of the clock.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"

NUMBERS = ("y", "a", "b", "c")


def with_pandas(path: str) -> int:
    """The rows of a file, read by pandas."""
    import pandas as pd

    if path.endswith(".csv"):
        kinds: dict[str, Any] = dict.fromkeys(NUMBERS, "float64") | {"k": "category"}
        frame = pd.read_csv(path, dtype=kinds, parse_dates=["time"])
    else:
        frame = pd.read_json(path, lines=True, convert_dates=["time"])
    return len(frame)


def with_polars(path: str) -> int:
    """The rows of a file, read by Polars."""
    import polars as pl

    kinds: dict[str, Any] = {"time": pl.String, "k": pl.Categorical}
    kinds |= dict.fromkeys(NUMBERS, pl.Float64)
    if path.endswith(".csv"):
        frame = pl.read_csv(path, schema_overrides=kinds)
    else:
        frame = pl.read_ndjson(path, schema_overrides=kinds)
    times = pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us")
    return int(frame.with_columns(times).height)


def with_duckdb(path: str) -> int:
    """The rows of a file, read by DuckDB into Arrow."""
    import duckdb

    kinds = {"time": "TIMESTAMP"} | dict.fromkeys(NUMBERS, "DOUBLE") | {"k": "VARCHAR"}
    columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in kinds.items()) + "}"
    reader = "read_csv" if path.endswith(".csv") else "read_json"
    header = ", header = true" if path.endswith(".csv") else ", format = 'newline_delimited'"
    with duckdb.connect(config={"threads": 1}) as connection:
        query = f"SELECT * FROM {reader}('{path}', columns = {columns}{header})"
        return int(connection.execute(query).to_arrow_table().num_rows)


READERS: dict[str, Callable[[str], int]] = {
    "pandas": with_pandas,
    "Polars": with_polars,
    "DuckDB": with_duckdb,
}


def time_reading(read: Callable[[], int]) -> dict[str, float]:
    """How long reading takes: of the cores, of the clock; and how many rows it gave."""
    clock, cores = time.perf_counter(), time.process_time()
    rows = read()
    return {
        "cores": time.process_time() - cores,
        "clock": time.perf_counter() - clock,
        "rows": rows,
    }


if __name__ == "__main__":
    name, path, times = sys.argv[1:]
    READERS[name](path)  # what is loaded and compiled once
    for _ in range(int(times)):
        print(json.dumps(time_reading(lambda: READERS[name](path))), flush=True)
