"""Moments: they merge, and a ridge fitted by them is scikit-learn's on the rows."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from model.batch import column
from model.block_sums import finish, sum_by_blocks
from model.encoder import fit_encoder
from model.moments import Moments, fit_ridge, from_bytes, suffice
from model.schema import Features, Schema
from tests.kit.rows import RIDES, accept

SCHEMA = Schema(name="s", time="t", target="y", features=Features(numeric=("a", "b", "c")))


def rows(count: int, seed: int, nulls: float = 0.0, shift: float = 0.0) -> pa.RecordBatch:
    """Rows with correlated features, y almost linear in them; a share of the features is null."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(shift, 2.0, count), rng.normal(size=count)
    c = a + 0.1 * rng.normal(size=count)
    y = 3 * a - b + rng.normal(size=count) + 10 * shift
    columns = {"a": a, "b": b, "c": c}
    for values in columns.values():
        values[rng.random(count) < nulls] = np.nan
    return accept(SCHEMA, {"y": y, **columns})


def matrix(batch: pa.RecordBatch) -> Any:
    """The features' standard scores, shape (rows, 3), by plain numpy; a null has 0."""
    features = np.column_stack([batch.column(name).to_numpy() for name in "abc"])
    return np.nan_to_num((features - np.nanmean(features, axis=0)) / np.nanstd(features, axis=0))


def of(batches: list[pa.RecordBatch]) -> tuple[Moments, Any]:
    """The moments of all batches' rows, merged, and the encoder of them all."""
    statistics, moments = finish([sum_by_blocks(batch, SCHEMA, True) for batch in batches], SCHEMA)
    assert moments is not None
    return moments, fit_encoder(statistics, SCHEMA)


def split(batch: pa.RecordBatch, pieces: int) -> list[pa.RecordBatch]:
    """The batch in so many pieces."""
    edges = np.linspace(0, batch.num_rows, pieces + 1).astype(int)
    return [batch.slice(a, b - a) for a, b in pairwise(edges)]


@pytest.mark.parametrize("nulls", [0.0, 0.2])
@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("parameters", [{}, {"alpha": 30.0}])
def test_a_ridge_by_moments_has_the_coefficients_of_scikit_learns_on_the_rows(
    nulls: float, shift: float, parameters: dict[str, Any]
) -> None:
    batch = rows(3_000, 1, nulls, shift)
    sums, encoder = of(split(batch, 7))
    found = fit_ridge(Ridge(**parameters), sums, encoder.scales)
    x, y = matrix(batch), batch.column("y").to_numpy()
    wanted = Ridge(**parameters).fit(x, y)
    np.testing.assert_allclose(found.estimator.coef_, wanted.coef_, rtol=1e-7, atol=1e-9)
    prediction = found.estimator.predict(x)
    np.testing.assert_allclose(prediction, wanted.predict(x), rtol=1e-9)
    errors = y - prediction
    assert found.rmse == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-6)
    assert found.r2 == pytest.approx(1 - np.sum(errors**2) / np.sum((y - y.mean()) ** 2), rel=1e-6)


@given(
    st.lists(
        st.tuples(*[st.sampled_from([0.0, -0.0, 1e-9, 1e150, -1e150, math.nan, 3.7])] * 3),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([1, 7, 129, 1_000]),
    st.sampled_from([0.0, 1.0, 1e6]),
)
def test_statistics_beside_moments_are_those_alone_to_the_last_digit(
    features: list[tuple[float, ...]], times: int, noise: float
) -> None:
    columns = np.tile(np.array(features).T, times)
    columns = columns + noise * np.random.default_rng(times).normal(size=columns.shape)
    batch = accept(SCHEMA, dict(zip("yabc", [columns[0][::-1], *columns], strict=True)))
    batch = batch.filter(pa.array(~np.isnan(column(batch, "y"))))
    if batch.num_rows:
        alone, beside = (finish([sum_by_blocks(batch, SCHEMA, on)], SCHEMA) for on in (False, True))
        assert repr(alone[0]) == repr(beside[0])  # -0.0 is not 0.0
        assert alone[1] is None and beside[1] is not None


def test_without_nulls_it_is_the_ridge_behind_a_standard_scaler() -> None:
    batch = rows(2_000, 2)
    features = np.column_stack([batch.column(name).to_numpy() for name in "abc"])
    wanted = Ridge().fit(StandardScaler().fit_transform(features), batch.column("y").to_numpy())
    sums, encoder = of(split(batch, 3))
    found = fit_ridge(Ridge(), sums, encoder.scales).estimator
    np.testing.assert_allclose(found.coef_, wanted.coef_, rtol=1e-10)
    assert found.intercept_ == pytest.approx(wanted.intercept_, rel=1e-12)
    assert found.get_params() == wanted.get_params()
    assert sorted(vars(found)) == sorted(vars(wanted))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 9), st.sampled_from([0.0, 0.4]))
