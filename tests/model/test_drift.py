"""Drift against numpy.histogram and scipy.stats on the same rows, for any cut into batches."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from model.artefact import Artefact, load_bytes
from model.batch import column
from model.drift import (
    BINS,
    PROFILED,
    Histogram,
    Profile,
    count_scores,
    make_histogram,
    make_profile,
    measure_drift,
    measure_shift,
    stability_index,
)
from model.encoder import Encoder
from model.metrics import Sums, merge, sum_batch
from tests.kit.rows import RIDES, RIDGE, accept, rides, train_model

EDGES = np.arange(-4.25, 4.5, 0.5)
KINDS = ["bus", "car", "tram"]


def histogram(scores: Any) -> list[int]:
    """Rows in bins of half a standard deviation with centres from -4 to 4, the outer ones open."""
    return np.histogram(np.clip(scores, -4, 4), EDGES)[0].tolist()


def standard(values: npt.NDArray[np.float64], by: npt.NDArray[np.float64]) -> Any:
    """Standard scores by the mean and deviation of other values; 0 for NaN."""
    return np.nan_to_num((values - np.nanmean(by)) / np.nanstd(by))


def kinds(batch: pa.RecordBatch) -> list[int]:
    """Rows of each kind of ride, and of all others."""
    found = batch.column("c").to_pylist()
    counts = [found.count(kind) for kind in KINDS]
    return [*counts, len(found) - sum(counts)]


def psi(now: list[int], then: list[int]) -> float:
    p = [(count + 0.5) / (sum(now) + len(now) / 2) for count in now]
    q = [(count + 0.5) / (sum(then) + len(then) / 2) for count in then]
    return math.fsum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.fixture(scope="module")
def model() -> Artefact:
    return load_bytes(train_model(RIDGE, rides(400))[0])


def profile_of(model: Artefact) -> Profile:
    assert model.profile is not None
    return model.profile


def sum_batches(model: Artefact, batches: list[pa.RecordBatch]) -> Sums:
    """The sums of scored batches, merged."""
    body = profile_of(model).model_dump_json()
    scored = [(column(batch, "y"), model.score(batch)) for batch in batches]
    return merge(sum_batch(y, 0, p, 0.0, "m", found, body) for y, (p, found, _) in scored)


def test_the_profile_of_a_model_is_the_histogram_of_its_training_rows(model: Artefact) -> None:
    batch, result = rides(400), profile_of(model)
    prediction = model.predict(batch)
    for name in ("x", "z"):
        values = column(batch, name)
        assert list(result.features[name]) == histogram(standard(values, values))
    assert list(result.features["c"]) == kinds(batch)
    assert list(result.prediction) == histogram(standard(prediction, prediction))
    assert list(result.features) == ["x", "z", "c"]
    assert train_model(RIDGE, batch)[1].profile == result


def test_of_many_rows_that_come_by_turns_a_profile_is_of_a_fair_part() -> None:
    rows = 4 * PROFILED + 3
    turns = (np.arange(rows) % 2).astype(np.float64)
    encoder = Encoder((), np.zeros(0), np.zeros(0), {"c": ("odd",)})
    matrix = np.stack([turns, 1 - turns], axis=1)
    found = make_profile(matrix, turns, encoder)
    odd, even = found.features["c"]
    assert odd + even == sum(found.prediction) == PROFILED
    assert odd / PROFILED == pytest.approx(0.5, abs=0.01)
    assert found == make_profile(matrix, turns, encoder)
    few = make_profile(matrix[: 2 * PROFILED - 1], turns[: 2 * PROFILED - 1], encoder)
    assert sum(few.prediction) == 2 * PROFILED - 1


columns = st.fixed_dictionaries(
    {
        "x": st.just(math.nan) | st.floats(-1e9, 1e9) | st.floats(0, 20),
        "z": st.just(math.nan) | st.floats(-5, 5),
        "c": st.none() | st.sampled_from([*KINDS, "zeppelin"]),
        "y": st.just(math.nan) | st.floats(-100, 100),
    }
)


@given(st.lists(columns, min_size=1, max_size=40), st.lists(st.floats(0, 1), max_size=4))
@settings(max_examples=100, deadline=None)
def test_drift_is_that_of_numpys_histograms_for_any_cut_into_batches(
    model: Artefact, rows: list[dict[str, Any]], cuts: list[float]
) -> None:
    batch, then = accept(RIDES, {n: [row[n] for row in rows] for n in rows[0]}), rides(400)
    places = [0, *sorted(int(cut * len(rows)) for cut in cuts), len(rows)]
    pieces = [batch.slice(a, b - a) for a, b in pairwise(places)]
    found = sum_batches(model, pieces)
    whole = measure_drift(Histogram(found.bins, found.sums), profile_of(model))
    past = profile_of(model)
    predicted, was = model.predict(batch), model.predict(then)
    numbers = {name: (column(batch, name), column(then, name)) for name in ("x", "z")}
    for name, (now, before) in {**numbers, "prediction": (predicted, was)}.items():
        result = whole.prediction if name == "prediction" else whole.features[name]
        counts = past.prediction if name == "prediction" else past.features[name]
        scores = standard(now, before)
        assert result.psi == pytest.approx(psi(histogram(scores), list(counts)), abs=1e-12)
        assert result.mean_shift == pytest.approx(scores.mean(), rel=1e-9, abs=1e-9)
    assert whole.features["c"].psi == pytest.approx(psi(kinds(batch), kinds(then)), abs=1e-12)
    assert whole.features["c"].mean_shift is None


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_counts_add_up_exactly_however_rows_are_cut(model: Artefact, sizes: list[int]) -> None:
    batch = rides(sum(sizes), seed=7)
    starts = np.cumsum([0, *sizes])
    pieces = [batch.slice(a, n) for a, n in zip(starts.tolist(), sizes, strict=False)]
    cut, whole = sum_batches(model, pieces), sum_batches(model, [batch])
    assert cut.bins == whole.bins and sum(cut.bins[:BINS]) == len(batch)
    assert [*map(float, cut.sums)] == pytest.approx([*map(float, whole.sums)], rel=1e-9, abs=1e-9)
    assert cut.profile == whole.profile


def test_unlabelled_and_late_rows_count_in_drift_too(model: Artefact) -> None:
    batch = rides(50, seed=3)
    bare = batch.set_column(batch.schema.get_field_index("y"), "y", pa.array([math.nan] * 50))
    assert sum_batches(model, [bare]).bins == sum_batches(model, [batch]).bins


def test_a_score_is_what_is_predicted_with_how_the_rows_lie(model: Artefact) -> None:
    prediction, found, _ = model.score(rides(50))
    assert prediction.tobytes() == model.predict(rides(50)).tobytes()
    assert found is not None and [len(found.bins), len(found.sums)] == [3 * BINS + 4, 2 * 3 + 3]
    assert model.score(rides(0)).prediction.shape == (0,)
    assert model.score(rides(0)).histogram is None


def test_columns_have_the_mean_deviation_nulls_and_new_values_of_their_rows(
    model: Artefact,
) -> None:
    batch = rides(90, seed=5)
    x = np.where(np.arange(90) % 3 == 0, math.nan, column(batch, "x"))
    kind = [None, "zeppelin", "bus"] * 30
    places = {name: batch.schema.get_field_index(name) for name in "xc"}
    batch = batch.set_column(places["x"], "x", pa.array(x))
    batch = batch.set_column(places["c"], "c", pa.array(kind).cast(batch.schema.field("c").type))
    found = sum_batches(model, [batch.slice(0, 31), batch.slice(31)])
    units = profile_of(model).with_units(model.encoder)
    result = measure_drift(Histogram(found.bins, found.sums), units)
    assert result.features["x"].mean == pytest.approx(np.nanmean(x), rel=1e-12)
    assert result.features["x"].deviation == pytest.approx(np.nanstd(x), rel=1e-9)
    assert result.features["x"].nulls == result.features["c"].nulls == pytest.approx(1 / 3)
    assert result.features["c"].new == pytest.approx(1 / 3)
    assert result.features["c"].mean is None and result.features["x"].new is None
    made = model.predict(batch)
    assert result.prediction.mean == pytest.approx(made.mean(), rel=1e-12)
    assert result.prediction.deviation == pytest.approx(made.std(), rel=1e-9)


def test_an_artefact_from_before_there_were_profiles_scores_without_drift() -> None:
    model = load_bytes(train_model(RIDGE, rides(400))[0])
    build, parts = model.__reduce__()
    old = build(*parts[:4])
    assert old.profile is None
    prediction, found, _ = old.score(rides(9))
    assert found is None and prediction.tobytes() == model.predict(rides(9)).tobytes()


def test_the_same_rows_have_no_drift(model: Artefact) -> None:
    found = sum_batches(model, [rides(400)])
    result = measure_drift(Histogram(found.bins, found.sums), profile_of(model))
    for one in (*result.features.values(), result.prediction):
        assert one.psi == 0.0
        assert one.mean_shift is None or abs(one.mean_shift) < 1e-12


def test_rows_that_moved_by_two_deviations_report_it(model: Artefact) -> None:
    batch = rides(400, seed=1)
    moved = pa.array(column(batch, "x") + 4)
    found = sum_batches(model, [batch.set_column(batch.schema.get_field_index("x"), "x", moved)])
    result = measure_drift(Histogram(found.bins, found.sums), profile_of(model))
    assert result.features["x"].mean_shift == pytest.approx(2, abs=0.2)
    assert result.features["x"].psi > 2 and result.prediction.psi > 1
    assert max(result.features["z"].psi, result.features["c"].psi) < 0.1


def test_what_is_no_number_or_beyond_all_bounds_lies_in_an_outer_bin() -> None:
    scores = np.array([math.nan, -math.inf, -1e300, math.inf, 1e300, -4.3, 4.3, 0.0])
    assert count_scores(scores).tolist() == [4, *[0] * 7, 1, *[0] * 7, 3]


def test_a_null_and_a_constant_lie_inside_a_bin_whatever_rounding_does() -> None:
    assert count_scores(np.array([-1e-9, 0.0, 1e-9, -0.24, 0.24]))[BINS // 2] == 5


def test_a_mean_that_is_no_number_is_null() -> None:
    found = make_histogram(np.zeros((0, 2)), np.zeros((2, 0)), np.array([math.inf, 0.0]))
    assert measure_shift(found.bins, [1] * BINS, found.sums[0]).mean_shift is None


def test_predictions_that_are_all_the_same_are_reported_by_their_distance() -> None:
    target = np.full(40, 0.1)
    plain = {"x": np.zeros(40), "z": np.zeros(40), "c": ["bus"] * 40}
    model = load_bytes(train_model(RIDGE, accept(RIDES, {"y": target, **plain}))[0])
    assert profile_of(model).scale == 1.0
    assert profile_of(model).prediction == (*[0] * 8, 40, *[0] * 8)
    assert profile_of(model).features["x"] == (*[0] * 8, 40, *[0] * 8)


@pytest.mark.parametrize("bins", [2, 5, BINS])
def test_by_chance_is_what_scipys_distributions_show(bins: int) -> None:
    result = measure_shift([10] * bins, [30] * bins, 0.0)
    thinness = 1 / (10 * bins) + 1 / (30 * bins)
    assert result.psi_by_chance == pytest.approx(chi2.isf(1e-6, bins - 1) * thinness, rel=1e-9)
    expected = norm.isf(0.5e-6) * math.sqrt(thinness)
    assert result.mean_shift_by_chance == pytest.approx(expected, rel=1e-9)


def test_a_category_without_any_value_has_no_drift() -> None:
    result = measure_shift([7], [30], None)
    assert (result.psi, result.psi_by_chance, result.mean_shift_by_chance) == (0.0, 0.0, None)


@pytest.mark.parametrize("rows", [20, 100, 1000])
def test_rows_of_the_same_kind_are_hardly_ever_beyond_chance(rows: int) -> None:
    rng = np.random.default_rng(rows)
    for _ in range(500):
        scores, before = rng.normal(size=(2, rows))
        result = measure_shift(
            count_scores(scores).tolist(), count_scores(before).tolist(), float(scores.sum())
        )
        assert result.psi < result.psi_by_chance
        assert result.mean_shift is not None and result.mean_shift_by_chance is not None
        assert abs(result.mean_shift) < result.mean_shift_by_chance


@given(st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999)), min_size=1, max_size=30))
def test_stability_is_never_below_0_and_the_same_either_way(pairs: list[tuple[int, int]]) -> None:
    now, then = map(list, zip(*pairs, strict=True))
    found = stability_index(now, then)
    assert found >= 0.0
    assert found == pytest.approx(stability_index(then, now), rel=1e-9, abs=1e-12)
    assert found == pytest.approx(psi(now, then), rel=1e-9, abs=1e-12)
