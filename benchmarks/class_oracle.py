"""A plain loop in pandas and scikit-learn over the windows of a stream of classes, and its figures.

Each window is fitted to the rows whose labels were known in it, each row is predicted by the newest
model of its time, and the figures of each refresh are scikit-learn's own. Nothing of the project is
imported here: ``benchmarks.classes`` and tests compare the project with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics
from sklearn.preprocessing import StandardScaler

LEAST = 1e-15
BINS = 20
EDGE = 1e-9
"""A score this near below a bin's edge, in bins, lies above it."""
TIE = 1e-9
"""Two classes whose probabilities are this near are as likely: rounding decides."""
TIES = 6
"""Maximum number of rows of a refresh that are looked at either way."""
Matrix = npt.NDArray[np.float64]


class Cadence(NamedTuple):
    """How time is cut, seconds.

    Attributes:
        window: of a model's rows.
        every: how long a model serves.
        lag: a model serves from so many refreshes after its window's end, less one.
    """

    window: int
    every: int
    lag: int = 1


class Stream(NamedTuple):
    """Rows and what their columns mean.

    Attributes:
        rows: ``t`` (seconds), the features, ``y``, and perhaps ``known``: when it became known.
        numeric: the features.
        cadence: how time is cut.
        fit: makes a classifier that is not fitted yet.
        learner: the same, as the project has it: options of ``pipeline.backtest``.
        more: further keys of the schema.
        wait: how long an answer may take, seconds, if there is ``known``.
    """

    rows: pd.DataFrame
    numeric: list[str]
    cadence: Cadence
    fit: Callable[[], Any]
    learner: dict[str, Any]
    more: Mapping[str, Any] = MappingProxyType({})
    wait: int | None = None


class Model(NamedTuple):
    """A model and what its window was like.

    Attributes:
        classes: in order.
        shares: how frequent each was.
        predict: from rows to probabilities, in the order of the classes.
    """

    classes: list[str]
    shares: dict[str, float]
    predict: Callable[[pd.DataFrame], Matrix]


class Predicted(NamedTuple):
    """A row with its model's prediction.

    Attributes:
        known: the class that came.
        probabilities: by class, in the model's order.
        shares: of the model's window.
        positive: of two classes the positive, else None.
        chosen: the predicted class.
    """

    known: str
    probabilities: dict[str, float]
    shares: dict[str, float]
    positive: str | None
    chosen: str

    @property
    def score(self) -> float:
        """The probability of the positive, or of the predicted class."""
        return self.probabilities[self.positive or self.chosen]


def as_class(value: Any) -> str | None:
    """The name of a class: booleans in small letters, whole numbers without a fraction."""
    if value is None or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    return str(int(value)) if isinstance(value, float | np.floating) else str(value)


def order(names: set[str]) -> list[str]:
    """Numbers by value, else by text."""
    if all(name.lstrip("-").isdigit() for name in names):
        return sorted(names, key=int)
    return sorted(names)


def train(rows: pd.DataFrame, stream: Stream) -> Model | None:
    """A model of a window's labelled rows; None if they are of one class."""
    names = rows["class"].to_numpy(dtype=str)
    if len(set(names)) < 2:
        return None
    scaler = StandardScaler().fit(rows[stream.numeric].to_numpy())
    fitted = stream.fit().fit(scaler.transform(rows[stream.numeric].to_numpy()), names)
    classes = stream.more.get("classes") or order(set(names))
    counts = rows["class"].value_counts()
    own = [str(name) for name in fitted.classes_]

    def predict(asked: pd.DataFrame) -> Matrix:
        found = fitted.predict_proba(scaler.transform(asked[stream.numeric].to_numpy()))
        return np.column_stack(
            [found[:, own.index(c)] if c in own else np.zeros(len(asked)) for c in classes]
        )

    return Model(classes, {c: counts.get(c, 0) / len(rows) for c in classes}, predict)


def share(rows: pd.DataFrame, stream: Stream) -> Model:
    """What serves after a window of one class, as long as no other model is there."""
    [name] = set(rows["class"])
    positive = as_class(stream.more.get("positive"))
    classes = stream.more.get("classes") or order({name, positive or name})
    shares = {each: float(each == name) for each in classes}
    return Model(classes, shares, lambda asked: np.tile([*shares.values()], (len(asked), 1)))