def test_merged_moments_are_those_of_the_rows_together(
    count: int, pieces: int, seed: int, nulls: float
) -> None:
    batch = rows(count, seed, nulls, shift=100.0)
    parts = [part for part in split(batch, pieces) if part.num_rows]
    merged, _ = of(parts)
    whole, _ = of([batch])
    for one, other in zip(merged[:4], whole[:4], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-8)


def test_products_are_over_the_rows_that_have_both_columns() -> None:
    nan = np.nan
    batch = accept(
        SCHEMA,
        {"y": [1.0, 2.0, 3.0], "a": [1.0, nan, 5.0], "b": [nan, 4.0, 8.0], "c": [nan, nan, nan]},
    )
    sums, _ = of([batch])
    assert sums.centre.tolist() == [2.0, 3.0, 6.0, 0.0]
    assert sums.counts.tolist() == [[3, 2, 2, 0], [2, 2, 1, 0], [2, 1, 2, 0], [0, 0, 0, 0]]
    assert sums.products[1].tolist() == [4.0, 8.0, 4.0, 0.0]  # a with y, a, b, c


def test_features_that_determine_each_other_are_fitted_with_the_least_penalty_too() -> None:
    batch = rows(500, 3)
    twice = batch.set_column(batch.schema.get_field_index("c"), "c", batch.column("a"))
    sums, encoder = of([twice])
    found = fit_ridge(Ridge(alpha=1e-3), sums, encoder.scales).estimator
    wanted = Ridge(alpha=1e-3, solver="svd").fit(matrix(twice), twice.column("y").to_numpy())
    x = matrix(twice)
    np.testing.assert_allclose(found.predict(x), wanted.predict(x), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 2.1, -1e9 / 7])
def test_a_constant_target_has_no_r2(value: float) -> None:
    batch = rows(500, 4)
    constant = batch.set_column(
        batch.schema.get_field_index("y"), batch.schema.field("y"), pa.array([value] * 500)
    )
    sums, encoder = of(split(constant, 7))
    found = fit_ridge(Ridge(), sums, encoder.scales)
    assert (found.rmse, found.r2) == (pytest.approx(0.0, abs=1e-6 * abs(value)), None)


def test_bytes_hold_every_digit() -> None:
    sums, _ = of(split(rows(40, 5, nulls=0.3), 3))
    again = from_bytes(sums.as_bytes())
    assert all((one == other).all() for one, other in zip(sums[:4], again[:4], strict=True))


@pytest.mark.parametrize(
    ("learner", "parameters", "schema", "enough"),
    [
        ("ridge", {}, SCHEMA, True),
        ("ridge", {"alpha": 2}, SCHEMA, True),
        ("ridge", {"fit_intercept": False}, SCHEMA, False),
        ("ridge", {"alpha": 1e-4}, SCHEMA, False),
        ("ridge", {"alpha": [1.0, 2.0]}, SCHEMA, False),
        ("ridge", {"alpha": -1.0}, SCHEMA, False),
        ("ridge", {}, RIDES, False),
        ("forest", {}, SCHEMA, False),
    ],
)
def test_moments_suffice_for_a_plain_ridge_over_numeric_features(
    learner: str, parameters: dict[str, Any], schema: Schema, enough: bool
) -> None:
    assert suffice(learner, parameters, schema) is enough
