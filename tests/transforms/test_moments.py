"""Windows that are fitted by moments: all rows count, few travel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from model.batch import ID, SECOND
from model.manifest import Learner, Manifest
from model.schema import Features, Schema
from model.store import Store
from model.summaries import REDUCED_ROWS
from tests.kit.streams import EACH_MINUTE, MINUTE, shuffle
from transforms.normalize import Normalize
from transforms.statistics import CollectWindows, summarize
from transforms.testing import FromBatches, Gather, accepted, batches, embedded
from transforms.train import Commit, Train

SCHEMA = Schema(name="s", time="t", target="y", features=Features(numeric=("a", "b")))
RIDGE = Learner("ridge", {"alpha": 2.0}, 1)


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of one minute."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(1e4, 3.0, count), rng.normal(size=count)
    y = 2 * a - b**2 + rng.normal(size=count)
    result = zip(np.sort(rng.integers(0, 60, count)), a, b, y, strict=True)
    return [{"t": float(t), "a": p, "b": q, "y": z} for t, p, q, z in result]


def fit_rows(some: list[dict[str, Any]]) -> tuple[Any, Any, Any]:
    """scikit-learn's model of the rows, the features and the target."""
    x = np.array([[row["a"], row["b"]] for row in some])
    y = np.array([row["y"] for row in some])
    return Ridge(alpha=2.0).fit(StandardScaler().fit_transform(x), y), x, y


def train_rows(some: list[dict[str, Any]], folder: Path, batch_rows: int) -> tuple[Manifest, Any]:
    """The manifest of the window, and what its artefact predicts of each row."""
    source = accepted(batches(some, SCHEMA, MINUTE, batch_rows), SCHEMA)
    store = Store(str(folder))
    with embedded() as pipeline:
        windows = pipeline | FromBatches(shuffle(source, 1))
        windows = windows | CollectWindows(SCHEMA, EACH_MINUTE, reduce=True)
        models = windows | Normalize(SCHEMA) | Train(SCHEMA, RIDGE, store)
        seen = models | Commit(store) | Gather()
    [one] = seen
    name = one.value.reference.name
    columns = {name: [row[name] for row in some] for name in ("a", "b")}
    return store.manifest(name), store.load(name).predict_columns(columns)


@pytest.mark.parametrize("batch_rows", [500, 997, 10_000])
def test_a_ridge_is_fitted_to_all_rows_though_a_sample_travels(
    tmp_path: Path, batch_rows: int
) -> None:
    some = rows(5_000)
    manifest, prediction = train_rows(some, tmp_path, batch_rows)
    ridge, x, y = fit_rows(some)
    wanted = ridge.predict(StandardScaler().fit_transform(x))
    np.testing.assert_allclose(prediction, wanted, rtol=1e-9)
    assert manifest.rows == 5_000
    assert manifest.training.rmse == pytest.approx(root_mean_squared_error(y, wanted), rel=1e-7)
    assert manifest.training.r2 == pytest.approx(r2_score(y, wanted), rel=1e-7)
    assert manifest.training.mae == pytest.approx(mean_absolute_error(y, wanted), rel=0.1)


def test_a_window_whose_rows_all_travel_is_trained_on_them(tmp_path: Path) -> None:
    some = rows(REDUCED_ROWS)
    manifest, prediction = train_rows(some, tmp_path, 300)
    ridge, x, y = fit_rows(some)
    wanted = ridge.predict(StandardScaler().fit_transform(x))
    np.testing.assert_allclose(prediction, wanted, rtol=1e-11)
    assert manifest.training.mae == pytest.approx(mean_absolute_error(y, wanted), rel=1e-9)


def test_the_fingerprint_names_the_rows_that_do_not_travel_too(tmp_path: Path) -> None:
    some = rows(3_000)
    first, _ = train_rows(some, tmp_path / "one", 1_000)
    some[1_234]["b"] += 1e-6  # the sample may well not have it
    second, _ = train_rows(some, tmp_path / "two", 1_000)
    assert first.fingerprint != second.fingerprint


def test_so_few_rows_travel_and_the_statistics_are_over_all() -> None:
    some = rows(4_000)
    source = accepted(batches(some, SCHEMA, MINUTE, 1_500), SCHEMA)
    with embedded() as pipeline:
        windows = pipeline | FromBatches(source)
        seen = windows | CollectWindows(SCHEMA, EACH_MINUTE, reduce=True) | Gather()
    [one] = seen
    assert len(set(one.value.rows[ID].to_pylist())) == REDUCED_ROWS
    assert one.value.statistics.numeric("a").count == 4_000


def test_a_sample_keeps_nothing_of_the_batch_that_it_was_cut_from() -> None:
    [large] = accepted(batches(rows(5_000), SCHEMA, 5_000 * SECOND, 5_000), SCHEMA)
    sample = summarize(replace(large, rows=large.rows.slice(10, 50)), SCHEMA, reduce=True)
    assert sample is not None
    assert sample.rows.num_rows == 50
    assert sample.rows.get_total_buffer_size() < large.rows.get_total_buffer_size() / 20
