"""The encoder against scikit-learn's StandardScaler and OneHotEncoder on the same rows."""

from __future__ import annotations

import string
from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from model.encoder import BOUND, Encoder, codes, fit_encoder
from model.schema import Features, Schema
from model.statistics import MAX_CATEGORIES, count_values, frequent
from tests.kit.rows import RIDES, accept
from tests.kit.sums import summarize_batch, summarize_batches

Floats = npt.NDArray[np.float64]
NAN = float("nan")

halves = st.integers(-(10**6), 10**6).map(lambda v: v / 2)
texts = st.sampled_from(["a", "b", "c", None])
rows_of = st.lists(st.tuples(st.just(NAN) | halves, halves, texts), min_size=1, max_size=30)
Rows = list[tuple[float, float, str | None]]


def batch_of(rows: Rows) -> pa.RecordBatch:
    x, z, c = zip(*rows, strict=True)
    return accept(RIDES, {"y": [0.0] * len(rows), "x": x, "z": z, "c": list(c)})


def by_sklearn(train: Rows, test: Rows) -> Floats:
    """Scores with nulls at 0, then a column a known value and one for any other."""
    scaler = StandardScaler().fit([row[:2] for row in train])
    scores = np.nan_to_num(scaler.transform([row[:2] for row in test]))
    known = sorted({row[2] for row in train if row[2] is not None})
    if not known:
        return np.hstack([scores, np.ones((len(test), 1))])
    onehot = OneHotEncoder(categories=[known], handle_unknown="ignore", sparse_output=False)
    fitted = onehot.fit([[value] for value in known])
    places = fitted.transform([[row[2] or "no such value"] for row in test])
    return np.hstack([scores, places, 1 - places.sum(axis=1, keepdims=True)])


@given(rows_of, rows_of)
@settings(max_examples=80, deadline=None)
def test_a_matrix_is_that_of_standard_scaler_and_one_hot_encoder(train: Rows, test: Rows) -> None:
    if all(np.isnan(row[0]) for row in train):  # scikit-learn has no answer: NaN everywhere
        train = [(1.0, *train[0][1:]), *train[1:]]
    encoder = fit_encoder(summarize_batch(batch_of(train), RIDES), RIDES)
    for rows in (train, test):
        matrix = encoder.transform(batch_of(rows))
        np.testing.assert_allclose(matrix, by_sklearn(train, rows), rtol=1e-9, atol=1e-9)
        assert matrix.shape == (len(rows), len(encoder.names))
        assert matrix.dtype == np.float64 and matrix.flags.c_contiguous


