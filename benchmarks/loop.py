"""The plain loop that the job is compared with: pyarrow, scikit-learn, joblib, no more.

``python -m benchmarks.loop FILE LEARNER WINDOW_ROWS FOLDER`` reads a Parquet file by row groups,
cuts it into windows, and for each: predicts it with the model of the window before, takes the
MAE; then a StandardScaler, a fit, a joblib file. It prints the MAEs as a JSON list.

A forest is fitted by all cores and predicts with one, as the digits of the job demand.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.preprocessing import StandardScaler

from benchmarks.data import FEATURES, RATE

Floats = npt.NDArray[np.float64]


class Window(NamedTuple):
    """A window's rows: features of shape (rows, 4), targets of shape (rows,)."""

    features: Floats
    target: Floats


def windows(path: str, window_rows: int) -> Iterator[Window]:
    """The windows of a file, by the rows' event times; one row group is in memory at a time."""
    with pq.ParquetFile(path) as file:
        tables = (file.read_row_group(group) for group in range(file.num_row_groups))
        yield from cut_windows(tables, window_rows * 1_000_000 // RATE)


def cut_windows(tables: Iterable[pa.Table], length: int) -> Iterator[Window]:
    """The windows of rows in the order of time.

    Args:
        tables: the rows, in parts.
        length: of a window, in units of their column of times.
    """
    pieces: list[Window] = []
    current = None
    for table in tables:
        slots = table["time"].cast("int64").to_numpy() // length
        features = np.column_stack([table[name].to_numpy() for name in FEATURES])
        target = table["y"].to_numpy()
        cuts = [0, *(np.flatnonzero(np.diff(slots)) + 1).tolist(), len(slots)]
        for low, high in pairwise(cuts):
            if pieces and slots[low] != current:
                yield join_pieces(pieces)
                pieces = []
            current = slots[low]
            pieces.append(Window(features[low:high], target[low:high]))
    if pieces:
        yield join_pieces(pieces)


def join_pieces(pieces: list[Window]) -> Window:
    """The pieces of a window as one."""
    return Window(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))


def regressor(learner: str) -> Any:
    """A regressor with the settings that the job has."""
    if learner == "ridge":
        return Ridge()
    return RandomForestRegressor(
        n_estimators=100,
        min_samples_leaf=20,
        max_features=1 / 3,
        random_state=42,
        n_jobs=os.cpu_count(),
    )


def fit(
    window: Window, learner: str, make: Callable[[str], Any] = regressor
) -> tuple[StandardScaler, Any]:
    """A window's scaler and model."""
    scaler = StandardScaler()
    estimator = make(learner)
    estimator.fit(scaler.fit_transform(window.features), window.target)
    if learner == "forest":
        estimator.set_params(n_jobs=1)
    return scaler, estimator


def measure_error(estimator: Any, features: Floats, target: Any) -> float:
    """The MAE of a regressor."""
    return float(mean_absolute_error(target, estimator.predict(features)))


def loop(
    found: Iterable[Window],
    learner: str,
    folder: Path,
    make: Callable[[str], Any] = regressor,
    score: Callable[[Any, Floats, Any], float] = measure_error,
) -> list[float]:
    """Scores each window by the model of the one before, and fits its own; gives the scores."""
    scores: list[float] = []
    model: tuple[StandardScaler, Any] | None = None
    for number, window in enumerate(found):
        if model is not None:
            scaler, estimator = model
            scores.append(score(estimator, scaler.transform(window.features), window.target))
        model = fit(window, learner, make)
        joblib.dump(model, folder / f"{number:06d}.joblib")
    return scores


if __name__ == "__main__":
    file, name, size, out = sys.argv[1:]
    print(json.dumps(loop(windows(file, int(size)), name, Path(out))))
