"""Second moments of rows, which merge: all that fitting a linear model needs.

A ridge regression over numeric features is fitted exactly from sums of products (Hoerl and
Kennard 1970, "Ridge regression"; the normal equations). So a window's rows need not travel:
each batch sends the moments of its blocks (``model.block_sums``), and a sample of its rows for the
figures that need them. Sums are about the mean, or digits would be lost where a mean is large
beside its standard deviation.

A null counts as the mean of its column, as the encoder has it, so sums are over what is present.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.learners import Parameters
from model.loading import load_module
from model.schema import Schema

Floats = npt.NDArray[np.float64]
LEAST_ALPHA = 1e-3
"""Minimum alpha: with less, and collinear features, the normal equations lose their digits."""


class Moments(NamedTuple):
    """Sums over rows of p columns: the target, then the numeric features in order.

    Attributes:
        centre: subtracted from each column, shape (p,).
        products: sums of products of two centred columns, over the rows that have both, (p, p).
        firsts: of the same rows, the sums of the first column of the two, (p, p).
        counts: how many rows have both, (p, p).
        half: of a half of these rows (``model.sample.in_half``), where a trial needs it.
    """

    centre: Floats
    products: Floats
    firsts: Floats
    counts: Floats
    half: Moments | None = None

    def about(self, centre: Floats) -> Moments:
        """The same rows' moments about another centre."""
        shift = self.centre - centre
        crossed = self.firsts * shift  # of column i, shifted by that of column j
        products = self.products + crossed + crossed.T + np.outer(shift, shift) * self.counts
        firsts = self.firsts + shift[:, None] * self.counts
        half = None if self.half is None else self.half.about(centre)
        return Moments(centre, products, firsts, self.counts, half)

    def rest(self, half: Moments) -> Moments:
        """The moments of the rows that are not in a half, which is about the same centre."""
        return Moments(
            self.centre,
            self.products - half.products,
            self.firsts - half.firsts,
            self.counts - half.counts,
        )

    def as_bytes(self) -> bytes:
        """All numbers but the half's, eight bytes each, as ``from_bytes`` reads them."""
        return b"".join(np.ascontiguousarray(part).tobytes() for part in self[:4])


def from_bytes(data: bytes) -> Moments:
    """Decodes the bytes that ``Moments.as_bytes`` made."""
    numbers = np.frombuffer(data)
    p = round((np.sqrt(1 + 12 * len(numbers)) - 1) / 6)  # 3 p p + p numbers
    products, firsts, counts = numbers[p:].reshape(3, p, p)
    return Moments(numbers[:p], products, firsts, counts)


def suffice(learner: str, parameters: Parameters, schema: Schema) -> bool:
    """Whether a learner can be fitted to rows of a schema by their moments alone.

    Example:
        >>> from model.schema import Features
        >>> rows = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
        >>> suffice("ridge", {"alpha": 2.0}, rows), suffice("forest", {}, rows)
        (True, False)
    """
    alpha = parameters.get("alpha", 1.0)
    penalized = isinstance(alpha, int | float) and alpha >= LEAST_ALPHA
    return (
        learner == "ridge"
        and penalized
        and parameters.keys() <= {"alpha"}
        and not schema.categorical
        and not schema.features.encoders
    )


class Fitted(NamedTuple):
    """A ridge that was fitted by moments.

    Attributes:
        estimator: a scikit-learn ``Ridge``, as if it had been fitted to the rows.
        rmse: its root mean squared error on them.
        r2: its R2 on them; null for a constant target.
    """

    estimator: Any
    rmse: float
    r2: float | None


def fit_ridge(estimator: Any, sums: Moments, scales: Floats) -> Fitted:
    """Fits a ridge to the standard scores of a window's rows.

    Args:
        estimator: a scikit-learn ``Ridge`` with its own intercept and a scalar alpha, not fitted.
        sums: the window's moments, about its means.
        scales: what each feature is divided by, shape (p - 1,).

    Returns:
        The same coefficients, to rounding, as ``estimator.fit`` on the rows.
    """
    solve = load_module("scipy.linalg").solve
    rows, scales = sums.counts[0, 0], np.concatenate([[1.0], scales])
    firsts = np.diag(sums.firsts) / scales  # of the target - its mean, and of the standard scores
    # Centres are rounded means: what the sums about them still have comes off.
    products = sums.products / np.outer(scales, scales) - np.outer(firsts, firsts) / rows
    total, cross, inner = float(products[0, 0]), products[1:, 0], products[1:, 1:]
    weights = solve(inner + estimator.alpha * np.eye(len(inner)), cross, assume_a="pos")
    _set(estimator, weights, float(sums.centre[0] + (firsts[0] - firsts[1:] @ weights) / rows))
    squares = max(0.0, total - float(2 * weights @ cross - weights @ inner @ weights))
    # Of a constant target only the rounding of its mean is left in the total.
    rounding = rows * (4 * np.finfo(np.float64).eps * sums.centre[0]) ** 2
    r2 = 1 - squares / total if total > rounding else None
    return Fitted(estimator, sqrt(squares / rows), r2)


def _set(estimator: Any, weights: Floats, intercept: float) -> None:
    # All attributes that Ridge.fit sets: what reads a fitted Ridge finds them.
    estimator.coef_, estimator.intercept_ = weights, intercept
    estimator.n_features_in_, estimator.n_iter_, estimator.solver_ = len(weights), None, "cholesky"
