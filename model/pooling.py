"""Figures over several refreshes, from what their reports have: as if all rows were in one.

The mean of R2 over refreshes says nothing: one of seven rows may have -200,000. What adds up are
sums, which follow from a report's figures and the number of rows that they are over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum, sqrt
from typing import NamedTuple

from model.metrics import Metrics

FEW = 100
"""With fewer labelled rows than these an error is shown with its interval."""
NORMAL = 1.959963984540054
"""Standard errors of a 95 % interval."""
NEWEST = 20
"""Number of newest refreshes that are pooled beside all."""


class Pooled(NamedTuple):
    """Figures over the scored rows with a target of several refreshes.

    Attributes:
        refreshes: how many have such rows.
        labelled: how many rows these are.
        mae, rmse, r2: errors, of classes the log loss alone, in the place of ``mae``; null without
            a row; R2 where targets do not vary, or some report does not say how they do.
        baseline_mae: that of the baseline ``mean``.
        skill: 1 - mae / baseline_mae.
        skill_best: the same beside the baseline that was the best of the refreshes before each,
            over the refreshes that have one.
        margin: half of the 95 % interval of ``mae`` by the number of rows, as if their errors were
            independent; null under two rows.
    """

    refreshes: int = 0
    labelled: int = 0
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None
    baseline_mae: float | None = None
    skill: float | None = None
    skill_best: float | None = None
    margin: float | None = None


def pool(reports: Iterable[Metrics]) -> Pooled:
    """The figures of all refreshes together.

    Example:
        >>> pool([])
        Pooled(refreshes=0, labelled=0, mae=None, ..., margin=None)
    """
    counted = [one for one in reports if find_errors(one)[0] is not None and count_rows(one)]
    rows = sum(map(count_rows, counted))
    if not rows:
        return Pooled()
    absolute = fsum(count_rows(one) * (find_errors(one)[0] or 0.0) for one in counted)
    baseline = fsum(count_rows(one) * (find_errors(one)[1] or 0.0) for one in counted)
    squares = fsum(count_rows(one) * (one.rmse or 0.0) ** 2 for one in counted)
    mae, rmse = absolute / rows, sqrt(squares / rows)
    spread = pool_squares(counted)
    if any(one.classifies for one in counted):
        return Pooled(
            refreshes=len(counted),
            labelled=rows,
            mae=mae,
            baseline_mae=baseline / rows,
            skill=1 - absolute / baseline if baseline else None,
            skill_best=pool_skill_best(counted),
        )
    return Pooled(
        refreshes=len(counted),
        labelled=rows,
        mae=mae,
        rmse=rmse,
        r2=1 - squares / spread if spread else None,
        baseline_mae=baseline / rows,
        skill=1 - absolute / baseline if baseline else None,
        skill_best=pool_skill_best(counted),
        margin=find_margin(mae, rmse, rows),
    )


def pool_newest(reports: Sequence[Metrics]) -> Pooled:
    """The figures of the newest 20 refreshes together."""
    return pool(reports[-NEWEST:])


def find_errors(report: Metrics) -> tuple[float | None, float | None]:
    """The mean absolute error and that of the baseline; of classes the log losses."""
    if report.classifies:
        return report.log_loss, report.baseline_log_loss
    return report.mae, report.baseline_mae


def count_rows(report: Metrics) -> int:
    """The rows that a report's figures are over; older reports do not say it themselves."""
    if report.labelled is not None:
        return report.labelled
    return report.scored - report.unlabelled


def pool_squares(reports: Sequence[Metrics]) -> float | None:
    """The sum of all targets' squared deviations from their mean, by Chan's formula.

    None if some report does not have its own.
    """
    rows, mean, squares = 0, 0.0, 0.0
    for report in reports:
        if report.target_mean is None or report.target_squares is None:
            return None
        more = count_rows(report)
        delta = report.target_mean - mean
        squares += report.target_squares + delta * delta * (rows * more / (rows + more))
        mean += delta * more / (rows + more)
        rows += more
    return squares


def pool_skill_best(reports: Sequence[Metrics]) -> float | None:
    """1 - the models' error / that of the best baselines, over the refreshes that have one."""
    mine, theirs = [], []
    for report in reports:
        mae, _ = find_errors(report)
        if report.best_baseline is None or report.baselines is None or mae is None:
            continue
        error = getattr(report.baselines, report.best_baseline, None)
        if error is not None:
            mine.append(count_rows(report) * mae)
            theirs.append(count_rows(report) * error)
    return 1 - fsum(mine) / fsum(theirs) if fsum(theirs) else None


def find_margin(mae: float | None, rmse: float | None, rows: int) -> float | None:
    """Half of the 95 % interval of a mean absolute error, as if errors were independent.

    Example:
        >>> round(find_margin(1.0, 2.0, 101), 3)
        0.339
    """
    if mae is None or rmse is None or rows < 2:
        return None
    return NORMAL * sqrt(max(0.0, rmse * rmse - mae * mae) / (rows - 1))
