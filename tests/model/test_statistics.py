"""Statistics against numpy, fractions and collections.Counter; their merge against its laws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from model.schema import Features, Schema
from model.statistics import (
    Categorical,
    Numeric,
    Statistics,
    count_values,
    frequent,
    merge_categorical,
    summarize,
)
from tests.kit.rows import RIDES, accept, rides
from tests.kit.sums import summarize_batch, summarize_batches

Floats = npt.NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)
GREATEST = float(np.finfo(np.float64).max)

nan = st.just(float("nan"))
noise = st.floats(-1, 1)
columns = st.one_of(
    st.lists(nan | st.floats(-1e6, 1e6), max_size=40),
    st.lists(nan | noise.map(lambda v: 1e9 + v), max_size=40),
    st.lists(nan | noise.map(lambda v: 1e-9 * v - 1e-3), max_size=40),
    st.tuples(st.floats(-1e9, 1e9), st.integers(0, 40)).map(lambda c: [c[0]] * c[1]),
    st.lists(nan, max_size=5),
).map(lambda values: np.array(values, np.float64))
categories = st.lists(st.sampled_from(["a", "b", "ç", "", " a", None]), max_size=30)


NUMBER = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))


def merge(parts: Sequence[Floats]) -> Numeric:
    """The statistics of a column that comes in parts, which are batches."""
    batches = [accept(NUMBER, {"y": np.zeros(len(part)), "x": part}) for part in parts if len(part)]
    if not batches:
        return summarize(np.array([]))
    return summarize_batches(batches, NUMBER).numeric("x")


def agree(got: Numeric, want: Numeric, values: Floats) -> None:
    """Equal to 1e-9, but for what the rounding of the values themselves can do."""
    assert (got.count, got.nulls, got.min, got.max) == (want.count, want.nulls, want.min, want.max)
    if want.mean is None or want.variance is None:
        assert want.count == 0 and got.mean is None and got.variance is None
        return
    assert got.mean is not None and got.variance is not None
    size, width = np.nanmax(np.abs(values)), np.nanmax(values) - np.nanmin(values)
    rounding = 16 * EPS * size
    np.testing.assert_allclose(got.mean, want.mean, rtol=1e-9, atol=rounding)
    atol = rounding * (width + rounding)
    np.testing.assert_allclose(got.variance, want.variance, rtol=1e-9, atol=atol)


def by_numpy(values: Floats) -> Numeric:
    nulls = int(np.isnan(values).sum())
    if nulls == len(values):
        return Numeric(count=0, nulls=nulls, mean=None, variance=None, min=None, max=None)
    return Numeric(
        count=len(values) - nulls,
        nulls=nulls,
        mean=float(np.nanmean(values)),
        variance=float(np.nanvar(values)),
        min=np.nanmin(values),
        max=np.nanmax(values),
    )


@given(columns)
@settings(max_examples=150, deadline=None)
def test_a_column_has_the_figures_of_numpy(values: Floats) -> None:
    agree(summarize(values), by_numpy(values), values)


@given(columns, st.lists(st.floats(0, 1), max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_cut_into_parts_gives_the_figures_of_the_whole(
    values: Floats, cuts: list[float]
) -> None:
    parts = np.split(values, sorted(int(c * len(values)) for c in cuts))
    agree(merge(parts), by_numpy(values), values)


@given(categories, categories, categories)
@settings(max_examples=80, deadline=None)
def test_value_counts_are_those_of_a_counter_however_merged(
    a: list[str | None], b: list[str | None], c: list[str | None]
) -> None:
    x, y, z = (count_values(pa.array(v, pa.string()).dictionary_encode()) for v in (a, b, c))
    merged = merge_categorical(merge_categorical(x, y), z)
    everything = [*a, *b, *c]
    tally = Counter(v for v in everything if v is not None)
    assert merged.values == tally
    assert list(merged.values) == sorted(tally)
    assert (merged.count, merged.nulls) == (tally.total(), everything.count(None))
    assert merged == merge_categorical(z, merge_categorical(y, x))
    assert x.values == Counter(v for v in a if v is not None)


def test_values_that_a_dictionary_holds_but_no_row_has_are_not_counted() -> None:
    values = pa.DictionaryArray.from_arrays(pa.array([1, None, 1], pa.int32()), ["a", "b", "c"])
    assert count_values(values) == Categorical(count=2, nulls=1, values={"b": 2})
    assert count_values(values.slice(1, 1)) == Categorical(count=0, nulls=1, values={})


def test_small_noise_on_a_large_offset_keeps_its_variance() -> None:
    values = 1e9 + np.random.default_rng(1).normal(0, 0.1, 3_000)
    exact = [Fraction(v) for v in values.tolist()]
    mean = sum(exact) / len(exact)
    variance = float(sum((v - mean) ** 2 for v in exact) / len(exact))
    merged = merge(np.array_split(values, 7))
    assert merged.variance == pytest.approx(variance, rel=1e-6)
    by_sums = float((values**2).mean() - values.mean() ** 2)  # what Chan's formula is there for
    assert by_sums != pytest.approx(variance, rel=0.5)


def test_one_row_has_variance_0_and_no_row_has_no_figures() -> None:
    assert summarize(np.array([7.5])) == Numeric(
        count=1, nulls=0, mean=7.5, variance=0.0, min=7.5, max=7.5
    )
    nothing = Numeric(count=0, nulls=0, mean=None, variance=None, min=None, max=None)
    assert summarize(np.array([])) == nothing


@pytest.mark.parametrize("values", [[1e200, -1e200], [1.7e308] * 3, [-1.7e308, 1.7e308, 1.7e308]])
def test_figures_beyond_float64_end_at_its_greatest_and_survive_json(values: list[float]) -> None:
    with np.errstate(over="ignore"):
        alone = Statistics(columns={"x": summarize(np.array(values))})
        merged = merge([np.array(values), np.array(values[:1])])
    assert Statistics.model_validate_json(alone.model_dump_json()) == alone
    assert merged.mean is not None and min(values) <= merged.mean <= max(values)
    assert merged.variance == (GREATEST if min(values) < max(values) else 0.0)


def test_a_batch_has_the_figures_of_its_target_and_features() -> None:
    batch = rides(50)
    found = summarize_batch(batch, RIDES)
    assert list(found.columns) == ["y", "x", "z", "c"]
    for name in ("y", "x", "z"):
        values = batch.column(name).to_numpy()
        agree(found.numeric(name), by_numpy(values), values)
    assert found.categorical("c").values == Counter(batch.column("c").to_pylist())


def test_neither_threads_nor_a_place_in_memory_change_a_digit() -> None:
    for seed in range(10):
        values = np.random.default_rng(seed).normal(size=50_001)
        with threadpool_limits(1):
            alone = summarize(values[1:])
        with threadpool_limits(2):
            assert summarize(values[1:].copy()) == alone


def test_a_column_of_the_other_kind_is_not_found() -> None:
    found = summarize_batch(rides(2), RIDES)
    for ask, name in ((found.numeric, "c"), (found.categorical, "x"), (found.numeric, "absent")):
        with pytest.raises(KeyError, match=name):
            ask(name)


def test_nulls_of_an_accepted_batch_are_counted_in_every_column() -> None:
    empty = float("nan")
    batch = accept(RIDES, {"y": [1, empty], "x": [empty, empty], "z": [0, 2], "c": [None, "bus"]})
    found = summarize_batch(batch, RIDES)
    assert [found.columns[name].nulls for name in ("y", "x", "z", "c")] == [1, 2, 0, 1]
    assert [found.columns[name].count for name in ("y", "x", "z", "c")] == [1, 0, 2, 1]


@pytest.mark.parametrize(("many", "kept"), [(1_000, 1_000), (1_001, 64), (20_000, 64)])
def test_of_more_than_a_thousand_values_a_window_keeps_those_that_have_a_column(
    many: int, kept: int
) -> None:
    counts = {f"v{number:05d}": 1 + number % 7 for number in range(many)}
    column = Categorical(count=sum(counts.values()), nulls=2, values=counts)
    whole = Statistics(columns={"c": column})
    cut = whole.cut().categorical("c")
    ranked = pd.Series(counts).reset_index().sort_values([0, "index"], ascending=[False, True])
    assert set(cut.values) == set(ranked["index"][:kept])
    assert (cut.count, cut.nulls) == (column.count, 2)
    assert cut.distinct == (None if kept == many else many)
    assert frequent(cut) == frequent(column)
    assert Statistics.model_validate_json(whole.cut().model_dump_json()) == whole.cut()
    if kept == many:
        assert whole.cut().model_dump_json() == whole.model_dump_json()
        assert "distinct" not in whole.model_dump_json()
    else:
        assert len(whole.cut().model_dump_json()) < 2_000
