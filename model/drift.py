"""Drift: how far the distribution of a refresh's rows is from that of its model's training rows.

Each numeric feature's standard scores, as the model sees them, are counted in fixed bins, and so
are those of the predictions; each value of a categorical feature that has a column is a bin. The
counts of batches add up to those of their refresh. They are compared with the counts of the
training rows (the *profile*, which lies in the artefact) by the population stability index,
PSI = sum((p - q) ln(p / q)) over the bins' shares p now and q then (Siddiqi 2006, "Credit Risk
Scorecards": under 0.1 nothing has changed, over 0.25 much has). Half a row is added to each bin
(Jeffreys), so that an empty one has a logarithm.

Without drift the index of two samples of n and m rows is about (1/n + 1/m) times a chi-squared of
one degree less than there are bins (Yurdakul 2018, "Statistical properties of the population
stability index"): for few rows it is large by chance alone. So each figure comes with the value
that chance alone exceeds once in a million refreshes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from math import isfinite, sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from model.arrays import Matrix
from model.blocks import Places, add_blocks, find_starts
from model.encoder import Encoder, standardization
from model.exact import Exact, add_each
from model.loading import load_module
from model.schema import RESERVED
from model.statistics import summarize

BINS = 17
"""Number of bins of standard scores: each is half a standard deviation wide, with centres from -4
to 4; the outer ones are open. A null or a constant has score 0, up to rounding, which is the
centre of a bin, not an edge."""
CHANCE = 1e-6
"""Significance level: the probability, for one column of one refresh, that chance alone exceeds
the limit."""

PROFILED = 100_000
"""Number of rows that a profile needs. Of twice as many or more, it takes a sample: one row at
random out of each group of ``rows // PROFILED`` neighbours. A million rows would give the same
figures, and take a tenth of the time of a fit."""


SHARES = 50
"""Maximum number of classes whose predicted shares a report has."""


class Histogram(NamedTuple):
    """Counts and sums of some rows, column by column; those of batches add up.

    Attributes:
        bins: the number of rows in each bin: of each numeric feature, then of each categorical
            one, then of the prediction.
        sums: sums of standard scores: of each numeric feature, then of the prediction, unless it is
            a class. Then, if nulls were counted, the sums of their squares in the same order, and
            the number of nulls of each feature (``measure_details``).
    """

    bins: tuple[int, ...]
    sums: tuple[float | Exact, ...]


class Profile(BaseModel):
    """The distribution of the rows that a model was trained on; a part of its manifest.

    Attributes:
        numeric: the number of numeric features, which come first.
        features: the number of rows in each bin, by feature: ``BINS`` bins of a numeric one; of a
            categorical one a bin for each value that has a column, and one for all others.
        prediction: the number of rows in each of ``BINS`` bins, by the model's prediction; of each
            predicted class, where it is a class.
        mean, scale: they standardise predictions: (prediction - mean) / scale.
        means, scales: the same of each numeric feature. They lie in the encoder and are here only
            beside a refresh's sums, so that its figures have units.
        classes: the names of predicted classes, bin by bin; likewise only beside sums.
    """

    model_config = ConfigDict(frozen=True)

    numeric: int
    features: dict[str, tuple[int, ...]]
    prediction: tuple[int, ...]
    mean: float
    scale: float
    means: tuple[float, ...] | None = None
    scales: tuple[float, ...] | None = None
    classes: tuple[str, ...] | None = None

    @model_serializer(mode="wrap")
    def _leave_out_units(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = serialize(self)
        if self.means is None:
            del written["means"], written["scales"]
        if self.classes is None:
            del written["classes"]
        return written

    def with_units(self, encoder: Encoder, classes: tuple[str, ...] | None = None) -> Profile:
        """The profile with the means and scales of its model's encoder, and its classes."""
        means, scales = tuple(encoder.means.tolist()), tuple(encoder.scales.tolist())
        return self.model_copy(update={"means": means, "scales": scales, "classes": classes})

    def histogram(
        self,
        scores: Matrix,
        matrix: Matrix,
        prediction: Matrix,
        nulls: Sequence[int] | None = None,
        starts: Places | None = None,
    ) -> Histogram:
        """Counts rows in this profile's bins.

        Args:
            scores: the numeric features' standard scores, shape (features, rows).
            matrix: the rows as the model's encoder transforms them, shape (rows, columns).
            prediction: the model's predictions, shape (rows,).
            nulls: the number of nulls of each feature.
            starts: where blocks begin (``model.blocks``); None: the rows are one.
        """
        standard = (prediction - self.mean) / self.scale
        return make_histogram(scores, self._hot_columns(matrix), standard, nulls, starts)

    def class_histogram(
        self,
        scores: Matrix,
        matrix: Matrix,
        predicted: Places,
        nulls: Sequence[int] | None = None,
        starts: Places | None = None,
    ) -> Histogram:
        """As ``histogram``, of predicted classes by their places: a bin is a class."""
        hot = self._hot_columns(matrix)
        classes = len(self.prediction)
        return make_class_histogram(scores, hot, predicted, classes, nulls, starts)

    def _hot_columns(self, matrix: Matrix) -> Matrix:
        """The 0/1 columns of categories; behind them a matrix may have indicators of nulls."""
        width = sum(map(len, self.features.values())) - BINS * self.numeric
        return matrix[:, self.numeric : self.numeric + width]


