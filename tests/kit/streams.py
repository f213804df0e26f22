"""Streams for the tests of transforms: rows from a seed, strategies, plain oracles."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from hypothesis import strategies as st
from sklearn.dummy import DummyRegressor

from model.asof import Cadence
from model.batch import SECOND
from model.schema import Features, Schema

SCHEMA = Schema(
    name="s", time="t", target="y", features=Features(numeric=("x", "z"), categorical=("c",))
)
TOML = """
name = "s"
time = "t"
target = "y"
[features]
numeric = ["x", "z"]
categorical = ["c"]
"""
MINUTE = 60 * SECOND
EACH_MINUTE = Cadence(window=MINUTE, every=MINUTE, latency=MINUTE)
MEAN = "sklearn.dummy:DummyRegressor"
"""A learner that predicts the mean target of its window: an oracle by hand can tell which."""


def stream(
    count: int, seconds: float, seed: int = 0, start: float = 0, shuffled: bool = False
) -> list[dict[str, Any]]:
    """Rows spread over some seconds: nulls in x, c and y, a constant z, ties in time."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, int(seconds * 4), count)) / 4 + start
    x = rng.normal(1e3, 5.0, count)
    noise = rng.normal(size=count)
    rows = [
        {
            "t": float(times[i]),
            "y": None if rng.random() < 0.1 else float(2 * x[i] + noise[i]),
            "x": None if rng.random() < 0.1 else float(x[i]),
            "z": 7,
            "c": None if rng.random() < 0.1 else "abc"[int(rng.integers(3))],
        }
        for i in range(count)
    ]
    if shuffled:
        random.Random(seed).shuffle(rows)
    return rows


def row(t: float, y: float | None = 1.0, x: float | None = 0.0, c: str | None = "a") -> Any:
    """One row."""
    return {"t": t, "y": y, "x": x, "z": 1, "c": c}


def schema_file(folder: Path) -> str:
    """The schema as a file in a folder."""
    path = folder / "schema.toml"
    path.write_text(TOML)
    return str(path)


def labelled(rows: list[dict[str, Any]], start: float, end: float) -> list[int]:
    """The ids of the rows with a target in a window, by seconds, in the order of (time, id)."""
    inside = [i for i, r in enumerate(rows) if start <= r["t"] < end and r["y"] is not None]
    return sorted(inside, key=lambda i: (rows[i]["t"], i))


def values(rows: list[dict[str, Any]], ids: list[int], name: str) -> Any:
    """A numeric column of some rows as floats; null is NaN."""
    return np.array([np.nan if rows[i][name] is None else rows[i][name] for i in ids], float)


class Counting(DummyRegressor):
    """Predicts the mean, and counts how often any of it is fitted."""

    fits: ClassVar[int] = 0

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        type(self).fits += 1
        return super().fit(X, y, sample_weight)


COUNTING = "tests.kit.streams:Counting"


def times_of(most: int = 600) -> Any:
    """Event times in seconds, some before 1970, in the order of arrival."""
    return st.lists(st.integers(-most // 2, most), min_size=1, max_size=40)


def shuffle(items: list[Any], seed: int) -> list[Any]:
    """The items in another order."""
    return random.Random(seed).sample(items, len(items))
