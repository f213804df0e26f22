from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.asof import Cadence
from model.batch import ID, SECOND
from model.ending import StreamEnd
from model.statistics import Statistics
from tests.kit.streams import (
    EACH_MINUTE,
    MINUTE,
    SCHEMA,
    labelled,
    row,
    shuffle,
    stream,
    times_of,
    values,
)
from transforms import statistics
from transforms.coders import SummaryCoder, TaggedCoder, WindowDataCoder
from transforms.elements import AcceptedBatch, Summary, WindowData
from transforms.statistics import (
    CollectWindows,
    CombineSummaries,
    SummarizeFn,
    add_window_key,
    summarize,
)
from transforms.testing import (
    FromBatches,
    Gather,
    accepted,
    assert_per_window,
    batches,
    embedded,
    replay,
    streamed,
)
from transforms.windows import training_windows

SIZES = [1, 7, 1000]
SUMMARIES, WINDOWS = SummaryCoder(), WindowDataCoder()
TWO_MINUTES = replace(EACH_MINUTE, window=2 * MINUTE)


def make_batches(
    rows: list[Any], batch_rows: int = 1000, disorder: int | None = None
) -> list[AcceptedBatch]:
    return accepted(batches(rows, SCHEMA, MINUTE, batch_rows, disorder), SCHEMA)


