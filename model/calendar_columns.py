"""Columns that follow the calendar: hours, weekdays, dates. That they move is no news.

Whether a column is one shows in the means of its refreshes: they are those of the calendar's own
number at that time, in whatever zone and from whatever first number, or a line or a wave over time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from model.batch import SECOND
from model.surprise import DAY, GAP, Times

Vector = npt.NDArray[np.float64]

CLOSE = 0.1
"""How far a column may be from the calendar's number, in parts of the range."""
MOST_ODD = 0.15
"""The share of refreshes that may be further: those that hold a midnight, or a new year."""
WAVES = (DAY // 24, DAY, 7 * DAY, 365.2425 * DAY)
"""The periods of waves, microseconds: an hour, a day, a week, a year."""
EXACT = 0.995
"""Minimum share of a column's variance that a line or a wave explains."""


def follows_calendar(times: Times, means: Vector) -> bool:
    """Whether a column follows the calendar, its newest value too.

    Args:
        times: starts of refreshes, ascending, microseconds.
        means: of the column in each.

    Example:
        >>> hours = np.arange(60) * DAY // 24
        >>> follows_calendar(hours, (np.arange(60) + 5) % 24 + 0.5)
        True
        >>> follows_calendar(hours, np.random.default_rng(0).normal(size=60))
        False
    """
    known = np.isfinite(means)
    times, means = times[known], means[known]
    if len(means) < GAP + 3:
        return False
    centred = means - means.mean()
    return _follows_curve(times, centred) or any(
        _follows_number(number, means) for number in calendar_numbers(times)
    )


def calendar_numbers(times: Times) -> list[Vector]:
    """The calendar's numbers at some times, in each zone of whole hours."""
    numbers = []
    for hours in range(-12, 15):
        local = ((times + hours * (DAY // 24)) // SECOND).astype("datetime64[s]")
        day, month = local.astype("datetime64[D]"), local.astype("datetime64[M]")
        year = local.astype("datetime64[Y]")
        since_midnight = (local - day).astype(np.float64)
        weekday = (day.astype(np.int64) + 3).astype(np.float64)
        numbers += [since_midnight / 3_600, since_midnight / 60]
        numbers += [(weekday + first) % 7 for first in (0, 1)]
        numbers.append((day - month).astype(np.float64))
        numbers.append((month - year).astype(np.float64))
        numbers.append((day - year).astype(np.float64))
        numbers.append(year.astype(np.float64))
    return numbers


def _follows_number(number: Vector, means: Vector) -> bool:
    extent = min(float(np.ptp(number)), float(np.ptp(means)))
    if not extent:
        return False
    far = means - number
    odd = np.abs(far - np.median(far)) > CLOSE * extent
    # The newest are what is asked about: they may not be odd, unless a midnight is in them.
    return bool(odd.mean() <= MOST_ODD and odd[-GAP - 1 :].sum() <= 1)


def _follows_curve(times: Times, centred: Vector) -> bool:
    past = slice(None, -GAP - 1)
    at = (times - times[0]) / float(DAY)
    ones = np.ones_like(at)
    curves = [np.stack([ones, at], axis=1)]
    for period in WAVES:
        turn = 2 * np.pi * at * (DAY / period)
        curves.append(np.stack([ones, np.sin(turn), np.cos(turn)], axis=1))
    total = float(np.square(centred[past]).sum())
    if not total:
        return False
    for curve in curves:
        if len(centred[past]) < 4 * curve.shape[1]:
            continue
        weights = np.linalg.lstsq(curve[past], centred[past], rcond=None)[0]
        left = centred - curve @ weights
        typical = np.sqrt(np.square(left[past]).mean())
        near = np.abs(left[-GAP - 1 :]).max() <= 6 * typical + 1e-9 * np.abs(centred).max()
        if np.square(left[past]).sum() <= (1 - EXACT) * total and near:
            return True
    return False
