"""The artefact: what is trained, reported and written, against scikit-learn."""

from __future__ import annotations

import json
import math
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from model.artefact import load_bytes
from model.batch import column, concat, filter_rows
from model.manifest import Fit, Learner, Manifest, to_printable
from model.statistics import Numeric
from model.training import evaluate, fingerprint, normalize, train, training_fingerprint
from tests.kit.rows import (
    LEARNERS,
    RIDES,
    RIDGE,
    SMALL_FOREST,
    WINDOW,
    accept,
    normalize_rows,
    rides,
    train_model,
)
from tests.kit.sums import summarize_batch


def close(got: Fit, target: Any, prediction: Any) -> None:
    result = got.mae, got.rmse, got.r2
    want = (
        mean_absolute_error(target, prediction),
        root_mean_squared_error(target, prediction),
        r2_score(target, prediction),
    )
    assert result == pytest.approx(want, rel=1e-12)


def test_raw_rows_go_in_and_the_predictions_of_a_scikit_learn_pipeline_come_out() -> None:
    past, future = rides(400), rides(50, seed=1)
    model = load_bytes(train_model(RIDGE, rides(400))[0])

    def matrix(batch: Any) -> Any:
        numbers = np.stack([column(batch, n) for n in ("x", "z")], axis=1)
        words = np.array(batch.column("c").to_pylist())[:, None]
        return np.hstack([scaler.transform(numbers), onehot.transform(words)])

    scaler = StandardScaler().fit(np.stack([column(past, n) for n in ("x", "z")], axis=1))
    onehot = OneHotEncoder(sparse_output=False).fit(np.array(past.column("c").to_pylist())[:, None])
    ridge = Ridge(alpha=0.5).fit(matrix(past), column(past, "y"))
    np.testing.assert_allclose(model.predict(future), ridge.predict(matrix(future)), rtol=1e-9)
    assert model.baseline == pytest.approx(column(past, "y").mean(), rel=1e-12)


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_training_report_is_that_of_sklearn_metrics_on_the_same_rows(learner: Learner) -> None:
    model, manifest = train_model(learner, rides(400))
    close(manifest.training, column(rides(400), "y"), load_bytes(model).predict(rides(400)))


def test_no_row_has_no_prediction() -> None:
    assert load_bytes(train_model(RIDGE, rides(400))[0]).predict(rides(0)).shape == (0,)


def test_columns_by_name_are_predicted_as_the_same_rows_of_a_batch() -> None:
    nan = math.nan
    model = load_bytes(train_model(SMALL_FOREST, rides(400))[0])
    rows = {"x": [9.0, nan, 11.0], "z": [0.0, 1.0, nan], "c": ["bus", None, "zeppelin"]}
    want = model.predict(accept(RIDES, {"y": [0.0] * 3, **rows}))
    asked = {"x": [9, None, 11.0], "z": np.array(rows["z"]), "c": pd.Series(rows["c"]), "extra": 1}
    assert model.predict_columns(asked).tobytes() == want.tobytes()
    missing = {"x": pd.Series([9, pd.NA, 11], dtype="Int64"), "z": [0.0, 1.0, pd.NA]}
    asked |= missing | {"c": ["bus", pd.NA, "zeppelin"]}
    assert model.predict_columns(asked).tobytes() == want.tobytes()
    with pytest.raises(KeyError, match="z"):
        model.predict_columns({"x": [1.0], "c": ["bus"]})
    for wrong in ({"x": ["much"]}, {"x": [1.0, 2.0]}):
        with pytest.raises(ValueError):
            model.predict_columns({"z": [0.0], "c": ["bus"], **wrong})


def test_figures_of_any_predictions_are_those_of_sklearn_metrics() -> None:
    rng = np.random.default_rng(0)
    target, prediction = rng.normal(size=(2, 77))
    close(evaluate(target, prediction), target, prediction)


@pytest.mark.parametrize("target", [[2.0, 2.0], [0.1] * 3, [5.0], [0.0, 1e-200]])
def test_r2_is_null_where_the_target_is_constant(target: list[float]) -> None:
    values = np.array(target)
    got = evaluate(values, values + 1)
    assert [got.mae, got.rmse] == pytest.approx([1, 1])
    assert got.r2 is None


def test_figures_of_no_row_are_null() -> None:
    assert evaluate(np.array([]), np.array([])) == Fit(mae=None, rmse=None, r2=None)


def test_figures_do_not_depend_on_the_threads_of_linear_algebra() -> None:
    for seed in range(10):
        target, prediction = np.random.default_rng(seed).normal(size=(2, 50_000))
        with threadpool_limits(1):
            alone = evaluate(target, prediction)
        with threadpool_limits(2):
            assert evaluate(target, prediction) == alone


def test_rows_are_trained_on_in_the_order_of_time_and_id_whatever_order_they_came_in() -> None:
    batch = rides(400)
    order = np.random.default_rng(0).permutation(400)
    pieces = [batch.take(order[low : low + 90]) for low in range(0, 400, 90)]
    statistics = summarize_batch(batch, RIDES)
    mixed = normalize(concat(pieces), statistics, RIDES, WINDOW)
    sorted_ = normalize(batch, statistics, RIDES, WINDOW)
    assert mixed.matrix.tobytes() == sorted_.matrix.tobytes()
    assert train(mixed, RIDES, SMALL_FOREST) == train(sorted_, RIDES, SMALL_FOREST)


