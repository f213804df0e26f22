"""Calibration: probabilities that are as frequent as they say.

A calibrator is fitted to the probabilities of rows that the fit has not seen, the newest fifth of a
window (``model.classes.fit``): one class against all others, each by itself, as scikit-learn's
``CalibratedClassifierCV`` does it; of two classes the other has the rest. ``isotonic`` is a step
curve that never falls (Zadrozny and Elkan 2002, "Transforming classifier scores into accurate
multiclass probability estimates"); ``sigmoid`` a line through the log odds (Platt 1999,
"Probabilistic outputs for support vector machines"), for few rows. Both go by Platt's targets,
which are never quite 0 or 1.

Artefacts name ``Calibrator`` and ``Curve`` in their pickles: both must stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model.arrays import Matrix
from model.baselines import LEAST
from model.loading import load_module
from model.threads import one_thread


class Curve(NamedTuple):
    """From a probability to a calibrated one: straight between points, constant beyond them.

    Attributes:
        x, y: the points, x rising. In a ``sigmoid`` they are log odds: the curve is the line
            through its two points, in log odds.
    """

    x: Matrix
    y: Matrix


@dataclass(frozen=True)
class Calibrator:
    """Curves by the place of their class.

    Attributes:
        method: ``isotonic`` or ``sigmoid``.
        curves: of each class, or of the positive alone; None where rows gave none: its
            probabilities stay.
        positive: the place of the positive, if there are two classes.
    """

    method: str
    curves: dict[int, Curve]
    positive: int | None

    def calibrate(self, probabilities: Matrix) -> Matrix:
        """Calibrated probabilities, shape (rows, classes), that need not sum to 1."""
        made = probabilities.copy()
        for place, curve in self.curves.items():
            made[:, place] = _apply(self.method, curve, probabilities[:, place])
        if self.positive is not None and self.curves:
            made[:, 1 - self.positive] = 1 - made[:, self.positive]
        return made


def fit_calibrator(
    method: str,
    probabilities: Matrix,
    places: npt.NDArray[np.int64],
    positive: int | None,
    weights: Matrix | None = None,
) -> Calibrator | None:
    """A calibrator of the probabilities of rows that the fit has not seen.

    Args:
        method: ``isotonic`` or ``sigmoid``.
        probabilities: shape (rows, classes).
        places: the place of each row's class, shape (rows,); -1: none of them.
        positive: the place of the positive, if there are two classes.
        weights: how many rows each stands for, shape (rows,); None: each for one.

    Returns:
        The calibrator; None if no class was both there and absent in these rows.
    """
    wanted = range(probabilities.shape[1]) if positive is None else [positive]
    each = np.ones(len(places)) if weights is None else weights
    make = _fit_isotonic if method == "isotonic" else _fit_sigmoid
    curves = {
        place: make(probabilities[:, place], hits, each)
        for place in wanted
        if 0 < (hits := places == place).sum() < len(hits) and np.ptp(probabilities[:, place]) > 0
    }
    return Calibrator(method, curves, positive) if curves else None


def _fit_isotonic(probability: Matrix, hits: npt.NDArray[np.bool_], weights: Matrix) -> Curve:
    isotonic = load_module("sklearn.isotonic").IsotonicRegression(
        y_min=0, y_max=1, out_of_bounds="clip"
    )
    isotonic.fit(probability, _soften(hits, weights), weights)
    return Curve(isotonic.X_thresholds_, isotonic.y_thresholds_)


def _soften(hits: npt.NDArray[np.bool_], weights: Matrix) -> Matrix:
    """Platt's targets, which are never quite 0 or 1: few rows cannot make a probability sure."""
    positives, negatives = float(weights[hits].sum()), float(weights[~hits].sum())
    return np.where(hits, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def _fit_sigmoid(probability: Matrix, hits: npt.NDArray[np.bool_], weights: Matrix) -> Curve:
    """Platt's line."""
    odds, wanted = _log_odds(probability), _soften(hits, weights)
    logistic = load_module("sklearn.linear_model").LogisticRegression(C=np.inf)
    with one_thread():
        logistic.fit(
            np.concatenate([odds, odds])[:, None],
            np.repeat([1, 0], len(odds)),
            sample_weight=np.concatenate([wanted * weights, (1 - wanted) * weights]),
        )
    slope, shift = float(logistic.coef_[0, 0]), float(logistic.intercept_[0])
    return Curve(np.array([0.0, 1.0]), np.array([shift, shift + slope]))


def _apply(method: str, curve: Curve, probability: Matrix) -> Matrix:
    if method == "isotonic":
        return np.asarray(np.interp(probability, curve.x, curve.y))
    shift, slope = curve.y[0], curve.y[1] - curve.y[0]
    return np.asarray(1 / (1 + np.exp(-(shift + slope * _log_odds(probability)))))


def _log_odds(probability: Matrix) -> Matrix:
    bounded = np.clip(probability, LEAST, 1 - LEAST)
    return np.log(bounded) - np.log1p(-bounded)
