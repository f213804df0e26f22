"""Second moments of rows, which merge: all that fitting a linear model needs.

A ridge regression over numeric features is fitted exactly from sums of products (Hoerl and
Kennard 1970, "Ridge regression"; the normal equations). So a window's rows need not travel:
each batch sends its moments, and a sample of its rows for the figures that need them. Sums are
about a centre near the mean, by the updating formulae of Chan, Golub and LeVeque (1979), or digits
would be lost where a mean is large beside its standard deviation.

A null counts as the mean of its column, as the encoder has it, so sums are over what is present.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.batch import column, row_ids
from model.learners import Parameters
from model.loading import load_module
from model.sample import in_half, splitmix64
from model.schema import Schema
from model.statistics import GREATEST, Numeric, Statistics, summarize_batch
from model.threads import limit_blas

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


def summary(
    rows: pa.RecordBatch, schema: Schema, halves: bool = False
) -> tuple[Statistics, Moments]:
    """``summarize_batch`` and ``moments`` in one pass, with the same digits.

    Args:
        rows: labelled rows of an accepted batch, one at least.
        schema: of them, without categorical features.
        halves: adds the moments of a half.
    """
    half = in_half(splitmix64(row_ids(rows))) if halves else None
    names = (schema.target, *schema.numeric)
    columns = np.stack([column(rows, name) for name in names])
    sums = columns.sum(axis=1)
    if not np.isfinite(sums).all():  # there is a null, or their sum is too great
        statistics = summarize_batch(rows, schema)
        return statistics, moments(rows, statistics, half)
    count = rows.num_rows
    lows, highs, centre = columns.min(axis=1), columns.max(axis=1), sums / count
    columns -= centre[:, None]
    variances = np.square(columns).sum(axis=1) / count
    figures = zip(
        names, centre.tolist(), variances.tolist(), lows.tolist(), highs.tolist(), strict=True
    )
    statistics = Statistics(
        columns={
            name: Numeric(
                count=count, nulls=0, mean=mean, variance=min(variance, GREATEST), min=low, max=high
            )
            for name, mean, variance, low, high in figures
        }
    )
    return statistics, _of_all(means(statistics), columns, half)


def moments(
    rows: pa.RecordBatch, statistics: Statistics, half: npt.NDArray[np.bool_] | None = None
) -> Moments:
    """The moments of labelled rows of an accepted batch, about their means.

    Args:
        rows: one at least, of a schema without categorical features.
        statistics: of just these rows.
        half: which rows are in the half that has moments of its own.
    """
    centre = means(statistics)
    centred = np.stack([column(rows, name) for name in statistics.columns])
    centred -= centre[:, None]
    if not any(one.nulls for one in statistics.columns.values()):
        return _of_all(centre, centred, half)
    limit_blas()
    present = ~np.isnan(centred)
    centred[~present] = 0.0
    here = present.astype(np.float64)
    part = None
    if half is not None:
        some, there = centred * half, here * half
        part = Moments(centre, some @ centred.T, some @ here.T, there @ here.T)
    return Moments(centre, centred @ centred.T, centred @ here.T, here @ here.T, part)


def _of_all(centre: Floats, centred: Floats, half: npt.NDArray[np.bool_] | None = None) -> Moments:
    """The moments of columns without a null, of which the centre has been subtracted."""
    limit_blas()
    p, rows = centred.shape
    part = None
    if half is not None:
        some = centred * half
        counts = np.full((p, p), float(np.count_nonzero(half)))
        part = Moments(centre, some @ centred.T, _repeat(some.sum(axis=1)), counts)
    firsts, counts = _repeat(centred.sum(axis=1)), np.full((p, p), float(rows))
    return Moments(centre, centred @ centred.T, firsts, counts, part)


def _repeat(sums: Floats) -> Floats:
    """Sums of shape (p,) for each other column: shape (p, p)."""
    return np.repeat(sums[:, None], len(sums), axis=1)


def means(statistics: Statistics) -> Floats:
    """The means of all columns; 0 for one without a value."""
    return np.array([statistics.numeric(name).mean or 0.0 for name in statistics.columns])


def merge(parts: Iterable[Moments], statistics: Statistics) -> Moments:
    """The moments of all parts' rows about their means, summed from left to right.

    Args:
        parts: one at least.
        statistics: of all parts' rows together.
    """
    about = [part.about(means(statistics)) for part in parts]
    halves = [part.half for part in about if part.half is not None]
    whole = _add(about)
    return whole._replace(half=_add(halves)) if len(halves) == len(about) else whole


def _add(parts: list[Moments]) -> Moments:
    """The moments of all parts' rows, which are about one centre."""
    first, *others = parts
    for other in others:
        first = Moments(
            first.centre,
            first.products + other.products,
            first.firsts + other.firsts,
            first.counts + other.counts,
        )
    return first._replace(half=None)


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
