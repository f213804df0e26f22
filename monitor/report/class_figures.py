"""Figures of classes, of many refreshes together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model.metrics import Metrics

Values = npt.NDArray[np.float64]


class PooledClasses(NamedTuple):
    """What many reports say of classes.

    Attributes:
        reliability: rows, mean score and share of hits in each bin of scores, NaN without a row.
        scores: rows of the positive and all others in each bin of scores; None unless all reports
            are of the same two classes.
        confusion: rows by class, then by predicted class.
    """

    reliability: tuple[Values, Values, Values]
    scores: tuple[Values, Values] | None
    confusion: dict[str, dict[str, int]]


def pool_classes(reports: Sequence[Metrics]) -> PooledClasses:
    """The reports' figures together.

    Args:
        reports: one at least, all with figures of classes.
    """
    confusion: dict[str, dict[str, int]] = {}
    for report in reports:
        for name, cells in (report.confusion or {}).items():
            mine = confusion.setdefault(name, {})
            for other, rows in cells.items():
                mine[other] = mine.get(other, 0) + rows
    return PooledClasses(_pool_reliability(reports), _pool_scores(reports), confusion)


def _pool_reliability(reports: Sequence[Metrics]) -> tuple[Values, Values, Values]:
    found = [report.reliability for report in reports if report.reliability]
    rows, scores, shares = (
        np.array([each[name] for each in found], np.float64) for name in ("rows", "score", "share")
    )
    total = rows.sum(axis=0)
    with np.errstate(invalid="ignore"):
        means = [np.nansum(rows * values, axis=0) / total for values in (scores, shares)]
    return total, means[0], means[1]


def _pool_scores(reports: Sequence[Metrics]) -> tuple[Values, Values] | None:
    if len({report.positive for report in reports}) > 1:
        return None
    found = [report.scores for report in reports if report.scores]
    if not found:
        return None
    positives, negatives = (
        np.array([each[name] for each in found], np.float64).sum(axis=0)
        for name in ("positive", "negative")
    )
    return positives, negatives
