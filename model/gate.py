"""The gate: whether a window's model may serve, from the window alone.

A model is refused if its parameters are not finite, or if a trial shows no skill. In a trial the
window's rows fall into two halves by a hash of their ids, and each half is predicted by a fit to
the other one. With targets y, the mean m of the half that was fitted to, and g = prediction - m,
over both halves:

* squares = sum of (y - m)^2, spread = sum of g^2, crossed = sum of (y - m) g;
* the squared error of the mean is ``squares``, that of the fits ``squares - 2 crossed + spread``;
* z = sqrt(rows) * crossed / sqrt(squares * spread): if the features show nothing of the target
  its variance is about 1, whatever the distribution of the target (Pitman 1937, "Significance tests
  which may be applied to samples from any populations II. The correlation coefficient test").

A model serves if the fits have the lesser error, and z is over ``Z``: a window whose targets are
shuffled gets past once in 700. All of these are sums of products, so a ridge that is fitted by
moments is tried by moments (``try_by_moments``), as if by its rows.

A classifier is tried likewise, by the log loss beside that of the class shares of the half that was
fitted to, and a z of the same kind (``model.classes.trial``).

The verdict follows from the window and the settings, so a retry, a resumed run and another runner
reach it too, and no window waits for another.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from model import fitting, learners
from model.arrays import Floats, Matrix
from model.baselines import MISSED
from model.classes.trial import LEAST_OTHERS, TrialRows, choose_rows, try_classes
from model.errors import FitFailed
from model.manifest import ClassTrial, Gate, Learner, Trial
from model.moments import Moments, fit_ridge
from model.sample import in_half
from model.schema import Schema
from model.training import Normalized
from model.wording import format_count

Kind: TypeAlias = Literal["auto", "trial", "last", "checks", "none"]
"""``--gate``: a trial where it is cheap; a trial; one that the last value is a baseline of, too; no
trial; nothing at all."""
CHEAP = frozenset({"ridge", "forest", "logistic"})
"""Learners whose trial takes a small part of the time of their fit."""
Z = 3.0
"""Minimum z of a trial that shows skill: chance alone exceeds it once in 740 windows."""
LEAST_ROWS = 300
"""Minimum number of rows of a trial: features that explain a tenth of the target's variance then
have a z of 5, on average."""
ROWS_A_COLUMN = 20
"""Minimum number of rows of a trial for each column of the matrix."""
MOST_ROWS = 10_000
"""Maximum number of rows of a trial, where rows are fitted: those of the least hashes."""
TREES = 10
"""Minimum number of trees of a forest's trial; else it has a tenth of the forest's."""
PARAMETERS = ("coef_", "intercept_", "coefs_", "intercepts_", "dual_coef_")
"""Fitted parameters of scikit-learn's estimators that must be finite."""


def runs_trial(kind: Kind, learner: str) -> bool:
    """Whether windows have a trial.

    Example:
        >>> runs_trial("auto", "ridge"), runs_trial("auto", "boosting"), runs_trial("trial", "x:y")
        (True, False, True)
    """
    return kind in ("trial", "last") or (kind == "auto" and learner in CHEAP)


def judge(
    estimator: Any, data: Normalized, schema: Schema, learner: Learner, kind: Kind
) -> Gate | None:
    """The verdict on a window's model; None if ``kind`` is ``none``.

    Args:
        estimator: fitted to the window.
        data: of the window.
        schema: of its rows.
        learner: what the estimator is.
        kind: what is looked at.
    """
    if kind == "none":
        return None
    name = _find_not_finite(estimator)
    if name is not None:
        return Gate(accepted=False, reason=f"its {name} is not finite")
    if not runs_trial(kind, learner.name):
        return Gate(accepted=True, reason=f"no trial: --gate {kind} has none for {learner.name}")
    if schema.classifies:
        return _judge_classes(estimator, data, schema, learner, kind == "last")
    lack = _find_lack(data, schema)
    if lack is not None:
        return Gate(accepted=True, reason=f"no trial: {lack}")
    return _try(data, learner, kind == "last")


def _find_not_finite(estimator: Any) -> str | None:
    """The name of a fitted parameter that is not finite; None if there is none."""
    for name in PARAMETERS:
        value = getattr(estimator, name, None)
        parts = value if isinstance(value, list) else [value]
        for part in parts:
            if isinstance(part, np.ndarray | float) and not np.isfinite(part).all():
                return name
    return None


