"""The trial of classes: whether a fit to one half of a window knows anything of the other.

A window's rows fall into two halves by a hash of their ids, and each half is predicted by a fit to
the other one (``model.gate``). With the class shares m of the half that was fitted to, and g the
predicted probabilities less m, a row of class k adds ``g[k] - m g`` to the gain. If classes were
drawn by the shares, whatever the features, its mean would be 0 and its variance the sum of
``m[j] (g[j] - m g)^2`` over all classes j. Both halves' gains go together (what two fits have found
in common counts in both), so their standard deviations, not their variances, add up: z is their
gain in these. The log loss is of probabilities half way to the shares (``CAUTION``).

Of a window that is a sample, or of more rows than a trial has, each class is represented by some of
its rows: these are weighed, in the fits and in all sums, by how many each stands for.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.arrays import Matrix
from model.baselines import LEAST
from model.classes.decision import Places, find_places, normalize, order_classes
from model.classes.fit import find_columns, fit_named, takes_weights, weigh
from model.classes.probabilities import predict_probabilities
from model.classes.sample import find_room
from model.manifest import ClassTrial
from model.sample import in_half
from model.statistics import Categorical

LEAST_OTHERS = 50
"""Minimum number of rows of a trial that are not of its most frequent class."""

CAUTION = 0.5
"""Weight of the class shares in the probabilities of a trial.

A few trees of half of the rows hold much impossible that a whole forest does not; each row of which
that comes would cost 34.5, and a forest that finds a rare class would be refused for it.
"""

Hashes = npt.NDArray[np.uint64]


class TrialSums(NamedTuple):
    """What a trial of classes sums up; those of two halves add up.

    Attributes:
        rows: how many rows there are.
        weight: how many they stand for.
        loss, shares: the log loss of the fits, and of the class shares of the other half.
        gain, deviation: see the module's docstring.
    """

    rows: int = 0
    weight: float = 0.0
    loss: float = 0.0
    shares: float = 0.0
    gain: float = 0.0
    deviation: float = 0.0

    def plus(self, other: TrialSums) -> TrialSums:
        """Of both halves."""
        rows, *rest = (a + b for a, b in zip(self, other, strict=True))
        return TrialSums(int(rows), *rest)

    def figures(self, last: float | None = None) -> ClassTrial:
        """The trial's figures.

        Args:
            last: the log loss of the last class, if it is a baseline.

        Example:
            >>> TrialSums(400, 400.0, 200.0, 240.0, 30.0, 3.0).figures().z
            10.0
        """
        return ClassTrial(
            rows=self.rows,
            log_loss=self.loss / self.weight,
            shares_log_loss=self.shares / self.weight,
            last_log_loss=last,
            z=self.gain / self.deviation if self.deviation > 0 else 0.0,
        )


class TrialRows(NamedTuple):
    """The rows of a trial.

    Attributes:
        matrix: shape (rows, features).
        places: of their classes, shape (rows,).
        half: which of the two halves each is in, shape (rows,).
        classes: their names, in order.
        weights: how many rows of the window each stands for; None: itself alone.
    """

    matrix: Matrix
    places: Places
    half: npt.NDArray[np.bool_]
    classes: tuple[str, ...]
    weights: Matrix | None

    @property
    def others(self) -> int:
        """How many of the rows are not of the most frequent class."""
        return len(self.places) - int(np.bincount(self.places).max())


def choose_rows(
    matrix: Matrix, target: Any, hashes: Hashes, counts: Categorical, most: int, estimator: Any
) -> TrialRows:
    """The rows of a window that a trial takes.

    Args:
        matrix: the normalised features of the window's rows, shape (rows, features).
        target: their classes, dictionary<int32, string>.
        hashes: of their ids.
        counts: how many rows of the window have each class.
        most: how many rows are taken at most. If the learner takes weights these are of each class
            as many, so that rare ones stay; else those of the least hashes.
        estimator: of the kind that is tried, fitted or not.
    """
    classes = order_classes(counts.values)
    places = find_places(target, classes)
    if len(places) > most and takes_weights(estimator):
        kept = _keep_rare(places, hashes, len(classes), most)
    elif len(places) > most:
        kept = hashes <= np.partition(hashes, most - 1)[most - 1]
    else:
        kept = np.ones(len(places), np.bool_)
    weights = weigh(places[kept], classes, counts) if takes_weights(estimator) else None
    return TrialRows(matrix[kept], places[kept], in_half(hashes[kept]), classes, weights)


def _keep_rare(places: Places, hashes: Hashes, classes: int, most: int) -> npt.NDArray[np.bool_]:
    """Which rows stay if of each class there is room for as many."""
    room = find_room(np.bincount(places, minlength=classes).tolist(), most)
    kept = np.ones(len(places), np.bool_)
    for place in range(classes):
        mine = np.flatnonzero(places == place)
        if len(mine) > room:
            limit = np.partition(hashes[mine], room - 1)[room - 1]
            kept[mine[hashes[mine] > limit]] = False
    return kept


def try_classes(make: Any, rows: TrialRows) -> TrialSums:
    """Each half of a trial's rows predicted by a fit to the other one.

    Args:
        make: gives an estimator that is not fitted yet, for so many rows.
        rows: of the trial.

    Raises:
        FitFailed: if a half has one class, or a fit fails.
    """
    total = TrialSums()
    for fitted, tried in ((rows.half, ~rows.half), (~rows.half, rows.half)):
        total = total.plus(_try_half(make, rows, fitted, tried))
    return total


def _try_half(
    make: Any, rows: TrialRows, fitted: npt.NDArray[np.bool_], tried: npt.NDArray[np.bool_]
) -> TrialSums:
    classes, weights = rows.classes, rows.weights
    each = np.ones(len(rows.places)) if weights is None else weights
    learned = None if weights is None else weights[fitted]
    estimator = make(int(fitted.sum()))
    fit_named(estimator, rows.matrix[fitted], rows.places[fitted], classes, learned)
    shares = np.bincount(rows.places[fitted], each[fitted], minlength=len(classes))
    shares = shares / shares.sum()
    found = np.zeros((int(tried.sum()), len(classes)))
    found[:, list(find_columns(estimator, classes))] = predict_probabilities(
        estimator, rows.matrix[tried]
    )
    places, mine = rows.places[tried], each[tried]
    careful = (1 - CAUTION) * normalize(found) + CAUTION * shares
    return _sum_half(careful, places, mine, shares, _by_class(rows, each))


def _by_class(rows: TrialRows, each: Matrix) -> Matrix:
    """How many rows of the window a row of each class stands for; shape (classes,)."""
    factors = np.zeros(len(rows.classes))
    factors[rows.places] = each
    return factors


def _sum_half(
    found: Matrix, places: Places, weights: Matrix, shares: Matrix, factors: Matrix
) -> TrialSums:
    chosen = np.arange(len(places)), places
    loss = -np.log(np.maximum(found[chosen], LEAST))
    by_shares = -np.log(np.maximum(shares[places], LEAST))
    gains = found - shares
    gains = gains - np.einsum("ij,j->i", gains, shares)[:, None]
    # Rows of each class are as many as stand for it: shares / factors, not the shares themselves.
    drawn = np.divide(shares, factors, out=np.zeros_like(shares), where=factors > 0)
    variance = np.einsum("ij,j->", np.square(gains), drawn / drawn.sum() * np.square(factors))
    return TrialSums(
        len(places),
        float(weights.sum()),
        float((weights * loss).sum()),
        float((weights * by_shares).sum()),
        float((weights * gains[chosen]).sum()),
        sqrt(float(variance)),
    )