def test_a_sample_is_trained_on_with_the_statistics_of_all_rows() -> None:
    batch = rides(400)
    statistics = summarize_batch(batch, RIDES)
    part = normalize(filter_rows(batch, np.arange(400) % 4 == 0), statistics, RIDES, WINDOW)
    assert (part.rows, part.matrix.shape, part.target.shape) == (400, (100, 6), (100,))
    scaled = (column(batch, "x")[::4] - column(batch, "x").mean()) / column(batch, "x").std()
    np.testing.assert_allclose(part.matrix[:, 0], scaled, rtol=1e-9, atol=1e-12)


def test_a_fingerprint_names_the_data_and_what_is_fitted_to_it() -> None:
    batch = rides(20)
    statistics = summarize_batch(batch, RIDES)
    base = fingerprint(batch, statistics, RIDES)
    assert fingerprint(concat([batch.slice(0, 7), batch.slice(7)]), statistics, RIDES) == base
    other = RIDES.model_copy(update={"name": "other"})
    assert fingerprint(batch, statistics, other) != base
    assert fingerprint(batch, summarize_batch(rides(21), RIDES), RIDES) != base
    plain = {n: batch.column(n).to_pylist() for n in ("y", "x", "z", "c")}
    assert fingerprint(accept(RIDES, plain), statistics, RIDES) == base
    for name in plain:
        changed = [*plain[name][:-1], "boat" if name == "c" else plain[name][-1] + 1e-9]
        assert fingerprint(accept(RIDES, plain | {name: changed}), statistics, RIDES) != base
    for moved in ({"ids": range(1, 21)}, {"times": range(20)}):
        assert fingerprint(accept(RIDES, plain, **moved), statistics, RIDES) != base


def test_another_learner_parameter_or_seed_has_another_fingerprint() -> None:
    data = normalize_rows(rides(400))
    learners = [RIDGE, Learner("ridge", {"alpha": 1.0}, 1), Learner("ridge", {"alpha": 0.5}, 2)]
    learners.append(Learner("forest", {"alpha": 0.5}, 1))
    assert len({training_fingerprint(data, learner) for learner in learners}) == 4
    one, two = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert training_fingerprint(data, Learner("x", one, 1)) == training_fingerprint(
        data, Learner("x", two, 1)
    )


def test_a_forest_is_committed_with_one_job() -> None:
    estimator = load_bytes(train_model(SMALL_FOREST, rides(400))[0]).estimator
    assert isinstance(estimator, RandomForestRegressor)
    assert estimator.n_jobs == 1


def test_the_manifest_has_the_fields_of_the_contract() -> None:
    data, manifest = train_model(SMALL_FOREST, rides(400))
    body = json.loads(manifest.as_json(), parse_constant=pytest.fail)
    contract = {
        *("format", "window_start", "window_end", "rows", "learner", "parameters", "features"),
        *("statistics", "training", "profile", "fingerprint", "versions", "sha256", "bytes"),
    }
    assert body.keys() >= contract
    assert body["format"] == 1
    assert (body["window_start"], body["window_end"]) == (
        "2026-11-23T12:00:00Z",
        "2026-11-23T12:06:40Z",
    )
    assert WINDOW.name == "20261123T120640Z"
    assert (body["sha256"], body["bytes"]) == (sha256(data).hexdigest(), len(data))
    assert body["features"] == ["x", "z", "c=bus", "c=car", "c=tram", "c=other"]
    assert (body["learner"], body["parameters"]["n_estimators"]) == ("forest", 5)
    assert (body["rows"], body["training"].keys()) == (400, {"mae", "rmse", "r2"})
    assert body["versions"].keys() >= {"python", "scikit-learn", "numpy", "apache-beam"}
    numeric, categorical = body["statistics"]["x"], body["statistics"]["c"]
    assert numeric.keys() == {"count", "nulls", "mean", "variance", "min", "max"}
    assert categorical.keys() == {"count", "nulls", "values"}
    assert Manifest.model_validate_json(manifest.as_json()) == manifest


def test_a_manifest_has_null_where_a_figure_is_no_number() -> None:
    nothing = Numeric(count=0, nulls=3, mean=None, variance=None, min=None, max=None)
    parameters = to_printable({"missing": math.nan, "most": math.inf, "loss": math.sqrt, "n": None})
    manifest = train_model(RIDGE, rides(400))[1].model_copy(
        update={
            "parameters": parameters,
            "statistics": {"x": nothing},
            "training": Fit(mae=math.nan, rmse=math.inf, r2=None),
        }
    )
    body = json.loads(manifest.as_json(), parse_constant=pytest.fail)
    assert body["parameters"] == {
        "loss": "<built-in function sqrt>",
        "missing": None,
        "most": None,
        "n": None,
    }
    assert body["training"] == {"mae": None, "rmse": None, "r2": None}
    assert body["statistics"]["x"]["mean"] is None