def make_histogram(
    scores: Matrix,
    hot: Matrix,
    prediction: Matrix,
    nulls: Sequence[int] | None = None,
    starts: Places | None = None,
) -> Histogram:
    """Counts rows in the bins.

    Args:
        scores: the numeric features' standard scores, feature by feature: shape (features, rows).
        hot: the categorical features' 0/1 columns, shape (rows, columns).
        prediction: standard scores of their predictions, shape (rows,). NaN counts in the
            lowest bin, as in ``scores``.
        nulls: the number of nulls of each feature: numeric ones have score 0.
        starts: where blocks begin (``model.blocks``); None: the rows are one.

    Example:
        >>> scores, hot = np.array([[-9.0, 0.2]]), np.array([[1.0], [0.0]])
        >>> found = make_histogram(scores, hot, np.array([0.0, 0.5]))
        >>> found.bins[:BINS].index(1), found.bins[BINS], found.bins[BINS + 1 :][8:10], found.sums
        (0, 1, (1, 1), (Exact(-8.8), Exact(0.5)))
    """
    bins = [count_scores(one) for one in scores]
    summed = *scores, prediction
    return _histogram(bins, hot, count_scores(prediction), summed, nulls, starts)


def make_class_histogram(
    scores: Matrix,
    hot: Matrix,
    predicted: Places,
    classes: int,
    nulls: Sequence[int] | None = None,
    starts: Places | None = None,
) -> Histogram:
    """As ``make_histogram``, where a class is predicted: it has no sum."""
    last = np.bincount(predicted, minlength=classes)
    if nulls is not None and len(scores) + len(nulls) == 1:
        nulls = None  # one number could be the sum of a prediction
    bins = [count_scores(one) for one in scores]
    return _histogram(bins, hot, last, tuple(scores), nulls, starts)


def _histogram(
    bins: Sequence[Places],
    hot: Matrix,
    last: Places,
    summed: Sequence[Matrix],
    nulls: Sequence[int] | None,
    starts: Places | None,
) -> Histogram:
    # A product, since it sums columns several times as fast as sum(axis=0); counts stay exact.
    ones = np.ones(len(hot)) @ hot if hot.shape[1] else np.empty(0)
    counts = np.concatenate([*bins, ones.astype(np.int64), last])
    if starts is None:
        starts = find_starts(None, len(hot))
    added = [add_blocks(one, starts) for one in summed]
    if nulls is not None:
        added += [add_blocks(np.square(one), starts) for one in summed]
    sums: list[float | Exact] = [*add_each(np.array(added).reshape(len(added), len(starts)))]
    if nulls is not None:
        sums += map(float, nulls)
    return Histogram(tuple(counts.tolist()), tuple(sums))


def count_scores(scores: Matrix) -> npt.NDArray[np.int64]:
    """Counts standard scores of shape (rows,) in the bins; NaN counts in the lowest.

    Returns:
        Shape (``BINS``,).
    """
    places = scores * 2
    places += BINS / 2
    places.clip(0, BINS - 1, out=places)
    least = places.min(initial=0)
    if least != least:  # there is a NaN
        places[np.isnan(places)] = 0
    return np.bincount(places.astype(np.intp), minlength=BINS)


def make_profile(matrix: Matrix, prediction: Matrix, encoder: Encoder) -> Profile:
    """The profile of the rows that a model was trained on.

    Args:
        matrix: these rows, shape (rows, columns).
        prediction: the model's predictions of them, shape (rows,).
        encoder: it made the matrix.

    Returns:
        The profile, of a sample where there are many rows (``PROFILED``); the same for the same
        rows.
    """
    some = _draw_rows(len(matrix))
    matrix, prediction = matrix[some], prediction[some]
    mean, scale = _standard(prediction)
    scores, hot = _parts_of(matrix, encoder)
    found = make_histogram(scores, hot, (prediction - mean) / scale)
    return _make_profile(found, encoder, BINS, mean, scale)