def replay(stream: Stream) -> dict[int, list[Predicted]]:
    """The labelled rows with a prediction of each refresh, by its start in seconds.

    A row whose column ``late`` is true is predicted and never trained on.
    """
    window, every, lag = stream.cadence
    frame = stream.rows.assign(**{"class": stream.rows["y"].map(as_class)})
    if "late" not in frame:
        frame = frame.assign(late=False)
    frame = frame.sort_values("t", kind="stable")
    frame["refresh"] = frame["t"] // every * every
    later = stream.wait is not None
    event = frame["known"] if later else frame["t"]
    frame["event"] = event // every * every
    good = frame["class"].notna()
    if later:
        good &= frame["known"] - frame["t"] <= stream.wait
    labelled = frame[good]
    learnt = labelled[~labelled["late"]]
    ends = {
        int(start) + (place + 1) * every
        for start in learnt["event"].unique()
        for place in range(window // every)
    }
    models: dict[int, Model] = {}
    learned = False
    for end in sorted(ends):
        mine = learnt[(learnt["event"] >= end - window) & (learnt["event"] < end)]
        made = train(mine, stream)
        if made is not None:
            models[end], learned = made, True
        elif not learned:
            models[end] = share(mine, stream)
    found: dict[int, list[Predicted]] = {}
    for refresh, rows in labelled.groupby("refresh"):
        newest = max((e for e in models if e <= int(refresh) - (lag - 1) * every), default=None)
        if newest is not None:
            for event, one in zip(
                rows["event"], _predict(models[newest], rows, stream), strict=True
            ):
                found.setdefault(int(event), []).append(one)
    return found


def _predict(model: Model, rows: pd.DataFrame, stream: Stream) -> list[Predicted]:
    classes = model.classes
    asked = as_class(stream.more.get("positive"))
    positive = (asked or classes[1]) if len(classes) == 2 else None
    return [
        Predicted(
            name,
            dict(zip(classes, p.tolist(), strict=True)),
            model.shares,
            positive,
            _choose(classes, p, positive),
        )
        for name, p in zip(rows["class"], model.predict(rows), strict=True)
    ]


def _choose(classes: list[str], probabilities: Matrix, positive: str | None) -> str:
    if positive is None:
        return classes[int(np.argmax(probabilities))]
    place = classes.index(positive)
    return positive if probabilities[place] > 0.5 else classes[1 - place]


def either_way(rows: list[Predicted]) -> Iterator[list[Predicted]]:
    """The rows, then also as they are where the other of two likeliest classes is predicted."""
    others: dict[int, str] = {}
    for place, row in enumerate(rows):
        chance = row.probabilities[row.chosen]
        for name, probability in row.probabilities.items():
            if name != row.chosen and probability > chance - TIE:
                others[place] = name
    for count in range(min(len(others), TIES) + 1):
        for places in combinations(others, count):
            turned = [*rows]
            for place in places:
                turned[place] = rows[place]._replace(chosen=others[place])
            yield turned


def find_differences(found: dict[str, Any], rows: list[Predicted]) -> list[str]:
    """As ``differences``; which of two classes that are as likely is predicted is left open."""
    return min((differences(found, measure(way)) for way in either_way(rows)), key=len)


def measure(rows: list[Predicted]) -> dict[str, Any]:
    """The figures of some rows, scikit-learn's where it has them."""
    positives = {row.positive for row in rows}
    positive = positives.pop() if len(positives) == 1 else None
    known, chosen = [row.known for row in rows], [row.chosen for row in rows]
    names = sorted({*known, *chosen, *(name for row in rows for name in row.probabilities)})
    table = np.array([[row.probabilities.get(name, 0.0) for name in names] for row in rows])
    hot = np.array(known)[:, None] == np.array(names)
    came = np.maximum(table[hot], LEAST)
    shares = np.array([row.shares.get(row.known, 0.0) for row in rows])
    squares = np.square(table - hot).sum(axis=1)
    score = np.array([row.score for row in rows])
    hits = np.array([row.known == (row.positive or row.chosen) for row in rows])
    figures: dict[str, Any] = {
        "labelled": len(rows),
        "log_loss": float(-np.log(came).mean()),
        "baseline_log_loss": float(-np.log(np.maximum(shares, LEAST)).mean()),
        "brier": float(squares.mean()) / (1 if positive is None else 2),
        "accuracy": metrics.accuracy_score(known, chosen),
        "unseen": int((shares == 0).sum()),
        "calibration_error": gap(score, hits),
        "positive": positive,
    }
    baseline = figures["baseline_log_loss"]
    figures["skill"] = 1 - figures["log_loss"] / baseline if baseline else None
    figures["confusion"] = dict(Counter(zip(known, chosen, strict=True)))
    truth: Any = known if positive is None else np.array(known) == positive
    guess: Any = chosen if positive is None else np.array(chosen) == positive
    how = "macro" if positive is None else "binary"
    for name in ("precision", "recall", "f1"):
        measured = getattr(metrics, f"{name}_score")
        figures[name] = measured(truth, guess, average=how, zero_division=0)
    if positive is not None:
        figures["roc_auc"] = (
            metrics.roc_auc_score(truth, score) if 0 < truth.sum() < len(rows) else None
        )
        figures["average_precision"] = (
            metrics.average_precision_score(truth, score) if truth.any() else None
        )
    return figures


def gap(score: Matrix, hits: npt.NDArray[np.bool_]) -> float:
    """The expected calibration error of equal bins of scores."""
    bins = np.minimum((score * BINS + EDGE).astype(int), BINS - 1)
    parts = [abs(score[bins == one].sum() - hits[bins == one].sum()) for one in range(BINS)]
    return float(sum(parts)) / len(score)


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What of the project's figures of a refresh is not scikit-learn's.

    Args:
        found: a report's figures.
        wanted: ``measure``'s of the same rows.
    """
    wrong = []
    for name, value in wanted.items():
        mine = found[name]
        if name == "confusion":
            mine = {(a, b): n for a, cells in mine.items() for b, n in cells.items()}
            same = mine == value
        elif name in ("roc_auc", "average_precision"):
            bound = found[f"{name}_bound"]
            same = mine is value if None in (mine, value) else abs(mine - value) <= bound + 1e-9
        elif mine is None and name in ("precision", "recall", "f1"):
            same = value == 0  # nothing to divide by: the report has null
        elif isinstance(value, float):
            same = mine is not None and abs(mine - value) <= 1e-9
        else:
            same = mine == value
        if not same:
            wrong.append(f"{name}: {mine}, expected {value}")
    if "roc_auc" not in wanted and (found["roc_auc"], found["average_precision"]) != (None, None):
        wrong.append("areas of more than two classes")
    return wrong
