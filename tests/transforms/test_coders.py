from __future__ import annotations

import math
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.coders import registry
from apache_beam.ml.inference.base import PredictionResult
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from model.artefact import Normalized, Reference, Window
from model.batch import Key
from model.metrics import Metrics, Sums, figures
from pipeline.folder import RunFolder
from pipeline.graph import build
from pipeline.settings import settings_from
from pipeline.source import people_source
from tests.transforms.streams import MINUTE, SCHEMA, stream
from transforms.coders import (
    BATCHES,
    FusedCoder,
    MetricsCoder,
    RecordBatchCoder,
    SumsCoder,
    TicketCoder,
)
from transforms.sources.planner import Ticket
from transforms.statistics import summarized
from transforms.testing import accepted, batches
from transforms.train import Committed, Trained

whole = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 2**40)
floats = st.floats(allow_nan=False)
some_sums = st.builds(
    Sums, *[counts] * 6, *[floats] * 7, model=st.sampled_from(["", "20261123T070100Z"])
)
keys = st.builds(Key, whole, whole, whole)


def same(a: pa.RecordBatch, b: pa.RecordBatch) -> bool:
    """Whether two batches have the same rows (NaN like NaN), types and metadata."""
    return a.schema.equals(b.schema, check_metadata=True) and repr(a.to_pylist()) == repr(
        b.to_pylist()
    )


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 10), st.integers(0, 3))
@settings(deadline=None, max_examples=40)
def test_a_batch_round_trips_with_its_metadata_and_nulls(
    count: int, batch_rows: int, skip: int, seed: int
) -> None:
    coder = RecordBatchCoder()
    raw = batches(stream(count, 300, seed), SCHEMA, MINUTE, batch_rows)
    both = [*raw, *accepted(raw, SCHEMA)]
    summed = [summarized(batch, SCHEMA) for batch in accepted(raw, SCHEMA)]
    for batch in [*both, *(batch.slice(skip) for batch in both), *filter(None, summed)]:
        data = coder.encode(batch)
        assert same(coder.decode(data), batch)
        assert coder.encode(coder.decode(data)) == coder.encode(batch) == data


def test_a_list_of_batches_round_trips() -> None:
    made = accepted(batches(stream(50, 300), SCHEMA, MINUTE, 7), SCHEMA)
    again = list(BATCHES.decode(BATCHES.encode(made)))
    assert all(same(a, b) for a, b in zip(again, made, strict=True))
    assert list(BATCHES.decode(BATCHES.encode([]))) == []


@given(st.builds(Ticket, *[whole] * len(Ticket._fields)))
@settings(deadline=None, max_examples=50)
def test_a_ticket_round_trips_in_a_few_bytes(ticket: Ticket) -> None:
    data = TicketCoder().encode(ticket)
    assert len(data) == 8 * len(ticket)
    assert TicketCoder().decode(data) == ticket
    assert type(TicketCoder().decode(data)) is Ticket


@given(st.lists(st.tuples(keys, some_sums), max_size=4))
@settings(deadline=None, max_examples=50)
def test_sums_round_trip_to_the_last_digit(keyed: list[tuple[Key, Sums]]) -> None:
    coder = SumsCoder()
    again = coder.decode(coder.encode(keyed))
    assert again == keyed
    assert all(type(key) is Key and type(sums) is Sums for key, sums in again)


def test_sums_without_a_row_keep_their_infinities() -> None:
    coder = SumsCoder()
    [(_, sums)] = coder.decode(coder.encode([(Key(0, 0, 0), Sums())]))
    assert (sums.low, sums.high) == (math.inf, -math.inf)


@pytest.mark.parametrize("coder", [RecordBatchCoder, TicketCoder, SumsCoder, MetricsCoder])
def test_every_coder_may_write_keys_and_be_compared(coder: Any) -> None:
    assert coder().is_deterministic()


def test_beam_takes_our_coders_by_type() -> None:
    assert isinstance(registry.get_coder(pa.RecordBatch), RecordBatchCoder)
    assert isinstance(registry.get_coder(Ticket), TicketCoder)
    assert RecordBatchCoder().to_type_hint() is pa.RecordBatch
    assert TicketCoder().to_type_hint() is Ticket


