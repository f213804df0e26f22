"""What of a figure is news: how far it is from its own past, beyond its noise.

Figures of refreshes that follow each other are alike: they wander, and have days and weeks. So a
figure is looked at in three ways, each a series that stays put where the figure does not:

- *level*: the figure itself;
- *recent*: its distance from the nearest of its values three to eight refreshes before, which stays
  small for a figure that wanders;
- *season*: its distance from the nearest of its values at the same time of the three days, and of
  the week, before, which stays small for one that has days.

Of each series the median of the newest three values counts, so that one odd refresh is no news. It
is compared with its own past by peaks over a threshold (Siffer et al. 2017, "Anomaly Detection in
Streams with Extreme Value Theory"): the largest tenth of the past values lie beyond a base by
excesses of mean m. If these are exponential, the next value exceeds

    base + m k ((k / (n p)) ** (1 / k) - 1)

with probability p, where n is the number of past values and k that of the excesses: a new excess,
divided by a mean that is estimated from k of them, is F-distributed with 2 and 2k degrees of
freedom. For the lighter tails of a normal distribution it is rarer. Few past values give a wide
bound. p follows from the wished number of refreshes without a false alarm.

Excesses that follow each other say little more than one. So of an error, whose size wanders, k but
in k / (n p) is the number of their runs (Ferro and Segers 2003, "Inference for clusters of extreme
values").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model.arrays import Matrix
from model.batch import SECOND

Times = npt.NDArray[np.int64]

READY = 20
"""Minimum number of past values that a figure is compared with."""
GAP = 2
"""Number of newest values that are not compared with: they may be of the same change."""
RECENT = tuple(range(GAP + 1, 9))
"""How many refreshes before the values are that a figure which wanders stays near to."""
TAIL = 10
"""One past value in this number is an excess; ``LEAST_TAIL`` are at least."""
LEAST_TAIL = 7
LEAST_RUNS = 3
"""Minimum number of runs of excesses that a bound takes there to be."""
FLOOR = 0.25
"""Minimum mean excess, in robust standard deviations of the past values. A normal variable's mean
excess is about half of one."""
NORMAL = 1.4826
"""A normal variable's standard deviation, in median absolute deviations."""
DAY = 86_400 * SECOND


class Surprise(NamedTuple):
    """A figure that is beyond its bound.

    Attributes:
        figure: its place among the figures.
        side: 1 if it is too large, -1 if it is too small.
        usual: what it was compared with: the median of its past, or the value that it is usually
            near to.
        bound: how large, or small, it might be.
    """

    figure: int
    side: int
    usual: float
    bound: float


def season_lags(every: int) -> tuple[int, ...]:
    """How long before values of the same time of the day are, or of the week, in microseconds.

    Args:
        every: a refresh, microseconds.

    Example:
        >>> [lag // DAY for lag in season_lags(DAY // 24)], season_lags(DAY // 24 * 7)
        ([1, 2, 3, 7], ())
        >>> [lag // DAY for lag in season_lags(DAY)]
        [7, 14, 21]
    """
    if DAY % every == 0 and every < DAY:
        return DAY, 2 * DAY, 3 * DAY, 7 * DAY
    return (7 * DAY, 14 * DAY, 21 * DAY) if every == DAY else ()


def find_surprises(
    times: Times,
    values: Matrix,
    every: int,
    probability: float,
    sides: Sequence[int] = (1, -1),
    at_once: bool = False,
    wanders: bool = False,
) -> list[Surprise]:
    """The figures whose newest value is beyond its bound.

    Args:
        times: the refreshes' starts, ascending, microseconds.
        values: shape (refreshes, figures); finite.
        every: a refresh, microseconds.
        probability: of a false alarm, for one figure in one refresh.
        sides: 1 where too large a value is news, -1 where too small a one is.
        at_once: whether one odd refresh is news.
        wanders: whether large values come in runs, each of which counts as one.

    Example:
        >>> times = np.arange(40) * DAY
        >>> noise = np.random.default_rng(0).normal(size=(40, 1))
        >>> find_surprises(times, noise, DAY, 1e-4)
        []
        >>> noise[-2:] += 20
        >>> [(one.figure, one.side) for one in find_surprises(times, noise, DAY, 1e-4)]
        [(0, 1)]
    """
    if len(values) < READY + GAP + 1:
        return []
    anchors = [np.zeros_like(values), recent_anchor(values)]
    lags = season_lags(every)
    if lags:
        anchors.append(season_anchor(times, values, lags))
    share = probability / len(anchors) / len(sides)
    found: dict[int, Surprise] = {}
    for anchor in anchors:
        series = values - anchor
        if not at_once:
            series = median_of_three(series)
        for figure, side, bound in find_beyond(series, share, sides, wanders):
            usual = float(anchor[-1, figure])
            if anchor is anchors[0]:
                usual = float(np.median(values[: -GAP - 1, figure]))
            limit = float(anchor[-1, figure]) + bound
            found.setdefault(figure, Surprise(figure, side, usual, limit))
    return [found[figure] for figure in sorted(found)]


