"""Streams for the oracle: rows that are made, or that a package bundles, and their files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_diabetes

from tests.end_to_end.oracle import Stream

MADE = Stream("at", "y", ("x", "level", "flat"), ("kind", "place"))
EPOCH = pd.Timestamp("2026-03-01T00:00:00Z")


def make_stream(windows: int, rows_a_window: int, seed: int = 0) -> pd.DataFrame:
    """A stream of minutes that has all that is awkward.

    Nulls everywhere but in time; rare and unseen categories; unlabelled rows, a minute of
    nothing else; minutes without a row; a feature that is constant in some minutes and one far
    from zero; ties in time; rows that are out of order by up to some minutes.
    """
    rng = np.random.default_rng(seed)
    rows = windows * rows_a_window
    seconds = rng.integers(0, windows * 600, rows) / 10
    minute = (seconds // 60).astype(np.int64)
    x, level = rng.normal(size=rows), 1e6 + rng.normal(size=rows)
    kind = rng.choice(["a", "b", "c", "rare", "ünseen"], rows, p=[0.5, 0.3, 0.18, 0.01, 0.01])
    drift = np.sin(minute / 9)
    y = 3 * x + drift * (level - 1e6) + (kind == "b") * 2 + rng.normal(size=rows)
    frame = pd.DataFrame(
        {
            "at": EPOCH + pd.to_timedelta((seconds * 10).astype(np.int64) * 100, unit="ms"),
            "y": np.where((rng.random(rows) < 0.03) | (minute == 5), np.nan, y),
            "x": np.where((rng.random(rows) < 0.05) | (minute == 7), np.nan, x),
            "level": level,
            "flat": np.where(minute % 3 == 0, 3.7, rng.exponential(size=rows)),
            "kind": pd.Series(kind).where(rng.random(rows) > 0.03, None),
            "place": [f"p{number % 97}" for number in minute * 7 // 10 + rng.integers(0, 4, rows)],
        }
    )
    gap = np.isin(minute, [3, 11, 12, 13, 40])
    order = np.argsort(seconds + rng.normal(0, 60, rows))
    return frame.iloc[order[~gap[order]]].reset_index(drop=True)


DIABETES = Stream("seen", "target", ("age", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"), ())


def diabetes() -> pd.DataFrame:
    """The 442 patients that scikit-learn bundles, one every ten minutes."""
    rows = load_diabetes(as_frame=True, scaled=False).frame
    minutes = pd.to_timedelta(np.arange(len(rows)) * 10, unit="min")
    return rows.assign(seen=EPOCH + minutes)


def schema_file(stream: Stream, path: Path) -> Path:
    """Writes the stream's schema as TOML."""
    path.write_text(
        f'name = "made"\ntime = "{stream.time}"\ntarget = "{stream.target}"\n[features]\n'
        f"numeric = {list(stream.numeric)}\ncategorical = {list(stream.categorical)}\n",
        encoding="utf-8",
    )
    return path


def parquet_files(rows: pd.DataFrame, folder: Path, pieces: int = 1, group: int = 1_000) -> str:
    """Writes the rows as Parquet files of row groups that cut through windows; returns a glob."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(np.array_split(np.arange(len(rows)), pieces)):
        table = pa.Table.from_pandas(rows.iloc[part], preserve_index=False)
        pq.write_table(table, folder / f"{number:03d}.parquet", row_group_size=group)
    return str(folder / "*.parquet")


def text_file(rows: pd.DataFrame, path: Path) -> str:
    """Writes the rows as CSV or NDJSON, by the path's suffix; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = rows["at"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if path.suffix == ".csv":
        rows.assign(at=times).to_csv(path, index=False)
        return str(path)
    plain = rows.assign(at=times).astype(object)
    records = plain.where(plain.notna(), None).to_dict("records")
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return str(path)
