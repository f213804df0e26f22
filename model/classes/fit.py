"""Fits a classifier to a window, and calibrates it on rows that the fit has not seen."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from model import fitting
from model.arrays import Matrix
from model.classes.calibration import fit_calibrator
from model.classes.decision import (
    Classified,
    Decision,
    Places,
    classes_of,
    find_places,
    find_positive_fault,
    normalize,
    place_positive,
)
from model.classes.probabilities import is_forest, predict_probabilities
from model.errors import FitFailed, OneClass
from model.loading import load_module
from model.schema import Schema
from model.statistics import Categorical
from model.wording import format_count

MOST = 1_000
"""Maximum number of classes of a window."""
UNSEEN_SHARE = 5
"""The newest one of so many rows of a window are those that calibration goes by."""


class FittedClassifier(NamedTuple):
    """A classifier that was fitted to a window.

    Attributes:
        estimator: a fitted scikit-learn classifier, whose ``classes_`` are names.
        decision: how its probabilities become predictions.
        classified: its predictions of the rows that it was fitted to.
    """

    estimator: Any
    decision: Decision
    classified: Classified


def fit_classifier(
    make: Any, matrix: Matrix, target: pa.Array, counts: Categorical, schema: Schema
) -> FittedClassifier:
    """Fits a classifier to a window.

    If the schema asks for calibration, another one is fitted to the oldest four fifths of the
    rows; its probabilities of the newest fifth, which it has not seen, make the calibrator of the
    one that is fitted to all.

    Args:
        make: gives an estimator that is not fitted yet.
        matrix: the rows, in the order of their time; shape (rows, features).
        target: their classes, dictionary<int32, string>, shape (rows,).
        counts: how many rows of the window have each class. There may be more than these rows,
            which are a sample then: each is weighed by how many it stands for.
        schema: what the classes are.

    Raises:
        OneClass: if the window has one class.
        FitFailed: if it has too many, or the estimator cannot be fitted, or its probabilities are
            not finite.
    """
    _check_counts(counts, schema)
    classes = classes_of(counts.values, schema)
    places = find_places(target, classes)
    weights = weigh(places, classes, counts)
    estimator = fit_named(make(), matrix, places, classes, weights)
    shares = np.array([counts.values.get(name, 0) / counts.count for name in classes])
    positive = place_positive(classes, schema)
    threshold = _threshold_of(positive, schema)
    decision = Decision(classes, find_columns(estimator, classes), shares, positive, threshold)
    if schema.calibration != "none":
        calibrator = _calibrate(make, matrix, places, classes, weights, positive, schema)
        decision = Decision(
            classes, find_columns(estimator, classes), shares, positive, threshold, calibrator
        )
    with fitting.fit_failures():
        found = predict_probabilities(estimator, matrix)
    if not np.isfinite(found).all():
        raise FitFailed("its probabilities of the rows that it was fitted to are not finite")
    return FittedClassifier(estimator, decision, decision.classify(found))


def fit_shares(
    matrix: Matrix, target: pa.Array, counts: Categorical, schema: Schema
) -> FittedClassifier:
    """A classifier that predicts the class shares of a window, whatever the features are.

    It is for a window of one class, before there is any other model: for that class it then has a
    probability of 1, for the other classes of the schema 0.

    Args:
        matrix: the rows; shape (rows, features).
        target: their classes, all the same, dictionary<int32, string>, shape (rows,).
        counts: how many rows of the window have each class.
        schema: what the classes are.
    """
    classes = classes_of(counts.values, schema)
    places = find_places(target, classes)
    estimator = load_module("sklearn.dummy").DummyClassifier(strategy="prior")
    fit_named(estimator, matrix, places, classes, None)
    shares = np.array([counts.values.get(name, 0) / counts.count for name in classes])
    positive = place_positive(classes, schema)
    threshold = _threshold_of(positive, schema)
    decision = Decision(classes, find_columns(estimator, classes), shares, positive, threshold)
    found = predict_probabilities(estimator, matrix)
    return FittedClassifier(estimator, decision, decision.classify(found))


def _threshold_of(positive: int | None, schema: Schema) -> float | None:
    if positive is None:
        return None
    return 0.5 if schema.costs is None else schema.costs.threshold


def _check_counts(counts: Categorical, schema: Schema) -> None:
    known = counts.distinct or len(counts.values)
    if known > MOST:
        raise FitFailed(
            f"{known:,} classes: at most {MOST:,} can be learned: is the target a class?"
        )
    if known < 2:
        [name] = counts.values
        rows = format_count(counts.count, "labelled row")
        positive = schema.positive
        never = "" if positive in (None, name) else f", none of the positive {positive!r}"
        raise OneClass(f"one class: {rows}, all of the class {name!r}{never}")
    fault = None if schema.classes is not None else find_positive_fault(counts.values, schema)
    if fault is not None:
        raise FitFailed(fault)


def fit_named(
    estimator: Any,
    matrix: Matrix,
    places: Places,
    classes: tuple[str, ...],
    weights: Matrix | None,
) -> Any:
    """Fits an estimator to classes by their names, so that its ``classes_`` are these."""
    names = np.array(classes)[places]
    more = {}
    if weights is not None:
        if not takes_weights(estimator):
            raise FitFailed(
                "the window has more rows than --sample-rows, and the learner takes no "
                "sample_weight: raise --sample-rows"
            )
        more["sample_weight"] = weights
    return fitting.fit(estimator, matrix, names, parallel=is_forest(estimator), **more)


def takes_weights(estimator: Any) -> bool:
    """Whether a fit weighs its rows."""
    fits: bool = load_module("sklearn.utils.validation").has_fit_parameter(
        estimator, "sample_weight"
    )
    return fits


def weigh(places: Places, classes: tuple[str, ...], counts: Categorical) -> Matrix | None:
    """How many rows of the window each of the sampled ones stands for; None if all are there."""
    if len(places) == counts.count:
        return None
    kept = np.bincount(places, minlength=len(classes))
    whole = np.array([counts.values.get(name, 0) for name in classes])
    return (whole / np.maximum(kept, 1))[places]


def find_columns(estimator: Any, classes: tuple[str, ...]) -> tuple[int, ...]:
    """The places of a fitted estimator's own classes among others."""
    known = getattr(estimator, "classes_", None)
    if known is None:
        raise FitFailed("the fitted classifier has no classes_, as scikit-learn's have")
    return tuple(classes.index(str(name)) for name in known)


def _calibrate(
    make: Any,
    matrix: Matrix,
    places: Places,
    classes: tuple[str, ...],
    weights: Matrix | None,
    positive: int | None,
    schema: Schema,
) -> Any:
    """The calibrator; None if the oldest rows have one class, or the newest give no curve."""
    cut = len(places) - len(places) // UNSEEN_SHARE
    older, newer = places[:cut], places[cut:]
    if len(np.unique(older)) < 2:
        return None
    some = None if weights is None else weights[:cut]
    earlier = fit_named(make(), matrix[:cut], older, classes, some)
    with fitting.fit_failures():
        found = predict_probabilities(earlier, matrix[cut:])
    raw = np.zeros((len(newer), len(classes)))
    raw[:, list(find_columns(earlier, classes))] = found
    rest = None if weights is None else weights[cut:]
    return fit_calibrator(schema.calibration, normalize(raw), newer, positive, rest)