@pytest.mark.parametrize("kind", [Normalized, Trained, Committed, PredictionResult])
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
    [batch] = batches(stream(9, 50), SCHEMA, MINUTE)
    assert RecordBatchCoder().estimate_size(batch) == batch.nbytes


figure = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.tuples(*[figure] * 5))
@settings(deadline=None, max_examples=30)
def test_figures_round_trip_to_the_last_digit(some: Any) -> None:
    names = ("mae", "rmse", "r2", "baseline_mae", "skill")
    told = figures(Sums(rows=3, rejected=2, model="20261123T070100Z"), 0, MINUTE)
    metrics = told.model_copy(update=dict(zip(names, some, strict=True)))
    coder = registry.get_coder(Metrics)
    assert isinstance(coder, MetricsCoder)
    assert coder.to_type_hint() is Metrics
    assert coder.decode(coder.encode(metrics)) == metrics


WINDOW = "_OrderedUnionCoder"
"""What a reshuffle in windows writes a window with."""


def leaves(coder: Any) -> set[str]:
    """The names of the coders that a coder is made of; a reshuffled stamp's is 'stamp'."""
    name = type(coder).__name__
    if name == "NullableCoder":
        return {"stamp"}
    parts = coder._get_component_coders()
    return {name} if not parts else set().union(*map(leaves, parts))


def shuffled(**options: Any) -> dict[str, set[str]]:
    """The coders of what each GroupByKey of the whole graph takes in, by its name."""
    settings = settings_from({"window": 120, "every": 60, "lag": 2, **options})
    folder = RunFolder("nowhere")
    pipeline = beam.Pipeline("FnApiRunner")
    source, span = people_source(settings, folder)
    build(pipeline, source, settings, folder, span)
    proto, context = pipeline.to_runner_api(return_context=True)
    parts = proto.components
    found = {}
    for transform in parts.transforms.values():
        if transform.spec.urn == common_urns.primitives.GROUP_BY_KEY.urn:
            [taken] = transform.inputs.values()
            coder = context.coders.get_by_id(parts.pcollections[taken].coder_id)
            found[transform.unique_name] = leaves(coder)
        elif transform.spec.urn == common_urns.composites.COMBINE_PER_KEY.urn:
            payload = beam_runner_api_pb2.CombinePayload.FromString(transform.spec.payload)
            coder = context.coders.get_by_id(payload.accumulator_coder_id)
            found[f"{transform.unique_name} (accumulator)"] = leaves(coder)
    return found


def test_each_shuffle_of_the_graph_writes_batches_by_their_own_coder() -> None:
    found = shuffled()
    batch, reshuffled = {"VarIntCoder", "RecordBatchCoder"}, {"stamp", "PaneInfoCoder"}
    assert found == {
        "Source/Spread/ReshufflePerKey/GroupByKey": {"VarIntCoder", "TicketCoder"} | reshuffled,
        "Windows/Combine/GroupByKey": batch,
        "Windows/Combine (accumulator)": {"RecordBatchCoder"},
        "Windows/Spread/ReshufflePerKey/GroupByKey": batch | reshuffled,
        "HandOver/Meet/CoGroupByKeyImpl/GroupByKey": batch | {"StrUtf8Coder"},
        # What is not combined before the shuffle there is a key and some sums, no batch.
        "Evaluate/Merge/GroupByKey": {"VarIntCoder", "FastPrimitivesCoder"},
        "Evaluate/Merge (accumulator)": {"SumsCoder"},
        "Settle/ReshufflePerKey/GroupByKey": {"VarIntCoder", "MetricsCoder", WINDOW},
        "Predictions/Group": batch,
        "Sample/Combine/GroupByKey": batch,
        "Sample/Combine (accumulator)": {"RecordBatchCoder"},
    }


def test_without_predictions_and_lag_nothing_more_is_shuffled() -> None:
    found = shuffled(predictions="none", lag=1)
    assert {name.split("/")[0] for name in found} == {
        *("Source", "Windows", "HandOver", "Evaluate", "Settle")
    }
    assert not any("Windows/Spread" in name for name in found)