def collect(
    source: list[AcceptedBatch], cadence: Cadence = EACH_MINUTE, **options: Any
) -> dict[Any, Any]:
    """What ``CollectWindows`` gives, by the windows' bounds in seconds."""
    with embedded() as pipeline:
        seen = (
            pipeline | FromBatches(source) | CollectWindows(SCHEMA, cadence, **options) | Gather()
        )
    found = {tuple(edge // SECOND for edge in one.value.window): one for one in seen}
    assert len(found) == len(seen)
    return found


def windows_of(rows: list[Any], length: int, every: int) -> dict[tuple[int, int], list[int]]:
    """The ids of the rows to train on, of each window (seconds) that has any."""
    last = int(max(r["t"] for r in rows))
    ends = range(every * (int(min(r["t"] for r in rows)) // every + 1), last + length + 1, every)
    found = {(end - length, end): labelled(rows, end - length, end) for end in ends}
    return {window: ids for window, ids in found.items() if ids}


def check(statistics: Statistics, rows: list[Any], ids: list[int]) -> None:
    """Fails unless statistics are those that numpy and a Counter give."""
    for name in ("y", "x", "z"):
        wanted, found = values(rows, ids, name), statistics.numeric(name)
        here = wanted[~np.isnan(wanted)]
        assert (found.count, found.nulls) == (len(here), len(wanted) - len(here))
        if len(here):
            assert found.mean == pytest.approx(here.mean(), rel=1e-9)
            assert found.variance == pytest.approx(
                here.var(), rel=1e-9, abs=1e-15 * here.mean() ** 2
            )
            assert (found.min, found.max) == (here.min(), here.max())
    counted = Counter(rows[i]["c"] for i in ids)
    nulls = counted.pop(None, 0)
    categorical = statistics.categorical("c")
    assert (categorical.count, categorical.nulls) == (len(ids) - nulls, nulls)
    assert categorical.values == counted


@pytest.mark.parametrize("batch_rows", SIZES)
@pytest.mark.parametrize(("length", "every"), [(60, 60), (180, 60), (120, 120)])
def test_each_window_has_its_rows_and_the_statistics_that_numpy_gives(
    batch_rows: int, length: int, every: int
) -> None:
    rows = stream(150, 500, shuffled=True)
    source = shuffle(make_batches(rows, batch_rows), seed=batch_rows)
    found = collect(
        source, Cadence(window=length * SECOND, every=every * SECOND, latency=every * SECOND)
    )
    wanted = windows_of(rows, length, every)
    assert set(found) == set(wanted)
    for window, ids in wanted.items():
        data = found[window].value
        assert sorted(data.rows[ID].to_pylist()) == sorted(ids)
        check(data.statistics, rows, ids)


def test_the_order_in_which_batches_arrive_changes_no_byte() -> None:
    source = make_batches(stream(150, 500, shuffled=True), 7)
    first, *others = [collect(shuffle(source, seed), TWO_MINUTES) for seed in range(3)]
    for other in others:
        assert {w: WINDOWS.encode(one.value) for w, one in other.items()} == {
            w: WINDOWS.encode(one.value) for w, one in first.items()
        }


def combine(source: list[Summary], fn: CombineSummaries, seed: int) -> WindowData:
    """Combines batches by a random tree of merges, cut down and through the coder now and then."""
    rng = random.Random(seed)
    parts = [fn.create_accumulator()]
    for batch in shuffle(source, seed):
        if rng.random() < 0.5:
            parts.append(fn.create_accumulator())
        at = rng.randrange(len(parts))
        parts[at] = fn.add_input(parts[at], batch)
    coder = fn.get_accumulator_coder()
    while len(parts) > 1:
        some = [parts.pop(rng.randrange(len(parts))) for _ in range(rng.randint(1, len(parts)))]
        some = [
            list(coder.decode(coder.encode(part))) if rng.random() < 0.5 else part for part in some
        ]
        some = [fn.compact(part) if rng.random() < 0.5 else part for part in some]
        parts.append(fn.merge_accumulators(some))
    return fn.extract_output(parts[0])


some_rows = st.lists(
    st.builds(
        row,
        st.integers(0, 59),
        st.none() | st.floats(-1e6, 1e6),
        st.none() | st.floats(-1e6, 1e6),
        st.sampled_from([None, "a", "b"]),
    ),
    min_size=1,
    max_size=40,
).filter(lambda rows: any(r["y"] is not None for r in rows))


def inputs(rows: list[Any], batch_rows: int) -> list[Summary]:
    summed = [summarize(batch, SCHEMA) for batch in make_batches(rows, batch_rows)]
    return [batch for batch in summed if batch is not None]


@given(some_rows, st.integers(1, 50), st.integers(0, 10**6))
@settings(deadline=None, max_examples=60)
def test_any_cut_agrees_with_numpy_and_any_order_of_it_to_the_last_digit(
    rows: list[Any], batch_rows: int, seed: int
) -> None:
    source = inputs(rows, batch_rows)
    data = combine(source, CombineSummaries(SCHEMA), seed)
    ids = labelled(rows, 0, 60)
    assert data.rows[ID].to_pylist() == sorted(ids)
    for name in ("y", "x", "z"):
        wanted, found = values(rows, ids, name), data.statistics.numeric(name)
        here = wanted[~np.isnan(wanted)]
        assert found.count == len(here)
        if len(here):
            scale = np.abs(here).max()
            assert found.mean == pytest.approx(here.mean(), rel=1e-9, abs=1e-12 * scale)
            assert found.variance == pytest.approx(here.var(), rel=1e-9, abs=1e-12 * scale**2)
    in_order = CombineSummaries(SCHEMA).extract_output(source)
    assert WINDOWS.encode(data) == WINDOWS.encode(in_order)


def splitmix(value: int) -> int:
    """SplitMix64's hash of an id, by whole numbers of Python's."""
    mask = 2**64 - 1
    z = (value + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


@given(some_rows, st.integers(1, 50), st.integers(1, 20), st.integers(0, 10**6))
@settings(deadline=None, max_examples=60)
def test_a_sample_bounds_the_rows_but_statistics_are_over_all(
    rows: list[Any], batch_rows: int, sample_rows: int, seed: int
) -> None:
    source = inputs(rows, batch_rows)
    data = combine(source, CombineSummaries(SCHEMA, sample_rows), seed)
    ids = labelled(rows, 0, 60)
    assert data.rows[ID].to_pylist() == sorted(sorted(ids, key=splitmix)[:sample_rows])
    everything = CombineSummaries(SCHEMA).extract_output(source)
    assert data.statistics == everything.statistics
    assert data.statistics.numeric("y").count == len(ids)


def test_what_waits_in_an_accumulator_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "ROOM", 10)
    fn = CombineSummaries(SCHEMA, sample_rows=5)
    accumulator = fn.create_accumulator()
    for batch in inputs([row(i % 60) for i in range(200)], 10):
        accumulator = fn.add_input(accumulator, batch)
        assert sum(part.rows.num_rows for part in accumulator) <= 10 + 10
    assert fn.extract_output(accumulator).statistics.numeric("y").count == 200
    assert sum(part.rows.num_rows for part in fn.compact(accumulator)) == 5


def test_a_sample_keeps_its_windows_metadata_through_the_graph() -> None:
    rows = [row(t, y=t) for t in range(60)]
    [one] = collect(make_batches(rows, 7), sample_rows=3).values()
    assert one.value.rows.num_rows == 3
    assert one.value.statistics.numeric("y").mean == pytest.approx(29.5)


def test_late_and_unlabelled_rows_are_left_out() -> None:
    rows = [row(0, y=1), row(50, y=None), row(55, y=3), row(10, y=100), row(59, y=5)]
    source = make_batches(rows, disorder=10 * SECOND)
    [one] = collect(source).values()
    assert one.value.rows["y"].to_pylist() == [1.0, 3.0, 5.0]
    assert one.value.statistics.numeric("y").mean == 3.0


def test_a_window_without_a_labelled_row_and_a_stream_without_any_give_nothing() -> None:
    rows = [row(0, y=None), row(61), row(121, y=None)]
    assert set(collect(make_batches(rows))) == {(60, 120)}
    assert collect([]) == {}
    assert summarize(make_batches([row(0, y=None)])[0], SCHEMA) is None


def test_windows_that_begin_before_a_resumed_run_are_left_out() -> None:
    source = make_batches([row(t) for t in (0, 60, 120, 180)])
    found = collect(source, TWO_MINUTES, begin=MINUTE)
    assert set(found) == {(60, 180), (120, 240), (180, 300)}


def test_windows_that_end_after_the_stream_are_left_out() -> None:
    source = make_batches([row(t) for t in (0, 60, 120, 180)])
    found = collect(source, TWO_MINUTES, end=StreamEnd(4 * MINUTE))
    assert set(found) == {(-60, 60), (0, 120), (60, 180), (120, 240)}


@pytest.mark.parametrize(("lag", "later"), [(1, 0), (2, 60), (4, 180)])
def test_a_lag_stamps_a_windows_data_later_and_leaves_its_bounds(lag: int, later: int) -> None:
    source = make_batches(stream(60, 240))
    plain = collect(source, TWO_MINUTES)
    found = collect(source, replace(TWO_MINUTES, lag=lag))
    assert set(found) == set(plain)
    for (_, end), one in found.items():
        assert one.at // 1000 == (end + later) * 1000 - 1
        assert one.window is None
    assert {w: WINDOWS.encode(one.value) for w, one in found.items()} == {
        w: WINDOWS.encode(one.value) for w, one in plain.items()
    }


@pytest.mark.parametrize("pipeline_of", [embedded, streamed])
def test_sliding_windows_end_at_every_refresh_and_each_row_is_in_all_of_its_windows(
    pipeline_of: Any,
) -> None:
    rows = [row(t) for t in (-61, -1, 0, 59, 60, 200)]
    source = make_batches(sorted(rows, key=lambda r: r["t"]), 1)
    wanted: dict[tuple[int, int], list[int]] = {
        (start * SECOND, end * SECOND): [len(ids)]
        for (start, end), ids in windows_of(rows, 180, 60).items()
    }
    with pipeline_of() as pipeline:
        sizes = (
            pipeline
            | (FromBatches(source) if pipeline_of is embedded else replay(source))
            | beam.ParDo(SummarizeFn(SCHEMA)).with_output_types(Summary)
            | beam.WindowInto(training_windows(replace(TWO_MINUTES, window=3 * MINUTE)))
            | beam.Map(add_window_key, MINUTE).with_output_types(tuple[int, Summary])
            | beam.CombinePerKey(CombineSummaries(SCHEMA))
            | beam.Map(lambda keyed: keyed[1].rows.num_rows)
        )
        assert_per_window(sizes, wanted)


def test_windows_leave_as_the_watermark_passes_their_end_before_later_rows_come() -> None:
    rows = [row(t) for t in (0, 30, 60, 400, 410)]
    source = make_batches(rows, 1)
    with streamed() as pipeline:
        flow = pipeline | replay(source)
        seen = flow | CollectWindows(SCHEMA, EACH_MINUTE) | Gather()
    assert [one.value.window.end // SECOND for one in seen] == [60, 120, 420]
    assert [one.value.rows[ID].to_pylist() for one in seen] == [[0, 1], [2], [3, 4]]


@given(times_of(), st.integers(1, 10))
@settings(deadline=None, max_examples=40)
def test_a_batch_lies_in_one_window_whole_whatever_the_times(
    times: list[int], batch_rows: int
) -> None:
    source = make_batches([row(t) for t in times], batch_rows)
    coder = TaggedCoder(AcceptedBatch)
    again = [coder.decode(coder.encode(batch)) for batch in source]
    for batch in again:
        stamps = [t.timestamp() for t in batch.rows["__time"].to_pylist()]
        assert len({s // 60 for s in stamps}) == 1
    assert sum(batch.rows.num_rows for batch in again) == len(times)
