"""Whether a class is predicted more often, or less often, than it was: see ``model.changes``.

A stability index is small for a rare class: where 1 % of the rows are predicted to be fraud, and
then 5 %, it is 0.07. So the share of the rows that each class is predicted for is looked at too. Of
a share p of n rows arcsin(sqrt(p)) has the standard deviation 1 / (2 sqrt(n)), whatever p is, up to
1 / n (Anscombe 1948, "The transformation of Poisson, binomial and negative-binomial data"), and a
change counts if the odds p / (1 - p) are ``ODDS`` times as large, or as small.
"""

from __future__ import annotations

from math import asin, log, sin, sqrt
from typing import NamedTuple

import numpy as np

from model.arrays import Matrix
from model.drift import DEVIATIONS
from model.memory import SHARE, Memory
from model.surprise import GAP, find_surprises

ODDS = 2.0
"""Minimum change of the odds of a class."""


class ShareChange(NamedTuple):
    """A class that is predicted more often, or less often.

    Attributes:
        predicted: the class.
        value: the share of the newest refresh's rows that it is predicted for.
        bound: what the share is beyond.
        usual: what it was.
        size: how far it has changed, in changes that count.
    """

    predicted: str
    value: float
    bound: float
    usual: float
    size: float


def name_share(predicted: str) -> str:
    """What the share of a class is called among the figures of a memory."""
    return SHARE + predicted


def find_predicted(memory: Memory) -> str | None:
    """What the prediction is called, if its shares are remembered; else None."""
    return next((column for column, what in memory.names if what.startswith(SHARE)), None)


def find_share_change(
    memory: Memory, column: str, every: int, probability: float
) -> ShareChange | None:
    """The class whose predicted share has changed most; None if none has.

    Args:
        memory: of the refresh, which is the last one in it, and those before.
        column: what the prediction is called there.
        every: a refresh, microseconds.
        probability: of a false alarm, for all classes of a refresh together.
    """
    classes = [what for name, what in memory.names if name == column and what.startswith(SHARE)]
    shares = np.array([memory.of(column, what) for what in classes])
    if not len(shares):
        return None
    there = np.isfinite(shares).any(axis=0)
    if not there[-1]:
        return None
    # A model that does not know a class does not predict it.
    known = np.nan_to_num(shares[:, there])
    if len(classes) == 2:  # the shares of two are the same news: that of the rarer one is read
        rarer = int(np.argmin(np.median(known, axis=1)))
        classes, known = [classes[rarer]], known[[rarer]]
    rows = float(memory.of("", "rows")[-1])
    angles = np.arcsin(np.sqrt(known)).T
    found = [
        _describe(classes[one.figure].removeprefix(SHARE), known[one.figure], one.bound, rows)
        for one in find_surprises(memory.starts[there], angles, every, probability / len(classes))
    ]
    return max((one for one in found if one), key=lambda one: one.size, default=None)


def _describe(predicted: str, shares: Matrix, bound: float, rows: float) -> ShareChange | None:
    value, usual = float(shares[-1]), float(np.median(shares[: -GAP - 1]))
    if abs(asin(sqrt(value)) - asin(sqrt(usual))) <= DEVIATIONS / (2 * sqrt(rows)):
        return None
    # half a row is added to each side: no odds are 0
    odds = [(share * rows + 0.5) / ((1 - share) * rows + 0.5) for share in (value, usual)]
    size = abs(log(odds[0] / odds[1])) / log(ODDS)
    if size < 1:
        return None
    limit = sin(min(max(bound, 0.0), np.pi / 2)) ** 2
    return ShareChange(predicted, value, float(limit), usual, size)
