from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from apache_beam.coders import registry
from hypothesis import given, settings
from hypothesis import strategies as st

from model.answers import Outcome
from model.baselines import Chain, Link, Tally
from model.batch import Key, Tag
from model.block_sums import finish
from model.cohorts import CohortPart
from model.exact import Exact
from model.groups import GroupSums
from model.labels import Delays, LabelCounts
from model.manifest import Reference, Window
from model.metrics import Metrics, Sums, compute_metrics
from model.quantiles import Bins
from model.regression import RegressionSums, Signed, Spread
from model.schema import Features
from model.skipped import few_rows
from model.training import Normalized
from tests.kit.rows import RIDGE, rides, train_model
from tests.kit.streams import MINUTE, SCHEMA, stream
from transforms.coders import (
    SAMPLES,
    SUMMARIES,
    SUMS,
    FusedCoder,
    MetricsCoder,
    ModelReferenceCoder,
    PartCoder,
    RecordBatchCoder,
    RowReferenceCoder,
    ServeInputCoder,
    SharesModelCoder,
    SummaryCoder,
    SumsCoder,
    TaggedCoder,
    WindowDataCoder,
    WorkItemCoder,
)
from transforms.elements import (
    AcceptedBatch,
    AskedBatch,
    Committed,
    FitResult,
    KeyedSums,
    ModelReference,
    OutcomeRows,
    PredictionRows,
    Rejects,
    RowReference,
    SampleRows,
    ScoredBatch,
    ScoringBatch,
    ServeInput,
    SharesModel,
    Summary,
    WindowData,
    WorkItem,
    WrittenFile,
)
from transforms.object_store import MARK
from transforms.sources.kafka import KafkaMark, KafkaMarkCoder
from transforms.sources.planner import Mark, MarkCoder
from transforms.statistics import summarize
from transforms.testing import accepted, batches
from transforms.versions import KINDS, OtherVersion, describe_header, header, strip_header

whole = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 2**40)
floats = st.floats(allow_nan=False)
exact = floats.map(Exact.of)
tallies = st.builds(Tally, counts, exact)
lasts = st.dictionaries(st.text(max_size=3), floats, max_size=3)
links = st.builds(Link, st.tuples(*[counts] * 4), st.builds(Chain, tallies, lasts, lasts))
group_sums = st.builds(GroupSums, counts, exact, exact)
spreads = st.builds(Spread, exact, st.integers(0, 2**4000), exact)
some_figures = st.builds(
    RegressionSums,
    counts,
    *(exact, exact, spreads, floats, floats, exact),
    bins=st.lists(st.floats(0, 1e300), max_size=9).map(lambda errors: Bins.of(np.array(errors))),
    season=st.none() | tallies,
    links=st.lists(links, max_size=2).map(tuple),
    groups=st.none() | st.dictionaries(st.none() | st.text(max_size=3), group_sums, max_size=3),
    signed=st.builds(Signed, *[exact] * 4),
)
some_sums = st.builds(
    Sums,
    *[counts] * 5,
    model=st.sampled_from(["", "20261123T070100Z"]),
    bins=st.lists(counts, max_size=9).map(tuple),
    sums=st.lists(exact, max_size=3).map(tuple),
    profile=st.sampled_from(["", '{"mean": 0.5}']),
    labels=st.sampled_from([None, LabelCounts(3, 2, 1, Delays.of(np.array([0, 7, 10**9])))]),
    figures=st.none() | some_figures,
)
keys = st.builds(Key, whole, whole, whole)
keyed_sums = st.builds(KeyedSums, keys, some_sums)
items = st.builds(WorkItem, *[whole] * len(WorkItem._fields))
OURS: list[Any] = [
    RecordBatchCoder,
    SummaryCoder,
    WorkItemCoder,
    SumsCoder,
    MetricsCoder,
    MarkCoder,
    KafkaMarkCoder,
    WindowDataCoder,
    RowReferenceCoder,
    ModelReferenceCoder,
    PartCoder,
    SharesModelCoder,
]
"""The coders of what crosses a shuffle or is kept."""
SHARES = SharesModel(
    Window(0, MINUTE), *train_model(RIDGE, rides(30)), 0.25, few_rows(0, MINUTE, 3, 10)
)


def same(a: pa.RecordBatch, b: pa.RecordBatch) -> bool:
    """Whether two batches have the same rows (NaN like NaN), types and metadata."""
    return a.schema.equals(b.schema, check_metadata=True) and repr(a.to_pylist()) == repr(
        b.to_pylist()
    )


