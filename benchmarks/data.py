"""The rows that are measured on: one file a size, and the schema of both sides."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

RATE = 1_000
"""Rows per second of event time."""
GROUP = 131_072
"""Rows of a row group: they cut through windows of 10,000 and 100,000 rows."""
FEATURES = ("a", "b", "c", "d")
SCHEMA = f"""\
name = "bench"
time = "time"
time_format = "iso8601"  # they begin in 1970, and are meant
target = "y"
[features]
numeric = {list(FEATURES)}
"""
WEIGHTS = np.array([2.0, -1.0, 0.5, 0.25])


def rows(first: int, count: int) -> pa.RecordBatch:
    """Rows from an index on: four normal features, a target that is almost linear in them."""
    rng = np.random.default_rng(first)
    features = rng.normal(size=(count, len(FEATURES)))
    target = features @ WEIGHTS + np.sin(3 * features[:, 0]) + rng.normal(size=count)
    times = np.arange(first, first + count) * (1_000_000 // RATE)
    columns = {name: np.ascontiguousarray(features[:, i]) for i, name in enumerate(FEATURES)}
    return pa.record_batch(
        {"time": pa.array(times, pa.timestamp("us", "UTC")), "y": target} | columns
    )


def write(path: Path, count: int) -> None:
    """Writes so many rows as Parquet, a row group at a time, in the order of time."""
    with pq.ParquetWriter(path, rows(0, 0).schema) as writer:
        for first in range(0, count, GROUP):
            writer.write_batch(rows(first, min(GROUP, count - first)), row_group_size=GROUP)


def cut(path: Path, window: int) -> Path:
    """The folder of a file's windows, a file each, the later the younger; it is written once."""
    folder = path.with_suffix(f".by{window}")
    if folder.exists():
        return folder
    made = folder.with_suffix(".part")
    made.mkdir(exist_ok=True)
    with pq.ParquetFile(path) as file:
        for number, batch in enumerate(file.iter_batches(window)):
            target = made / f"{number:06d}.parquet"
            pq.write_table(pa.table(batch), target)
            os.utime(target, (number, number))
    return made.rename(folder)
