"""Pooled figures beside scikit-learn's on all rows at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from model.baselines import Before, Past
from model.batch import Key
from model.metrics import Metrics, Sums, compute_metrics, sum_batch
from model.pooling import find_margin, pool, pool_newest

MINUTE = 60_000_000
sizes = st.lists(st.integers(0, 30), min_size=1, max_size=30)


def refreshes(parts: list[tuple[np.ndarray, np.ndarray]], baseline: float) -> list[Metrics]:
    """The reports of refreshes that follow each other."""
    found, past = [], Past()
    for number, (target, prediction) in enumerate(parts):
        before = Before(number * MINUTE, Key(0, number, 0))
        sums = sum_batch(target, 0, prediction, baseline, "m", before=before)
        found.append(compute_metrics(sums, number * MINUTE, (number + 1) * MINUTE, past=past))
        past.add(None if sums.figures is None else sums.figures.summary())
    return found


@given(sizes, st.integers(0, 10**6))
@settings(deadline=None, max_examples=60)
def test_pooled_figures_are_those_of_all_rows_at_once(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = 1_000 + rng.normal(size=sum(sizes)).cumsum()
    prediction = target + rng.normal(size=len(target))
    cuts = np.cumsum(sizes)[:-1]
    parts = list(zip(np.split(target, cuts), np.split(prediction, cuts), strict=True))
    reports = refreshes(parts, 999.0)
    found = pool(reports)
    assert found.labelled == len(target)
    if not len(target):
        assert found.mae is found.r2 is found.skill is found.skill_best is None
        return
    mae = mean_absolute_error(target, prediction)
    assert found.mae == pytest.approx(mae, rel=1e-12)
    assert found.rmse == pytest.approx(root_mean_squared_error(target, prediction), rel=1e-12)
    assert found.skill == pytest.approx(1 - mae / np.abs(target - 999).mean(), rel=1e-12)
    if len(target) > 1:
        assert found.r2 == pytest.approx(r2_score(target, prediction), rel=1e-9)
    best = [one for one in reports if one.skill_best is not None]
    if best:
        mine = sum((one.mae or 0.0) * (one.labelled or 0) for one in best)
        errors = [getattr(one.baselines, str(one.best_baseline)) for one in best]
        theirs = sum(e * (one.labelled or 0) for e, one in zip(errors, best, strict=True))
        assert found.skill_best == pytest.approx(1 - mine / theirs, rel=1e-12)
    assert pool_newest(reports) == pool(reports[-20:])


def test_reports_without_rows_count_for_nothing() -> None:
    empty = compute_metrics(Sums(rejected=3), 0, MINUTE)
    [one] = refreshes([(np.array([1.0, 2.0]), np.array([1.5, 2.5]))], 0.0)
    assert pool([empty, one]) == pool([one])


def test_the_margin_is_that_of_the_mean_of_absolute_errors() -> None:
    errors = np.random.default_rng(0).exponential(size=50)
    mae, rmse = float(errors.mean()), float(np.sqrt((errors**2).mean()))
    expected = 1.959963984540054 * errors.std(ddof=1) / np.sqrt(50)
    assert find_margin(mae, rmse, 50) == pytest.approx(expected, rel=1e-9)
    assert find_margin(mae, rmse, 1) is None