def make_class_profile(
    matrix: Matrix, predicted: Places, classes: int, encoder: Encoder
) -> Profile:
    """As ``make_profile``, of predicted classes by their places: a bin is a class."""
    some = _draw_rows(len(matrix))
    scores, hot = _parts_of(matrix[some], encoder)
    found = make_class_histogram(scores, hot, predicted[some], classes)
    return _make_profile(found, encoder, classes, 0.0, 1.0)


def _parts_of(matrix: Matrix, encoder: Encoder) -> tuple[Matrix, Matrix]:
    """The numeric features' scores, feature by feature, and the 0/1 columns."""
    numeric = len(encoder.numeric)
    width = sum(len(values) + 1 for values in encoder.categories.values())
    return np.ascontiguousarray(matrix[:, :numeric].T), matrix[:, numeric : numeric + width]


def _make_profile(
    found: Histogram, encoder: Encoder, outcomes: int, mean: float, scale: float
) -> Profile:
    numeric = len(encoder.numeric)
    sizes = [BINS] * numeric + [len(values) + 1 for values in encoder.categories.values()]
    *features, last = _split_bins(found.bins, [*sizes, outcomes])
    names = (*encoder.numeric, *encoder.categories)
    return Profile(
        numeric=numeric,
        features=dict(zip(names, features, strict=True)),
        prediction=last,
        mean=mean,
        scale=scale,
    )


def _draw_rows(rows: int) -> slice | npt.NDArray[np.int64]:
    """Indices of the rows of a profile: at random, since every n-th row may be of one kind."""
    few = rows // PROFILED
    if few < 2:
        return slice(None)
    starts = np.arange(0, rows - few + 1, few)
    # A fixed seed: a retry must draw the same rows.
    return starts + np.random.default_rng(0).integers(0, few, len(starts))


def _standard(values: Matrix) -> tuple[float, float]:
    """Mean and standard deviation of values; (0, 1) if not finite, and 1 for a deviation of 0."""
    [mean], [scale] = standardization([summarize(values)])
    return (float(mean), float(scale)) if isfinite(mean) and isfinite(scale) else (0.0, 1.0)