def _find_lack(data: Normalized, schema: Schema) -> str | None:
    """Why a window has no trial; None if it has one."""
    target = data.statistics.numeric(schema.target)
    if target.min == target.max:
        return "all targets are equal"
    least = max(LEAST_ROWS, ROWS_A_COLUMN * len(data.encoder.names))
    rows = data.rows if _has_halves(data) else len(data.target)
    if rows < least:
        return f"{format_count(rows, 'row')}, where {least:,} are needed"
    return None


def _judge_classes(
    estimator: Any, data: Normalized, schema: Schema, learner: Learner, by_last: bool
) -> Gate:
    def make(rows: int) -> Any:
        return _make_small(learner, rows, schema.task)

    assert data.hashes is not None
    counts = data.statistics.categorical(schema.target)
    rows = choose_rows(data.matrix, data.target, data.hashes, counts, MOST_ROWS, estimator)
    lack = _find_lack_of_classes(rows, len(data.encoder.names))
    if lack is not None:
        return Gate(accepted=True, reason=f"no trial: {lack}")
    try:
        with fitting.fit_failures(), np.errstate(over="ignore", invalid="ignore"):
            sums = try_classes(make, rows)
    except FitFailed as error:
        return Gate(accepted=False, reason=f"its trial failed: {error}")
    trial = sums.figures(_last_loss(data) if by_last else None)
    return Gate(accepted=(reason := find_class_fault(trial)) is None, reason=reason, trial=trial)


def _find_lack_of_classes(rows: TrialRows, columns: int) -> str | None:
    least = max(LEAST_ROWS, ROWS_A_COLUMN * columns)
    if len(rows.places) < least:
        return f"{format_count(len(rows.places), 'row')}, where {least:,} are needed"
    if rows.others < LEAST_OTHERS:
        return (
            f"{format_count(rows.others, 'row')} of other classes than the most frequent one, where"
            f" {LEAST_OTHERS} are needed"
        )
    return None


def _last_loss(data: Normalized) -> float | None:
    """The log loss of being sure of the class of the row before, as ``_last_error``."""
    if data.known is not None or len(data.target) != data.rows:
        return None
    codes = data.target.indices.to_numpy()
    return MISSED * float(np.mean(codes[1:] != codes[:-1]))


def find_class_fault(trial: ClassTrial) -> str | None:
    """Why a classifier does not serve, by the figures of its trial; None if it does."""
    shares, last = trial.shares_log_loss, trial.last_log_loss
    return _describe_fault(
        trial, ("log loss", trial.log_loss), ("the class shares", shares), ("the last class", last)
    )


def _describe_fault(
    trial: Trial | ClassTrial,
    error: tuple[str, float],
    usual: tuple[str, float],
    last: tuple[str, float | None],
) -> str | None:
    """Why a model does not serve; None if it does.

    Args:
        trial: of the model.
        error: what its error is called, and its error.
        usual: what is predicted by the targets' mean or shares alone, and its error.
        last: the same by the row before; None where that is no baseline.
    """
    where = f"in a trial of {format_count(trial.rows, 'row')} its"
    missed = f"{where} {error[0]} is {error[1]:.6g}, that of"
    if error[1] >= usual[1]:
        return f"{missed} {usual[0]} {usual[1]:.6g}"
    if trial.z < Z:
        return f"{where} skill is no more than chance gives: z is {trial.z:.3g}, less than {Z:g}"
    if last[1] is not None and error[1] >= last[1]:
        return f"{missed} {last[0]} {last[1]:.6g}"
    return None


def _has_halves(data: Normalized) -> bool:
    return data.moments is not None and data.moments.half is not None


def _try(data: Normalized, learner: Learner, by_last: bool) -> Gate:
    try:
        with fitting.fit_failures(), np.errstate(over="ignore", invalid="ignore"):
            sums = (
                try_by_moments(data, learner) if _has_halves(data) else try_by_rows(data, learner)
            )
    except FitFailed as error:
        return Gate(accepted=False, reason=f"its trial failed: {error}")
    if not isfinite(sums.squares):
        return Gate(accepted=True, reason="no trial: the targets' squares are beyond float64")
    if not all(map(isfinite, sums)):
        return Gate(accepted=False, reason="its trial's predictions are not finite")
    trial = sums.figures(_last_error(data) if by_last else None)
    return Gate(accepted=(reason := find_fault(trial)) is None, reason=reason, trial=trial)


def find_fault(trial: Trial) -> str | None:
    """Why a model does not serve, by the figures of its trial; None if it does."""
    mean, last = trial.mean_rmse, trial.last_rmse
    return _describe_fault(
        trial, ("RMSE", trial.rmse), ("the mean", mean), ("the last value", last)
    )