@given(st.floats(-1e6, 1e6), st.integers(1, 300), st.floats(-1e6, 1e6))
@settings(max_examples=60, deadline=None)
def test_a_constant_feature_scales_by_1_as_with_standard_scaler(
    constant: float, rows: int, other: float
) -> None:
    train, test = batch_of([(constant, 0.0, "a")] * rows), batch_of([(other, 0.0, "a")])
    parts = [train.slice(0, rows // 2), train.slice(rows // 2)]
    encoder = fit_encoder(
        summarize_batches([part for part in parts if part.num_rows], RIDES), RIDES
    )
    assert encoder.scales.tolist() == [1.0, 1.0]
    scaler = StandardScaler().fit(np.full((rows, 1), constant))
    assert scaler.scale_.tolist() == [1.0]
    want = scaler.transform([[other]])[0, 0]
    assert encoder.standardize(test, "x")[0] == pytest.approx(want, rel=1e-9, abs=1e-9)


def test_noise_on_a_large_offset_is_standardised_as_with_standard_scaler() -> None:
    values = 1e9 + np.random.default_rng(0).normal(size=1_000)
    batch = batch_of([(v, 0.0, None) for v in values.tolist()])
    encoder = fit_encoder(summarize_batch(batch, RIDES), RIDES)
    want = StandardScaler().fit_transform(values[:, None])[:, 0]
    np.testing.assert_allclose(encoder.standardize(batch, "x"), want, rtol=1e-6, atol=1e-6)


def test_a_column_that_was_all_null_in_training_has_mean_0_and_scale_1() -> None:
    encoder = fit_encoder(summarize_batch(batch_of([(NAN, 1.0, None)] * 3), RIDES), RIDES)
    assert encoder.standardize(batch_of([(NAN, 0.0, "a"), (5.5, 0.0, "a")]), "x").tolist() == [
        0.0,
        5.5,
    ]
    assert encoder.names == ["x", "z", "c=other"]


def test_a_value_not_seen_in_training_and_a_null_are_other() -> None:
    train = batch_of([(0.0, 0.0, "b"), (0.0, 0.0, "a")])
    encoder = fit_encoder(summarize_batch(train, RIDES), RIDES)
    assert encoder.names == ["x", "z", "c=a", "c=b", "c=other"]
    matrix = encoder.transform(batch_of([(0.0, 0.0, c) for c in ("zebra", None, "b", "a")]))
    assert matrix[:, 2:].tolist() == [[0, 0, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0]]


def test_of_more_than_64_values_the_most_frequent_have_a_column() -> None:
    names = [a + b for a in "abcd" for b in string.ascii_lowercase[:20]]
    np.random.default_rng(0).shuffle(names)
    values = [name for i, name in enumerate(names) for _ in range(i + 1)]
    batch = batch_of([(0.0, 0.0, v) for v in values])
    encoder = fit_encoder(summarize_batch(batch, RIDES), RIDES)
    assert len(encoder.categories["c"]) == MAX_CATEGORIES == 64
    onehot = OneHotEncoder(
        max_categories=65, handle_unknown="infrequent_if_exist", sparse_output=False
    ).fit([[v] for v in values])
    rows = [*names, "never seen"]
    got = encoder.transform(batch_of([(0.0, 0.0, v) for v in rows]))[:, 2:]
    np.testing.assert_array_equal(got, onehot.transform([[v] for v in rows]))


@given(st.lists(st.integers(0, 99).map(lambda i: f"v{i:02d}"), max_size=300))
@settings(max_examples=40, deadline=None)
def test_ties_among_frequent_values_are_ordered_by_name(values: list[str]) -> None:
    by_name = sorted(Counter(values).items())
    first = [value for value, _ in sorted(by_name, key=lambda item: -item[1])][:64]
    assert frequent(count_values(pa.array(values, pa.string()))) == tuple(sorted(first))


@given(st.lists(texts, max_size=20), st.sets(st.sampled_from(["a", "b", "zz"])))
@settings(max_examples=40, deadline=None)
def test_codes_are_the_same_for_plain_and_dictionary_columns_and_slices(
    values: list[str | None], known_set: set[str]
) -> None:
    known = tuple(sorted(known_set))
    want = [known.index(v) if v in known else len(known) for v in values]
    plain = pa.array(values, pa.string())
    assert codes(plain, known).tolist() == want
    assert codes(plain.dictionary_encode(), known).tolist() == want
    assert codes(plain.dictionary_encode().slice(1), known).tolist() == want[1:]


def test_several_categorical_features_stand_side_by_side() -> None:
    schema = Schema(name="n", time="t", target="y", features=Features(categorical=("c", "d")))
    batch = accept(schema, {"y": [0.0] * 3, "c": ["q", "p", None], "d": ["p", "p", "r"]})
    encoder = fit_encoder(summarize_batch(batch, schema), schema)
    assert encoder.names == ["c=p", "c=q", "c=other", "d=p", "d=r", "d=other"]
    assert encoder.transform(batch).tolist() == [
        [0, 1, 0, 1, 0, 0],
        [1, 0, 0, 1, 0, 0],
        [0, 0, 1, 0, 1, 0],
    ]


def test_no_row_gives_a_matrix_without_rows() -> None:
    encoder = fit_encoder(summarize_batch(batch_of([(1.0, 2.0, "a")]), RIDES), RIDES)
    assert encoder.transform(batch_of([(1.0, 2.0, "a")]).slice(1)).shape == (0, 4)


def test_scores_beyond_what_trees_compare_in_are_cut_off_and_stay_finite_in_float32() -> None:
    encoder = Encoder(("x",), np.array([-1e308]), np.array([1e-300]), {})
    with np.errstate(over="ignore"):
        scores = encoder.standardize(pa.record_batch({"x": [1e308, -1.5e308, -1e308]}), "x")
        plain = Encoder(("x",), np.zeros(1), np.ones(1), {})
        large = plain.standardize(pa.record_batch({"x": [1e39, -1e300, 1e29]}), "x")
    assert scores.tolist() == [BOUND, -BOUND, 0.0]
    assert large.tolist() == [BOUND, -BOUND, 1e29]
    assert np.isfinite(scores.astype(np.float32)).all()


def test_a_batch_without_a_feature_or_a_feature_that_is_none_is_refused() -> None:
    encoder = Encoder(("x",), np.zeros(1), np.ones(1), {"c": ("a",)})
    with pytest.raises(KeyError):
        encoder.transform(pa.record_batch({"c": ["a"]}))
    with pytest.raises(KeyError):
        encoder.transform(pa.record_batch({"x": [1.0]}))
    with pytest.raises(ValueError):
        encoder.standardize(pa.record_batch({"z": [1.0]}), "z")


def test_the_names_of_the_matrix_are_distinct_whatever_columns_and_values_are_called() -> None:
    values = {"c": ("a", "a=b", "other", "other (2)"), "c=a": ("b", "other")}
    encoder = Encoder(("c=a", "x", "c=a=b"), np.zeros(3), np.ones(3), values)
    assert encoder.names == [
        *("c=a", "x", "c=a=b"),
        *("c=a (2)", "c=a=b (2)", "c=other", "c=other (2)", "c=other (3)"),
        *("c=a=b (3)", "c=a=other", "c=a=other (2)"),
    ]
    plain = Encoder(("x",), np.zeros(1), np.ones(1), {"c": ("a", "b")})
    assert plain.names == ["x", "c=a", "c=b", "c=other"]


@given(
    st.lists(st.sampled_from(["c", "c=a", "c=other", "x"]), unique=True),
    st.sets(st.sampled_from(["a", "other", "other (2)", "a (2)", "="])),
)
def test_no_two_columns_of_a_matrix_have_the_same_name(names: list[str], values: set[str]) -> None:
    encoder = Encoder(
        ("y", "y=a"), np.zeros(2), np.ones(2), {n: tuple(sorted(values)) for n in names}
    )
    assert len(set(encoder.names)) == len(encoder.names) == 2 + len(names) * (len(values) + 1)
