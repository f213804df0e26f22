"""The oracle: what the job must say of a stream, by a plain loop in pandas and scikit-learn.

Group the rows by window, fit a StandardScaler and a regressor to each window, predict the next
one with it. Nothing of the project is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import chi2, norm
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.preprocessing import StandardScaler

CATEGORIES = 64
SECOND = "second"
"""The column with a row's event time, rounded down to a second since the epoch."""

Floats = npt.NDArray[np.float64]


class Stream(NamedTuple):
    """Which column means what."""

    time: str
    target: str
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()


class Cadence(NamedTuple):
    """How time is cut, in seconds; a model serves from ``lag - 1`` refreshes after its window."""

    window: int
    every: int
    lag: int = 1


@dataclass
class Model:
    """A window's model, and what it was trained on."""

    rows: pd.DataFrame
    stream: Stream
    regressor: Any
    scaler: StandardScaler = field(init=False)
    categories: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        numbers = self.rows[list(self.stream.numeric)].to_numpy(np.float64)
        self.scaler = StandardScaler().fit(numbers)
        self.categories = {name: frequent(self.rows[name]) for name in self.stream.categorical}
        self.regressor.fit(self.features(self.rows), self.target)

    @property
    def target(self) -> Floats:
        """The targets that it was trained on."""
        return np.asarray(self.rows[self.stream.target], dtype=np.float64)

    def features(self, rows: pd.DataFrame) -> Floats:
        """Standard scores, 0 for a null; then 0/1 columns, one a category and one for others."""
        numbers = rows[list(self.stream.numeric)].to_numpy(np.float64)
        parts = [np.nan_to_num(self.scaler.transform(numbers), nan=0.0)]
        for name, values in self.categories.items():
            parts += [(rows[name] == value).to_numpy()[:, None] for value in values]
            parts += [~rows[name].isin(values).to_numpy()[:, None]]
        return np.ascontiguousarray(np.hstack(parts), dtype=np.float64)

    def predict(self, rows: pd.DataFrame) -> Floats:
        """Predictions, one a row."""
        return np.asarray(self.regressor.predict(self.features(rows)), dtype=np.float64)


def frequent(values: pd.Series) -> list[str]:
    """The most frequent values, ties by name; sorted."""
    counts = values.dropna().value_counts().to_dict()
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    return sorted(ranked[:CATEGORIES])


class Report(NamedTuple):
    """What is expected of a refresh.

    Attributes:
        model: the end of its model's window, seconds; None without one.
        figures: by the names of the metrics file; those of drift are dicts, as there.
        rows: its rows in the order of (time, id), with a column ``prediction``.
    """

    model: int | None
    figures: dict[str, Any]
    rows: pd.DataFrame


