"""What must hold of any run's folder, counted from its files alone: nothing of the job's own.

Runs must keep all their models (``--keep 0``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from tests.kit.job import metrics

Frame = Any


class Cadence(NamedTuple):
    """How time is cut, in seconds."""

    every: int
    lag: int = 1


def at(name: str) -> pd.Timestamp:
    """The time of a folder's name."""
    return pd.to_datetime(name, format="%Y%m%dT%H%M%SZ", utc=True)


def predictions(folder: Path) -> Frame:
    """All predictions of a run, each with the refresh in whose folder it lies."""
    parts = [
        pd.read_parquet(path).assign(refresh=at(path.parent.name))
        for path in sorted(folder.glob("predictions/*/*.parquet"))
    ]
    return pd.concat(parts, ignore_index=True)


def violations(folder: Path, cadence: Cadence) -> Frame:
    """The predictions whose model is not the one that the as-of rule names.

    That is the newest model whose window had ended when the refresh began, ``lag - 1``
    refreshes earlier; none before the first.
    """
    rows = predictions(folder)
    ends = pd.DataFrame({"name": sorted(p.parent.name for p in folder.glob("models/*/manifest.*"))})
    ends["end"] = ends["name"].map(at)
    refreshes = pd.DataFrame({"refresh": sorted(rows["refresh"].unique())})
    refreshes["end"] = refreshes["refresh"] - pd.Timedelta(
        seconds=(cadence.lag - 1) * cadence.every
    )
    due = pd.merge_asof(refreshes, ends, on="end")
    due = due.merge(rows, on="refresh")
    wrong = due["name"].fillna("-") != due["model"].fillna("-")
    unscored = due["name"].notna() & due["prediction"].isna()
    return due[wrong | unscored]


def find_misplaced(folder: Path, cadence: Cadence) -> Frame:
    """The predictions in time that lie in another refresh than their own."""
    rows = predictions(folder)
    own = rows["time"].dt.floor(f"{cadence.every}s")
    return rows[~rows["late"] & (own != rows["refresh"])]


def find_mistrained(folder: Path) -> Iterator[str]:
    """The models that were not trained on just the labelled rows in time of their window."""
    rows = predictions(folder)
    rows = rows[~rows["late"] & rows["target"].notna()]
    times = pd.DatetimeIndex(rows["time"]).sort_values()
    for path in sorted(folder.glob("models/*/manifest.json")):
        manifest = json.loads(path.read_text())
        first, last = (
            times.searchsorted(pd.Timestamp(manifest[edge]))
            for edge in ("window_start", "window_end")
        )
        if manifest["rows"] != last - first:
            yield f"{path.parent.name}: {manifest['rows']} rows, not {last - first}"


def assert_exact(folder: Path, cadence: Cadence, read: int) -> None:
    """Asserts that no row is lost, twice, in the wrong place or scored by a wrong model.

    Args:
        folder: the run's.
        cadence: its options.
        read: how many rows the source has.
    """
    reports = metrics(folder)
    rows = predictions(folder)
    assert sum(one["rows"] + one["rejected"] for one in reports) == read
    assert sum(one["rows"] for one in reports) == len(rows)
    assert not rows["id"].duplicated().any()
    assert sum(one["late"] for one in reports) == rows["late"].sum()
    assert sum(one["scored"] for one in reports) == rows["prediction"].notna().sum()
    assert len(violations(folder, cadence)) == 0
    assert len(find_misplaced(folder, cadence)) == 0
    assert list(find_mistrained(folder)) == []