def alike(a: Any, b: Any) -> bool:
    """Whether two elements of rows are the same, NaN like NaN."""
    return (
        type(a) is type(b)
        and same(a.rows, b.rows)
        and getattr(a, "tag", None) == getattr(b, "tag", None)
        and getattr(a, "window", None) == getattr(b, "window", None)
        and getattr(a, "statistics", None) == getattr(b, "statistics", None)
        and repr(getattr(a, "moments", None)) == repr(getattr(b, "moments", None))
    )


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 10), st.integers(0, 3))
@settings(deadline=None, max_examples=40)
def test_a_batch_round_trips_with_its_metadata_and_nulls(
    count: int, batch_rows: int, skip: int, seed: int
) -> None:
    coder = RecordBatchCoder()
    raw = batches(stream(count, 300, seed), SCHEMA, MINUTE, batch_rows)
    for batch in [*raw, *(batch.slice(skip) for batch in raw)]:
        data = coder.encode(batch)
        assert same(coder.decode(data), batch)
        assert coder.encode(coder.decode(data)) == coder.encode(batch) == data


NUMBERS = SCHEMA.model_copy(update={"features": Features(numeric=("x", "z"))})


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 10), st.integers(0, 3))
@settings(deadline=None, max_examples=40)
def test_elements_of_rows_round_trip(count: int, batch_rows: int, skip: int, seed: int) -> None:
    made = accepted(batches(stream(count, 300, seed), SCHEMA, MINUTE, batch_rows), SCHEMA)
    elements: list[Any] = [*made, *(AcceptedBatch(b.tag, b.rows.slice(skip)) for b in made)]
    elements += [kind(one.tag, one.rows) for one in made for kind in (PredictionRows, SampleRows)]
    summaries = [summarize(batch, SCHEMA) for batch in made]
    summaries += [summarize(batch, NUMBERS, reduce=True) for batch in made]
    for summary in filter(None, summaries):
        elements.append(summary)
        window = Window(-MINUTE, MINUTE)
        found = finish([summary.sums], NUMBERS if summary.sums.products else SCHEMA)
        elements.append(WindowData(window, summary.rows, *found))
    for element in elements:
        coder = registry.get_coder(type(element))
        data = coder.encode(element)
        assert alike(coder.decode(data), element)
        assert coder.encode(coder.decode(data)) == coder.encode(element) == data


@given(st.builds(Tag, keys, whole, st.text(), whole), whole)
def test_what_meets_in_a_serve_window_is_written_by_one_coder(tag: Tag, rows: int) -> None:
    [batch] = accepted(batches(stream(9, 50), SCHEMA, MINUTE), SCHEMA)
    model = ModelReference(Reference("20261123T070100Z", "ab12"))
    coder = registry.get_coder(ServeInput)
    assert isinstance(coder, ServeInputCoder)
    again = [coder.decode(coder.encode(one)) for one in (batch, RowReference(tag, rows), model)]
    assert alike(again[0], batch) and again[1:] == [RowReference(tag, rows), model]
    with pytest.raises(TypeError, match="a str does not meet"):
        coder.encode("batch")


def test_a_list_of_elements_round_trips() -> None:
    made = accepted(batches(stream(50, 300), SCHEMA, MINUTE, 7), SCHEMA)
    samples = [SampleRows(one.tag, one.rows) for one in made]
    summaries = [summary for one in made if (summary := summarize(one, SCHEMA)) is not None]
    some: list[tuple[Any, list[Any]]] = [(SAMPLES, samples), (SUMMARIES, summaries)]
    for coder, elements in some:
        again = list(coder.decode(coder.encode(elements)))
        assert all(alike(a, b) for a, b in zip(again, elements, strict=True))
        assert list(coder.decode(coder.encode([]))) == []


@given(items)
@settings(deadline=None, max_examples=50)
def test_a_work_item_round_trips_in_a_few_bytes(item: WorkItem) -> None:
    data = WorkItemCoder().encode(item)
    assert len(data) == 4 + 8 * len(item)
    assert WorkItemCoder().decode(data) == item
    assert type(WorkItemCoder().decode(data)) is WorkItem


clocks = st.none() | whole
places = st.dictionaries(st.integers(0, 2**14), st.tuples(counts, clocks), max_size=3)


