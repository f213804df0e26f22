"""The gate: its trial is scikit-learn's on two halves; what shows no skill does not serve."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from model.batch import ID
from model.block_sums import finish, sum_by_blocks
from model.gate import Kind, judge, try_by_moments, try_by_rows
from model.manifest import Gate, Learner, Trial, Window
from model.schema import Features, Schema
from model.training import Normalized, fit_artefact, normalize
from tests.kit.rows import NOON, accept

SCHEMA = Schema(name="s", time="t", target="y", features=Features(numeric=("a", "b", "c")))
WINDOW = Window(NOON, NOON + 86_400_000_000)
RIDGE, FOREST = Learner("ridge", {}, 1), Learner("forest", {}, 1)


def rows(count: int, seed: int, signal: float = 1.0, nulls: float = 0.0) -> pa.RecordBatch:
    """Rows whose target depends on a and b, by ``signal`` standard deviations of its noise."""
    rng = np.random.default_rng(seed)
    features = rng.normal(5.0, 2.0, (3, count))
    signal_of = (features[0] - features[1]) / sqrt(8)
    y = 100 + signal * signal_of + rng.normal(size=count)
    features[rng.random((3, count)) < nulls] = np.nan
    return accept(SCHEMA, {"y": y, **dict(zip("abc", features, strict=True))})


def shuffle(batch: pa.RecordBatch, seed: int) -> pa.RecordBatch:
    """The same rows with their targets shuffled."""
    y = np.random.default_rng(seed).permutation(batch.column("y").to_numpy())
    place = batch.schema.get_field_index("y")
    return batch.set_column(place, batch.schema.field(place), pa.array(y))


def data_of(batch: pa.RecordBatch, by_moments: bool = False) -> Normalized:
    """The window's data, with all rows; with moments by halves if asked for."""
    sums = sum_by_blocks(batch, SCHEMA, products=by_moments, halves=True)
    statistics, moments = finish([sums], SCHEMA)
    return normalize(batch, statistics, SCHEMA, WINDOW, moments)


def verdict(batch: pa.RecordBatch, learner: Learner, kind: Kind = "auto") -> Gate:
    """The gate's verdict on the model of the rows."""
    data = data_of(batch, by_moments=learner == RIDGE and kind != "last")
    artefact, _ = fit_artefact(data, SCHEMA, learner)
    found = judge(artefact.estimator, data, SCHEMA, learner, kind)
    assert found is not None
    return found


def splitmix(number: int) -> int:
    """SplitMix64 in plain integers."""
    bits = (1 << 64) - 1
    z = (number + 0x9E3779B97F4A7C15) & bits
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & bits
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & bits
    return z ^ (z >> 31)


@dataclass
class Oracle:
    """The trial's figures by plain scikit-learn and numpy."""

    rmse: float
    mean_rmse: float
    z: float


def trial_by_sklearn(batch: pa.RecordBatch, make: Any) -> Oracle:
    """Each half, by the last bit of the ids' hashes, predicted by a fit to the other one."""
    half = np.array([splitmix(number) & 1 for number in batch.column(ID).to_pylist()], dtype=bool)
    y = batch.column("y").to_numpy()
    raw = np.column_stack([batch.column(name).to_numpy() for name in "abc"])
    scores = np.nan_to_num((raw - np.nanmean(raw, axis=0)) / np.nanstd(raw, axis=0))
    predicted, means = np.empty(len(y)), np.empty(len(y))
    for fitted, tried in ((half, ~half), (~half, half)):
        predicted[tried] = make().fit(scores[fitted], y[fitted]).predict(scores[tried])
        means[tried] = y[fitted].mean()
    gains = predicted - means
    correlation = ((y - means) @ gains) / sqrt(((y - means) @ (y - means)) * (gains @ gains))
    return Oracle(
        sqrt(np.square(y - predicted).mean()),
        sqrt(np.square(y - means).mean()),
        sqrt(len(y)) * correlation,
    )


@pytest.mark.parametrize("nulls", [0.0, 0.2])
def test_a_ridges_trial_is_scikit_learns_on_the_halves(nulls: float) -> None:
    batch = rows(2_000, 1, nulls=nulls)
    expected = trial_by_sklearn(batch, Ridge)
    by_moments = try_by_moments(data_of(batch, by_moments=True), RIDGE).figures()
    by_rows = try_by_rows(data_of(batch), RIDGE).figures()
    for found in (by_moments, by_rows):
        assert found.rows == 2_000
        assert found.rmse == pytest.approx(expected.rmse, rel=1e-10)
        assert found.mean_rmse == pytest.approx(expected.mean_rmse, rel=1e-10)
        assert found.z == pytest.approx(expected.z, rel=1e-9)


