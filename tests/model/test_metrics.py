"""A refresh's figures against sklearn.metrics on the same rows, for any cut into batches."""

from __future__ import annotations

import json
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from threadpoolctl import threadpool_limits

from model.batch import SECOND
from model.drift import Histogram, Profile, measure_drift
from model.metrics import Metrics, Sums, compute_metrics, merge, merge_two, sum_batch
from tests.kit.rows import NOON

Floats = npt.NDArray[np.float64]
NAN = float("nan")
MODEL = "20261123T115900Z"

numbers = st.integers(-8_000, 8_000).map(lambda v: v / 8)
scored_rows = st.lists(st.tuples(st.just(NAN) | numbers, numbers), max_size=40)


def refresh(sums: Sums) -> Metrics:
    return compute_metrics(sums, NOON, NOON + 60 * SECOND)


def near(got: float | None, want: float, size: float = 0.0) -> bool:
    return got is not None and math.isclose(got, want, rel_tol=1e-12, abs_tol=1e-12 * size)


def agrees_with_sklearn(got: Metrics, target: Floats, prediction: Floats, baseline: float) -> None:
    labelled = ~np.isnan(target)
    assert (got.rows, got.scored, got.unlabelled) == (len(target),) * 2 + ((~labelled).sum(),)
    target, prediction = target[labelled], prediction[labelled]
    if len(target) == 0:
        assert got.mae is got.rmse is got.r2 is got.baseline_mae is got.skill is None
        return
    mae, by_mean = (mean_absolute_error(target, p) for p in (prediction, target * 0 + baseline))
    assert near(got.mae, mae)
    assert near(got.rmse, root_mean_squared_error(target, prediction))
    assert near(got.baseline_mae, by_mean)
    if len(set(target)) < 2:
        assert got.r2 is None
    else:
        r2 = r2_score(target, prediction)
        assert near(got.r2, r2, size=1 + abs(1 - r2))
    if by_mean == 0:
        assert got.skill is None
    else:
        assert near(got.skill, 1 - mae / by_mean, size=1 + mae / by_mean)


@given(scored_rows, numbers, st.lists(st.floats(0, 1), max_size=5))
@settings(max_examples=150, deadline=None)
def test_figures_are_those_of_sklearn_for_any_cut_into_batches(
    rows: list[tuple[float, float]], baseline: float, cuts: list[float]
) -> None:
    target, prediction = np.array(rows, np.float64).reshape(-1, 2).T
    places = sorted(int(c * len(rows)) for c in cuts)
    parts = zip(np.split(target, places), np.split(prediction, places), strict=True)
    sums = merge(sum_batch(t, 0, p, baseline, MODEL) for t, p in parts)
    agrees_with_sklearn(refresh(sums), target, prediction, baseline)


@given(
    st.lists(st.tuples(numbers, numbers), min_size=2, max_size=30),
    st.floats(-1e3, 1e3),
    st.integers(0, 30),
)
@settings(max_examples=100, deadline=None)
def test_bias_and_slope_are_numpys_for_any_cut(
    rows: list[tuple[float, float]], baseline: float, cut: int
) -> None:
    target, prediction = np.array(rows, np.float64).T
    parts = ((target[:cut], prediction[:cut]), (target[cut:], prediction[cut:]))
    got = refresh(merge(sum_batch(t, 0, p, baseline, MODEL) for t, p in parts))
    size = max(1.0, np.abs(target).max(), np.abs(prediction).max())
    assert got.bias == pytest.approx((prediction - target).mean(), abs=1e-9 * size)
    if prediction.std() > 0.01 * size:
        expected = np.polyfit(prediction, target, 1)[0]
        assert got.slope == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_r2_holds_for_targets_far_from_zero() -> None:
    rng = np.random.default_rng(0)
    target = 1e9 + rng.normal(size=10_000)
    prediction = target + rng.normal(size=10_000) / 2
    parts = zip(np.array_split(target, 13), np.array_split(prediction, 13), strict=True)
    got = refresh(merge(sum_batch(t, 0, p, 1e9, MODEL) for t, p in parts)).r2
    assert got == pytest.approx(r2_score(target, prediction), rel=1e-6)


def test_a_refresh_without_any_row_has_zeros_and_nulls() -> None:
    assert refresh(merge([])).model_dump() == {
        "format": 1,
        "refresh_start": "2026-11-23T12:00:00Z",
        "refresh_end": "2026-11-23T12:01:00Z",
        **dict.fromkeys(("rows", "scored", "unlabelled", "late", "rejected", "labelled"), 0),
        **dict.fromkeys(("model", "mae", "rmse", "r2", "baseline_mae", "skill", "drift")),
        **dict.fromkeys(("target_mean", "target_squares", "best_baseline", "skill_best")),
        "bias": None,
        "slope": None,
        "absolute_error": {"p50": None, "p90": None},
        "baselines": {"mean": None, "last": None, "season": None},
        "baseline_rows": {"mean": 0, "last": 0, "season": 0},
        "files": {},
    }


def test_one_row_has_an_error_but_no_r2() -> None:
    got = refresh(sum_batch(np.array([3.0]), 0, np.array([5.0]), 4.0, MODEL))
    assert (got.mae, got.rmse, got.r2, got.baseline_mae, got.skill) == (2.0, 2.0, None, 1.0, -1.0)


def test_a_constant_target_has_no_r2_whatever_rounding_does_to_its_mean() -> None:
    target = np.full(1_000, 0.1)
    parts = [sum_batch(t, 0, t + 1, 0.2, MODEL) for t in np.array_split(target, 7)]
    assert refresh(merge(parts)).r2 is None