@given(places, clocks, whole, st.none() | st.tuples(whole, st.dictionaries(counts, counts)))
def test_a_kafka_planner_s_checkpoint_round_trips(
    positions: Any, watermark: Any, until: int, refresh: Any
) -> None:
    mark = KafkaMark(positions, watermark, until, refresh)
    data = KafkaMarkCoder().encode(mark)
    again = KafkaMarkCoder().decode(data)
    assert vars(again) == vars(mark) and KafkaMarkCoder().encode(again) == data


@given(st.integers(0, 2**63 - 1), whole)
def test_a_planner_s_checkpoint_round_trips(count: int, until: int) -> None:
    data = MarkCoder().encode(Mark(count, until))
    assert len(data) == 4 + 2 * 8
    again = MarkCoder().decode(data)
    assert (again.count, again.until) == (count, until)


@given(keyed_sums)
@settings(deadline=None, max_examples=50)
def test_sums_round_trip_to_the_last_digit(keyed: KeyedSums) -> None:
    again = SumsCoder().decode(SumsCoder().encode(keyed))
    assert again == keyed
    assert (type(again), type(again.key), type(again.sums)) == (KeyedSums, Key, Sums)


@given(st.lists(keyed_sums, max_size=4))
@settings(deadline=None, max_examples=20)
def test_a_list_of_sums_round_trips(keyed: list[KeyedSums]) -> None:
    assert list(SUMS.decode(SUMS.encode(keyed))) == keyed


def test_sums_without_a_row_keep_their_infinities() -> None:
    coder = SumsCoder()
    kept = KeyedSums(Key(0, 0, 0), Sums(figures=RegressionSums()))
    figures = coder.decode(coder.encode(kept)).sums.figures
    assert (figures.low, figures.high) == (math.inf, -math.inf)


def test_a_batch_is_read_where_its_bytes_lie_and_aligned() -> None:
    [batch] = accepted(batches(stream(50, 50), SCHEMA, MINUTE), SCHEMA)
    coder = TaggedCoder(AcceptedBatch)
    data = coder.encode(batch)
    lies = pa.py_buffer(data)
    for column in coder.decode(data).rows.columns:
        for buffer in filter(None, column.buffers()):
            assert lies.address < buffer.address < lies.address + lies.size
            assert (buffer.address - lies.address) % 8 == 0


def some_bytes(coder: type) -> bytes:
    """The bytes of something that a coder writes."""
    [batch] = batches(stream(9, 50), SCHEMA, MINUTE)
    summary = summarize(accepted([batch], SCHEMA)[0], SCHEMA)
    assert summary is not None
    values: dict[Any, Any] = {
        RecordBatchCoder: batch,
        SummaryCoder: summary,
        WorkItemCoder: WorkItem(*range(len(WorkItem._fields))),
        SumsCoder: KeyedSums(Key(0, 0, 0), Sums(rows=3)),
        MetricsCoder: compute_metrics(Sums(rows=3), 0, MINUTE),
        MarkCoder: Mark(7),
        KafkaMarkCoder: KafkaMark({0: (7, None)}),
        PartCoder: CohortPart(
            Key(0, 0, 0), 3, "m", (Outcome(60, Sums(figures=RegressionSums(2))),)
        ),
        WindowDataCoder: WindowData(Window(0, 1), summary.rows, finish([summary.sums], SCHEMA)[0]),
        RowReferenceCoder: RowReference(summary.tag, 9),
        ModelReferenceCoder: ModelReference(Reference("20261123T070100Z", "ab12")),
        SharesModelCoder: SHARES,
    }
    data: bytes = coder().encode(values[coder])
    return data


def test_each_coder_has_a_head_of_its_own_that_its_bytes_begin_with() -> None:
    heads = {coder.head[:4] for coder in OURS}
    assert len(heads) == len(OURS) and {found[2:3] for found in heads} == set(KINDS)
    assert all(some_bytes(coder).startswith(coder.head) for coder in OURS)


@pytest.mark.parametrize("coder", OURS)
@given(st.data())
@settings(deadline=None, max_examples=30)
def test_bytes_of_another_version_are_refused_by_name(coder: Any, data: Any) -> None:
    own = coder.head[3]
    older = getattr(coder, "older", (getattr(coder, "before", coder.head),))
    read = {head[3] for head in (coder.head, *older)}
    other = data.draw(st.integers(0, 255).filter(lambda version: version not in read))
    written = coder.head[:3] + bytes([other]) + some_bytes(coder)[4:]
    what = KINDS[coder.head[2:3]]
    with pytest.raises(OtherVersion) as refused:
        coder().decode(written)
    message = f"{what} of version {other}: this program reads {what} of version {own}. "
    assert str(refused.value).startswith(message)
    assert "drain the job instead of a savepoint" in str(refused.value)