def recent_anchor(values: Matrix) -> Matrix:
    """The nearest of each figure's values ``RECENT`` refreshes before; NaN where there is none.

    Example:
        >>> recent_anchor(np.arange(5.0)[:, None]).ravel().tolist()
        [nan, nan, nan, 0.0, 1.0]
    """
    places = np.arange(len(values))
    return _nearest(values, [places - lag for lag in RECENT], least=1)


def season_anchor(times: Times, values: Matrix, lags: Sequence[int]) -> Matrix:
    """The nearest of each figure's values so long before; NaN where there are fewer than two.

    Of one alone nothing would be known: what was odd a day ago would make today odd.
    """
    places = []
    for lag in lags:
        place = np.searchsorted(times, times - lag)
        there = times[np.minimum(place, len(times) - 1)] == times - lag
        places.append(np.where(there, place, -1))
    return _nearest(values, places, least=2)


def _nearest(values: Matrix, places: Sequence[npt.NDArray[np.int64]], least: int) -> Matrix:
    """Of the values at these places, by row, the nearest to each value; -1 and less: none."""
    rows = np.stack(places)
    there = rows >= 0
    candidates = values[np.maximum(rows, 0)]
    distances = np.abs(values - candidates)
    distances[~there] = np.inf
    nearest: Matrix = np.take_along_axis(candidates, distances.argmin(axis=0)[None], axis=0)[0]
    nearest[there.sum(axis=0) < least] = np.nan
    return nearest


def median_of_three(values: Matrix) -> Matrix:
    """The median of each value and the two before it; NaN in the first two rows.

    Example:
        >>> median_of_three(np.array([[1.0], [9.0], [2.0], [3.0]])).ravel().tolist()
        [nan, nan, 2.0, 3.0]
    """
    a, b, c = values[:-2], values[1:-1], values[2:]
    median = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    return np.vstack([np.full((2, values.shape[1]), np.nan), median])


def find_beyond(
    series: Matrix, probability: float, sides: Sequence[int], wanders: bool = False
) -> list[tuple[int, int, float]]:
    """The series whose newest value is beyond its bound: (place, side, bound)."""
    past, now = series[: -GAP - 1], series[-1]
    found = []
    for side in sides:
        highest = np.fmax.reduce(past * side)
        # A bound is never lower than the highest: nothing else needs the longer way.
        for figure in np.flatnonzero(now * side > highest).tolist():
            known = past[:, figure] * side
            known = known[~np.isnan(known)]
            if len(known) >= READY - GAP:
                bound = max(compute_bound(known, probability, wanders), float(highest[figure]))
                if now[figure] * side > bound:
                    found.append((figure, side, side * bound))
    return found


def compute_bound(
    past: npt.NDArray[np.float64], probability: float, wanders: bool = False
) -> float:
    """What a value exceeds with a probability, by its past values: see the module.

    Args:
        past: in the order of time.
        probability: that the next value is beyond the bound.
        wanders: whether a run of excesses counts as one.

    Example:
        >>> past = np.random.default_rng(0).exponential(size=100_000)
        >>> bool(abs(compute_bound(past, 1e-4) - np.log(1e4)) < 0.3)
        True
    """
    n = len(past)
    k = max(LEAST_TAIL, n // TAIL)
    ordered = np.sort(past)
    base, excess = ordered[-k - 1], ordered[-k:]
    middle = ordered[n // 2]
    spread = NORMAL * float(np.median(np.abs(past - middle)))
    mean = max(float(excess.mean() - base), FLOOR * spread)
    number = k
    if wanders:
        beyond = past > base
        runs = int(np.count_nonzero(beyond[1:] & ~beyond[:-1])) + int(beyond[0])
        number = max(LEAST_RUNS, runs)
    return float(base + mean * number * ((k / (n * probability)) ** (1 / number) - 1))