def in_time(rows: pd.DataFrame, stream: Stream) -> pd.DataFrame:
    """Rows in the order of time, those of the same time in that of their ids (the index)."""
    ordered = rows.sort_index().sort_values(stream.time, kind="stable")
    epoch = pd.Timestamp(0, tz="UTC")
    return ordered.assign(**{SECOND: (ordered[stream.time] - epoch) // pd.Timedelta("1s")})


def fit_windows(
    rows: pd.DataFrame, stream: Stream, cadence: Cadence, regressor: Callable[[], Any]
) -> dict[int, Model]:
    """The model of every window that holds a labelled row, by the window's end."""
    labelled = in_time(rows, stream).dropna(subset=[stream.target])
    window, every, _ = cadence
    first = labelled[SECOND] // every * every
    ends = {end for n in range(window // every) for end in (first + (n + 1) * every).unique()}
    times = labelled[SECOND]
    return {
        int(end): Model(
            labelled[(times >= end - window) & (times < end)].copy(), stream, regressor()
        )
        for end in sorted(ends)
    }


def replay(
    rows: pd.DataFrame, stream: Stream, cadence: Cadence, regressor: Callable[[], Any]
) -> dict[int, Report]:
    """The whole loop.

    Args:
        rows: the index is the row id; times are timestamps with a zone.
        stream: which column means what.
        cadence: how time is cut.
        regressor: makes one that is not fitted yet.

    Returns:
        What is expected of each refresh that holds a row, by its start in seconds.
    """
    models = fit_windows(rows, stream, cadence, regressor)
    ordered = in_time(rows, stream)
    reports = {}
    for start, refresh in ordered.groupby(ordered[SECOND] // cadence.every * cadence.every):
        newest = int(start) - (cadence.lag - 1) * cadence.every
        end = max((end for end in models if end <= newest), default=None)
        reports[int(start)] = report(refresh, end, models[end] if end is not None else None, stream)
    return reports


def report(rows: pd.DataFrame, end: int | None, model: Model | None, stream: Stream) -> Report:
    """What is expected of a refresh that a model scores."""
    counts = {
        "rows": len(rows),
        "scored": 0 if model is None else len(rows),
        "unlabelled": int(rows[stream.target].isna().sum()),
        "late": 0,
        "rejected": 0,
    }
    if model is None:
        unscored = rows.assign(prediction=np.nan)
        nothing = figures(np.empty(0), np.empty(0), 0.0)
        return Report(end, {**counts, **nothing, "drift": None}, unscored)
    scored = rows.assign(prediction=model.predict(rows))
    known = scored.dropna(subset=[stream.target])
    target, prediction = known[stream.target].to_numpy(), known["prediction"].to_numpy()
    result = figures(target, prediction, model.target.mean())
    return Report(end, {**counts, **result, "drift": drift(scored, model)}, scored)


def drift(rows: pd.DataFrame, model: Model) -> dict[str, Any]:
    """How rows with a prediction lie beside those that their model was trained on."""
    then = model.rows.assign(prediction=model.predict(model.rows))
    features = {}
    for name in model.stream.numeric:
        features[name] = {
            **numeric_shift(rows[name], then[name]),
            "nulls": rows[name].isna().mean(),
        }
    for name, values in model.categories.items():
        counts = [
            [*((part[name] == value).sum() for value in values), (~part[name].isin(values)).sum()]
            for part in (rows, then)
        ]
        unknown = rows[name].notna() & ~rows[name].isin(values)
        features[name] = {
            **shift(*counts),
            **{"mean_shift": None, "mean_shift_by_chance": None},
            **{"nulls": rows[name].isna().mean(), "new": unknown.mean()},
        }
    predicted = numeric_shift(rows["prediction"], then["prediction"])
    return {"features": features, "prediction": predicted}


def numeric_shift(now: pd.Series, then: pd.Series) -> dict[str, Any]:
    """The drift of numbers, by their standard scores; a null counts as the mean, or as 0."""
    known = then.fillna(0.0) if then.isna().all() else then
    scaler = StandardScaler().fit(known.to_numpy(np.float64)[:, None])
    scores = [
        np.nan_to_num(scaler.transform(part.to_numpy(np.float64)[:, None])[:, 0], nan=0.0)
        for part in (now, then)
    ]
    edges = np.arange(-4.25, 4.5, 0.5)
    counts = [np.histogram(np.clip(part, -4, 4), edges)[0] for part in scores]
    error = np.sqrt(1 / len(now) + 1 / len(then))
    return {
        **shift(*counts),
        "mean_shift": scores[0].mean(),
        "mean_shift_by_chance": norm.isf(1e-6 / 2) * error,
        **({} if now.isna().all() else {"mean": now.mean(), "deviation": now.std(ddof=0)}),
    }


def shift(now: Any, then: Any) -> dict[str, float]:
    """The population stability index of two rows of counts, and what chance makes of it."""
    p, q = (np.array(counts) + 0.5 for counts in (now, then))
    p, q = p / p.sum(), q / q.sum()
    chance = chi2.isf(1e-6, len(p) - 1) if len(p) > 1 else 0.0
    thinness = 1 / np.sum(now) + 1 / np.sum(then)
    return {"psi": np.sum((p - q) * np.log(p / q)), "psi_by_chance": chance * thinness}


def figures(target: Floats, prediction: Floats, mean: float) -> dict[str, float | None]:
    """The figures of scored rows with a target; None where the contract has null."""
    if len(target) == 0:
        return dict.fromkeys(("mae", "rmse", "r2", "baseline_mae", "skill", "bias", "slope"))
    mae = float(mean_absolute_error(target, prediction))
    baseline = float(mean_absolute_error(target, np.full(len(target), mean)))
    varies = len(target) > 1 and target.min() < target.max()
    return {
        "mae": mae,
        "rmse": float(root_mean_squared_error(target, prediction)),
        "r2": float(r2_score(target, prediction)) if varies else None,
        "baseline_mae": baseline,
        "skill": 1 - mae / baseline if baseline else None,
        "bias": float((prediction - target).mean()),
        "slope": float(np.polyfit(prediction, target, 1)[0]) if np.ptp(prediction) else None,
    }