def _split_bins(bins: Sequence[int], sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Splits concatenated bins into those of each column."""
    places = np.cumsum([0, *sizes]).tolist()
    return [tuple(bins[low:high]) for low, high in pairwise(places)]


class Shift(BaseModel):
    """How far a column has drifted.

    Attributes:
        psi: the population stability index; 0 or more.
        mean_shift: how far the mean has moved, in standard deviations of the training window
            (of a feature that was constant there: in its own unit). Null for a categorical
            feature, and where it is not finite.
        psi_by_chance, mean_shift_by_chance: what chance alone exceeds once in a million
            (``CHANCE``) for this number of rows; the latter in either direction.
        mean, deviation: of the refresh's values that are not null, in the column's unit: the mean
            and the standard deviation. Absent for a categorical feature, and where not finite.
        nulls: the share of nulls. Absent for the prediction.
        new: the share of values that are not null, and have no column of their own in the model:
            those that its window had not, or seldom. Only of a categorical feature.
    """

    model_config = ConfigDict(frozen=True)

    psi: float
    mean_shift: float | None
    psi_by_chance: float
    mean_shift_by_chance: float | None
    mean: float | None = None
    deviation: float | None = None
    nulls: float | None = None
    new: float | None = None

    @model_serializer(mode="wrap")
    def _leave_out_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = serialize(self)
        for name in ("mean", "deviation", "nulls", "new"):
            if written[name] is None:
                del written[name]
        return written


class Drift(BaseModel):
    """How far a refresh's rows have drifted.

    Attributes:
        features: how far each feature has, by name.
        prediction: how far its model's predictions have.
        shares: where a class is predicted, for which share of the rows each one is, of the
            ``SHARES`` most frequent; else absent.
    """

    model_config = ConfigDict(frozen=True)

    features: dict[str, Shift]
    prediction: Shift
    shares: dict[str, float] | None = None

    @model_serializer(mode="wrap")
    def _leave_out_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = serialize(self)
        if self.shares is None:
            del written["shares"]
        return written


def measure_drift(found: Histogram, trained: Profile) -> Drift:
    """How far rows (at least one) have drifted from those that their model was trained on."""
    before = [*trained.features.values(), trained.prediction]
    bins = _split_bins(found.bins, [len(counts) for counts in before])
    number = trained.numeric
    shown = _count_sums(found, trained)
    last = found.sums[number] if shown > number else None  # None: a class
    sums = [*found.sums[:number], *[None] * (len(bins) - number - 1), last]
    shifts = map(measure_shift, bins, before, sums)
    details = measure_details(found, trained, bins)
    *features, prediction = (
        shift.model_copy(update=detail) for shift, detail in zip(shifts, details, strict=True)
    )
    return Drift(
        features=dict(zip(trained.features, features, strict=True)),
        prediction=prediction,
        shares=None if trained.classes is None else predicted_shares(trained.classes, bins[-1]),
    )


def predicted_shares(classes: Sequence[str], counts: Sequence[int]) -> dict[str, float]:
    """The shares of rows that classes are predicted for, in their order.

    Example:
        >>> predicted_shares(["no", "yes"], [3, 1])
        {'no': 0.75, 'yes': 0.25}
    """
    rows = sum(counts)
    most = sorted(range(len(classes)), key=lambda place: -counts[place])[:SHARES]
    return {classes[place]: counts[place] / rows for place in sorted(most)}


def measure_details(
    found: Histogram, trained: Profile, bins: Sequence[Sequence[int]]
) -> list[dict[str, float]]:
    """The further figures of each feature, and of the prediction last: see ``Shift``.

    Empty where nulls were not counted, as in sums that an older version of the program made.
    """
    number, features = trained.numeric, len(trained.features)
    shown = _count_sums(found, trained)
    totals = [*map(float, found.sums)]
    sums, squares, nulls = totals[:shown], totals[shown : 2 * shown], totals[2 * shown :]
    if len(nulls) != features or trained.means is None or trained.scales is None:
        return [{} for _ in bins]
    rows = sum(bins[-1])
    details: list[dict[str, float]] = [{"nulls": null / rows} for null in nulls]
    for detail, null, counts in zip(details[number:], nulls[number:], bins[number:], strict=False):
        detail["new"] = max(0.0, counts[-1] - null) / rows
    details.append({})
    units = [*zip(trained.means, trained.scales, strict=True), (trained.mean, trained.scale)]
    places = [*range(number), features]
    counted = [*(rows - null for null in nulls[:number]), rows]
    # shorter by the prediction where that is a class
    for place, (mean, scale), n, total, square in zip(
        places, units, counted, sums, squares, strict=False
    ):
        if n and isfinite(square):
            centre = total / n
            details[place]["mean"] = mean + scale * centre
            variance = square / n - centre * centre
            # below this it is the rounding of squares: the values are all the same
            known = variance > 1e-12 * square / n
            details[place]["deviation"] = scale * sqrt(variance) if known else 0.0
    return details


def _count_sums(found: Histogram, trained: Profile) -> int:
    """How many columns have sums: the numeric features and, unless a class, the prediction."""
    number, features = trained.numeric, len(trained.features)
    if len(found.sums) == number + 1:
        return number + 1
    return number if len(found.sums) in (number, 2 * number + features) else number + 1


def measure_shift(
    counts: Sequence[int], trained: Sequence[int], total: float | Exact | None
) -> Shift:
    """How far a column has drifted.

    Args:
        counts: rows in each bin.
        trained: the same of the training rows.
        total: the sum of the rows' standard scores; None for a categorical feature.
    """
    chdtri = load_module("scipy.special").chdtri
    rows = sum(counts)
    thinness = 1 / rows + 1 / sum(trained)
    mean = None if total is None else float(total) / rows
    return Shift(
        psi=stability_index(counts, trained),
        mean_shift=mean if mean is not None and isfinite(mean) else None,
        psi_by_chance=thinness * float(chdtri(len(counts) - 1, CHANCE)) if len(counts) > 1 else 0.0,
        mean_shift_by_chance=None if mean is None else sqrt(thinness) * DEVIATIONS,
    )


DEVIATIONS = NormalDist().inv_cdf(1 - CHANCE / 2)
"""A normal variable is more than this number of standard deviations from its mean with
probability ``CHANCE``."""


def stability_index(counts: Sequence[int], trained: Sequence[int]) -> float:
    """The population stability index of two sequences of counts, half a row added to each bin.

    Example:
        >>> stability_index([5, 5], [50, 50]), round(stability_index([9, 1], [50, 50]), 3)
        (0.0, 0.671)
    """
    p, q = ((np.asarray(c) + 0.5) / (sum(c) + len(c) / 2) for c in (counts, trained))
    return float(((p - q) * np.log(p / q)).sum())


PREDICTION = "prediction"
"""The column of a figure or an alert of the prediction."""


def name_prediction(features: Collection[str]) -> str:
    """What the prediction is called: ``__prediction`` where a feature is called ``prediction``.

    No column of a schema can have that name.
    """
    return RESERVED + PREDICTION if PREDICTION in features else PREDICTION


def list_shifts(drift: Drift) -> list[tuple[str, Shift]]:
    """All shifts of a refresh by column, the prediction's last (``name_prediction``)."""
    return [*drift.features.items(), (name_prediction(drift.features), drift.prediction)]