@pytest.mark.parametrize("values", [[0.0, 1e-200], [1e-320, 0.0, 0.0]])
def test_targets_that_differ_by_less_than_squares_can_show_have_no_r2(values: list[float]) -> None:
    target = np.array(values)
    assert refresh(sum_batch(target, 0, target + 1, 0.0, MODEL)).r2 is None


def test_targets_beyond_what_squares_can_hold_do_not_end_the_job() -> None:
    with np.errstate(over="ignore"):
        parts = [sum_batch(np.array([v]), 0, np.array([0.0]), 0.0, MODEL) for v in (1e200, -1e200)]
    got = refresh(merge(parts))
    assert got.mae == 1e200
    body = json.loads(got.as_json(), parse_constant=pytest.fail)
    assert (body["rmse"], body["r2"]) == (None, None)


def test_skill_is_the_share_of_the_baselines_error_that_the_model_saves() -> None:
    target, prediction = np.array([0.0, 10.0]), np.array([1.0, 9.0])
    got = refresh(sum_batch(target, 0, prediction, 5.0, MODEL))
    assert (got.mae, got.baseline_mae, got.skill) == (1.0, 5.0, 0.8)


def test_a_baseline_that_is_exact_leaves_skill_null() -> None:
    got = refresh(sum_batch(np.array([5.0, 5.0]), 0, np.array([4.0, 6.0]), 5.0, MODEL))
    assert (got.mae, got.baseline_mae, got.skill) == (1.0, 0.0, None)


def test_without_a_model_rows_are_counted_and_nothing_is_scored() -> None:
    got = refresh(sum_batch(np.array([1.0, NAN, 2.0]), 2, None, 0.0, None))
    assert (got.model, got.rows, got.scored, got.unlabelled, got.late) == (None, 3, 0, 1, 2)
    assert got.mae is got.rmse is got.r2 is got.baseline_mae is got.skill is None


def test_rows_without_a_target_are_scored_but_not_evaluated_on() -> None:
    got = refresh(sum_batch(np.array([NAN, 1.0]), 0, np.array([1e9, 1.5]), 0.0, MODEL))
    assert (got.model, got.rows, got.scored, got.unlabelled, got.mae) == (MODEL, 2, 2, 1, 0.5)


def test_late_rows_are_counted_and_evaluated_on() -> None:
    on_time = sum_batch(np.array([1.0]), 0, np.array([1.0]), 0.0, MODEL)
    tardy = sum_batch(np.array([1.0]), 1, np.array([3.0]), 0.0, MODEL)
    got = refresh(merge([on_time, tardy]))
    assert (got.rows, got.late, got.mae) == (2, 1, 1.0)


def test_a_refresh_of_rejects_alone_has_a_report() -> None:
    got = refresh(merge([Sums(rejected=3), Sums(rejected=4)]))
    assert (got.rows, got.rejected, got.model, got.mae) == (0, 7, None, None)


def test_rejects_beside_scored_rows_change_no_figure() -> None:
    scored = sum_batch(np.array([1.0, 4.0]), 0, np.array([2.0, 3.0]), 0.0, MODEL)
    for parts in ([scored, Sums(rejected=5)], [Sums(rejected=5), scored]):
        assert merge(parts) == scored._replace(rejected=5)


def test_drift_is_over_the_scored_rows_of_all_parts_and_null_without_any() -> None:
    trained = Profile(numeric=0, features={"c": (3, 1)}, prediction=(4,), mean=0.0, scale=1.0)
    body = trained.model_dump_json()
    target = np.array([1.0, NAN])
    parts = [
        sum_batch(target, 0, target, 0.0, MODEL, Histogram((1, 1, 2), (total,)), body)
        for total in (3, 5)
    ]
    unscored = sum_batch(target, 0, None, 0.0, None)
    for some in ([*parts, unscored, Sums(rejected=1)], [unscored, *parts]):
        found = refresh(merge(some)).drift
        assert found == measure_drift(Histogram((2, 2, 4), (8.0,)), trained)
        assert found.prediction.mean_shift == 2.0
    assert refresh(unscored).drift is None


def test_two_models_in_one_refresh_are_refused() -> None:
    one, two = Sums(model=MODEL), Sums(model="20261123T120000Z")
    with pytest.raises(ValueError, match=f"two models in one refresh: {MODEL} and 20261123T12"):
        merge_two(one, two)


def test_the_threads_of_linear_algebra_change_no_digit() -> None:
    for seed in range(10):
        target, prediction = np.random.default_rng(seed).normal(size=(2, 50_000))
        with threadpool_limits(1):
            alone = sum_batch(target, 0, prediction, 0.0, MODEL)
        with threadpool_limits(2):
            assert sum_batch(target, 0, prediction, 0.0, MODEL) == alone


def test_the_file_has_the_fields_of_the_contract_and_no_nan() -> None:
    got = refresh(sum_batch(np.array([1.0]), 0, np.array([NAN]), 0.0, MODEL))
    body = json.loads(got.as_json(), parse_constant=pytest.fail)
    assert list(body) == [
        *("format", "refresh_start", "refresh_end", "model", "rows", "scored", "unlabelled"),
        *("late", "rejected", "mae", "rmse", "r2", "baseline_mae", "skill", "labelled"),
        *("target_mean", "target_squares", "bias", "slope"),
        *("absolute_error", "baselines", "baseline_rows"),
        *("best_baseline", "skill_best", "drift", "files"),
    ]
    assert (body["format"], body["mae"], body["model"]) == (1, None, MODEL)
    assert got.as_json().endswith(b"}\n")