class Sums(NamedTuple):
    """What a trial sums up, with the module's docstring's names; those of two halves add up."""

    rows: float = 0.0
    squares: float = 0.0
    crossed: float = 0.0
    spread: float = 0.0

    def plus(self, other: Sums) -> Sums:
        """Of both halves."""
        return Sums(*(a + b for a, b in zip(self, other, strict=True)))

    def figures(self, last: float | None = None) -> Trial:
        """The trial's figures.

        Args:
            last: the RMSE of the last value, if it is a baseline.

        Example:
            >>> Sums(rows=400, squares=400, crossed=100, spread=100).figures().z
            10.0
        """
        product = sqrt(self.squares) * sqrt(self.spread)
        return Trial(
            rows=round(self.rows),
            rmse=sqrt(max(0.0, self.squares - 2 * self.crossed + self.spread) / self.rows),
            mean_rmse=sqrt(self.squares / self.rows),
            last_rmse=last,
            z=sqrt(self.rows) * self.crossed / product if product else 0.0,
        )


def try_by_rows(data: Normalized, learner: Learner) -> Sums:
    """Each half of a window's rows predicted by a fit to the other one."""
    matrix, target, hashes = data.matrix, data.target, data.hashes
    assert hashes is not None
    if len(target) > MOST_ROWS:
        kept = hashes <= np.partition(hashes, MOST_ROWS - 1)[MOST_ROWS - 1]
        matrix, target, hashes = matrix[kept], target[kept], hashes[kept]
    half, total = in_half(hashes), Sums()
    for fitted, tried in ((half, ~half), (~half, half)):
        mean = float(target[fitted].mean())
        estimator = _make_small(learner, int(fitted.sum()))
        fitting.fit(estimator, matrix[fitted], target[fitted])
        gains = fitting.predict(estimator, matrix[tried]) - mean
        total = total.plus(_sum_rows(target[tried] - mean, gains))
    return total


def _sum_rows(target: Matrix, gains: Matrix) -> Sums:
    squares, crossed = np.square(target).sum(), (target * gains).sum()
    return Sums(len(target), float(squares), float(crossed), float(np.square(gains).sum()))


def _make_small(learner: Learner, rows: int, task: str = "regression") -> Any:
    """A learner for a half; a forest with a tenth of its trees, which shows skill as well."""
    estimator = learners.make(*learner, rows=rows, task=task)
    if learner.name == "forest":
        trees = int(fitting.params_of(estimator)["n_estimators"])
        fitting.set_params(estimator, {"n_estimators": min(trees, max(TREES, trees // 10))})
    return estimator


def try_by_moments(data: Normalized, learner: Learner) -> Sums:
    """As ``try_by_rows``, of all of a window's rows, from the moments of its halves."""
    assert data.moments is not None and data.moments.half is not None
    whole, half = data.moments, data.moments.half.about(data.moments.centre)
    rest, total = whole.rest(half), Sums()
    for fitted, tried in ((half, rest), (rest, half)):
        estimator = learners.make(*learner)
        total = total.plus(_sum_moments(estimator, fitted, tried, data.encoder.scales))
    return total


def _sum_moments(estimator: Any, fitted: Moments, tried: Moments, scales: Floats) -> Sums:
    """What ``_sum_rows`` gives, of ``g = offset + weights x`` with standard scores x."""
    fit_ridge(estimator, fitted, scales)
    weights, divisors = estimator.coef_, np.concatenate([[1.0], scales])
    mean = fitted.firsts[0, 0] / fitted.counts[0, 0]  # about the centre, as all here
    offset = float(estimator.intercept_ - fitted.centre[0] - mean)
    rows, firsts = tried.counts[0, 0], np.diag(tried.firsts) / divisors
    products = tried.products / np.outer(divisors, divisors)
    cross, inner = products[1:, 0], products[1:, 1:]
    score = float(weights @ firsts[1:])  # the sum of weights x over the rows
    return Sums(
        float(rows),
        float(products[0, 0] - 2 * mean * firsts[0] + rows * mean * mean),
        float(weights @ cross - mean * score + offset * (firsts[0] - rows * mean)),
        float(weights @ inner @ weights + 2 * offset * score + rows * offset * offset),
    )


def _last_error(data: Normalized) -> float | None:
    """The RMSE of predicting each row's target by that of the row before it.

    None where that has no meaning: of a sample, and where the label before is not known yet.
    """
    if data.known is not None or len(data.target) != data.rows:
        return None
    return sqrt(float(np.square(np.diff(data.target)).mean()))