def test_a_forests_trial_has_a_tenth_of_its_trees() -> None:
    batch, leaves = rows(2_000, 2), {"min_samples_leaf": 20, "max_features": 1 / 3}
    found = try_by_rows(
        data_of(batch), Learner("forest", {"n_estimators": 200, **leaves}, 7)
    ).figures()

    def make() -> RandomForestRegressor:
        return RandomForestRegressor(n_estimators=20, random_state=7, **leaves)

    expected = trial_by_sklearn(batch, make)
    assert found.rmse == pytest.approx(expected.rmse, rel=1e-9)
    assert found.z == pytest.approx(expected.z, rel=1e-9)


@pytest.mark.parametrize("learner", [RIDGE, FOREST])
def test_shuffled_targets_do_not_serve(learner: Learner) -> None:
    for seed in range(20 if learner == RIDGE else 5):
        found = verdict(shuffle(rows(1_000, seed), seed), learner)
        assert not found.accepted and found.reason is not None and found.trial is not None
        assert found.reason.startswith("in a trial of 1,000 rows ")


@pytest.mark.parametrize("learner", [RIDGE, FOREST])
def test_of_a_stream_without_trouble_all_models_serve(learner: Learner) -> None:
    for seed in range(100 if learner == RIDGE else 5):
        found = verdict(rows(400, seed, signal=0.8), learner)
        assert found.accepted and found.reason is None


def test_few_rows_and_equal_targets_have_no_trial() -> None:
    few = verdict(shuffle(rows(299, 3), 3), RIDGE)
    assert few.accepted and few.reason == "no trial: 299 rows, where 300 are needed"
    flat = rows(500, 3)
    place = flat.schema.get_field_index("y")
    flat = flat.set_column(place, flat.schema.field(place), pa.array(np.full(500, 7.0)))
    assert verdict(flat, RIDGE).reason == "no trial: all targets are equal"


def test_what_is_not_cheap_has_a_trial_only_if_it_is_asked_for() -> None:
    batch, boosting = shuffle(rows(1_000, 4), 4), Learner("boosting", {}, 1)
    unasked = verdict(batch, boosting)
    assert unasked.accepted and unasked.reason == "no trial: --gate auto has none for boosting"
    assert not verdict(batch, boosting, "trial").accepted
    assert verdict(batch, RIDGE, "checks").accepted
    data = data_of(batch)
    assert judge(Ridge().fit(data.matrix, data.target), data, SCHEMA, RIDGE, "none") is None


def test_the_last_value_is_a_baseline_if_that_is_asked_for() -> None:
    batch = rows(1_000, 5, signal=0.8)
    place = batch.schema.get_field_index("y")
    y = np.sort(batch.column("y").to_numpy())  # a row's target is almost the one before
    x = y + np.random.default_rng(5).normal(size=1_000)
    slow = accept(SCHEMA, {"y": y, "a": x, "b": x, "c": x})
    found = verdict(slow, RIDGE, "last")
    assert not found.accepted and isinstance(found.trial, Trial)
    assert found.trial.last_rmse == pytest.approx(sqrt(np.square(np.diff(y)).mean()), rel=1e-12)
    assert verdict(slow, RIDGE, "trial").accepted
    assert verdict(batch, RIDGE, "last").accepted and place >= 0


class Infinite(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A mean, with a coefficient that is not finite."""

    def fit(self, matrix: Any, target: Any) -> Infinite:
        self.mean_, self.coef_ = target.mean(), np.array([1.0, np.inf])
        return self

    def predict(self, matrix: Any) -> Any:
        return np.full(len(matrix), self.mean_)


class Odd(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts the rows that it has seen, NaN for any other number of rows; or raises there."""

    def __init__(self, raises: bool = False) -> None:
        self.raises = raises

    def fit(self, matrix: Any, target: Any) -> Odd:
        self.rows_ = len(matrix)
        return self

    def predict(self, matrix: Any) -> Any:
        if len(matrix) == self.rows_:
            return np.zeros(len(matrix))
        if self.raises:
            raise ValueError("other rows")
        return np.full(len(matrix), np.nan)


def test_what_is_not_finite_and_a_trial_that_fails_do_not_serve() -> None:
    batch = rows(1_001, 6)  # halves of other lengths
    name = f"{__name__}:Infinite"
    assert verdict(batch, Learner(name, {}, 1)).reason == "its coef_ is not finite"
    odd = Learner(f"{__name__}:Odd", {}, 1)
    assert verdict(batch, odd, "trial").reason == "its trial's predictions are not finite"
    raising = Learner(f"{__name__}:Odd", {"raises": True}, 1)
    expected = "its trial failed: ValueError: other rows"
    assert verdict(batch, raising, "trial").reason == expected