@pytest.mark.parametrize("coder", OURS)
@pytest.mark.parametrize("other", OURS)
def test_bytes_of_another_coder_are_refused_by_name(coder: Any, other: Any) -> None:
    if other is not coder and getattr(coder, "before", b"")[:4] != other.head[:4]:
        with pytest.raises(
            OtherVersion, match=f"^{describe_header(other.head)}: this program reads"
        ):
            coder().decode(some_bytes(other))


@pytest.mark.parametrize("coder", OURS)
@given(st.binary(max_size=80).filter(lambda data: not data.startswith((b"Cz", MARK))))
@settings(deadline=None, max_examples=30)
def test_bytes_without_a_version_are_refused(coder: Any, data: bytes) -> None:
    with pytest.raises(OtherVersion, match=f"^bytes without a version .{data[:4].hex()}.: "):
        coder().decode(data)


@given(st.sampled_from(sorted(KINDS)), st.integers(1, 255), st.binary())
def test_what_stands_behind_a_header_comes_back(kind: bytes, version: int, body: bytes) -> None:
    assert strip_header(header(kind, version), header(kind, version) + body) == body


@pytest.mark.parametrize("coder", OURS)
def test_every_coder_may_write_keys_and_be_compared(coder: Any) -> None:
    assert coder().is_deterministic()


@pytest.mark.parametrize(
    ("element", "coder"),
    [
        (pa.RecordBatch, RecordBatchCoder),
        (AcceptedBatch, TaggedCoder),
        (PredictionRows, TaggedCoder),
        (SampleRows, TaggedCoder),
        (ServeInput, ServeInputCoder),
        (Summary, SummaryCoder),
        (WindowData, WindowDataCoder),
        (WorkItem, WorkItemCoder),
        (KeyedSums, SumsCoder),
        (CohortPart, PartCoder),
        (OutcomeRows, TaggedCoder),
        (Metrics, MetricsCoder),
    ],
)
def test_beam_takes_our_coders_by_type(element: type, coder: type) -> None:
    found = registry.get_coder(element)
    assert type(found) is coder
    assert found.to_type_hint() is element


@pytest.mark.parametrize(
    "kind",
    [AskedBatch, Rejects, Normalized, FitResult, Committed, ScoringBatch, ScoredBatch, WrittenFile],
)
def test_what_stays_within_a_bundle_is_not_pickled_to_be_measured(kind: type) -> None:
    class Unpicklable:
        def __reduce__(self) -> Any:
            raise AssertionError("it was pickled")

    coder = registry.get_coder(kind)
    assert isinstance(coder, FusedCoder)
    assert coder.estimate_size(Unpicklable()) == 0
    found = coder.decode(coder.encode(Committed(Window(0, 1), Reference("a", "b"))))
    assert found == Committed(Window(0, 1), Reference("a", "b"))


def test_a_batch_is_measured_by_its_columns() -> None:
    [batch] = batches(stream(1_000, 50), SCHEMA, MINUTE)
    assert batch.nbytes / 2 < RecordBatchCoder().estimate_size(batch) < batch.nbytes * 2


figure = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.tuples(*[figure] * 5))
@settings(deadline=None, max_examples=30)
def test_figures_round_trip_to_the_last_digit(some: Any) -> None:
    names = ("mae", "rmse", "r2", "baseline_mae", "skill")
    profile = '{"numeric": 0, "features": {"c": [2, 1]}, "prediction": [3], "mean": 0, "scale": 1}'
    lie: dict[str, Any] = {"bins": (1, 2, 3), "sums": (0.1,), "profile": profile}
    result = compute_metrics(Sums(rows=3, rejected=2, model="20261123T070100Z", **lie), 0, MINUTE)
    assert result.drift is not None and result.drift.features["c"].psi > 0
    metrics = result.model_copy(update=dict(zip(names, some, strict=True)))
    coder = registry.get_coder(Metrics)
    assert isinstance(coder, MetricsCoder)
    assert coder.to_type_hint() is Metrics
    assert coder.decode(coder.encode(metrics)) == metrics
