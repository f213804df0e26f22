"""HandOver: brings each batch together with the model that scores it, by event time alone.

A committed model's reference is sent into every serve window of the refresh that it serves,
once a shard; batches meet it there by CoGroupByKey. Training holds the watermark, so a serve
window cannot close before its model exists, and no state or timer is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import registry
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from model.artefact import Reference
from model.asof import floor, newest_allowed, serves
from model.batch import SECOND, Key, tag_of
from model.store import Store
from transforms.coders import FusedCoder
from transforms.sources.planner import beam_time, last_time
from transforms.train import Committed

BATCHES, MODELS = "batches", "models"
Request = tuple[Reference | None, pa.RecordBatch]


class Requests(list[Request]):
    """A serve window's batches of one shard, each with the model that scores it, or None."""


registry.register_coder(Requests, FusedCoder)


class Cadence(NamedTuple):
    """How event time is cut, in microseconds.

    Attributes:
        latency: a serve window: a row is scored so long after at the latest.
        every: a refresh: so long one model serves.
        lag: how many refreshes after its window's end a model serves first, from 1.
    """

    latency: int
    every: int
    lag: int = 1


def shard_of(key: Key, shards: int) -> int:
    """The shard of a batch, the same on every retry."""
    return hash(key) % shards


def sharded(batch: pa.RecordBatch, shards: int) -> tuple[int, pa.RecordBatch]:
    """A batch with its shard as key."""
    return shard_of(tag_of(batch).key, shards), batch


def as_batch(reference: Reference) -> pa.RecordBatch:
    """A reference as an empty batch: it travels with the coder of the batches that it meets."""
    return pa.record_batch({}).replace_schema_metadata(reference._asdict())


def as_reference(batch: pa.RecordBatch) -> Reference:
    """The reference in an empty batch."""
    metadata = batch.schema.metadata
    return Reference(metadata[b"name"].decode(), metadata[b"sha256"].decode())


class Send(beam.DoFn):
    """Sends a model's reference into every serve window that it serves, once a shard."""

    def __init__(self, cadence: Cadence, shards: int) -> None:
        self.cadence = cadence
        self.shards = shards

    def process(self, committed: Committed) -> Iterator[Any]:
        latency, every, lag = self.cadence
        first = serves(committed.window.end, every, lag)
        for start in range(first, first + every, latency):
            for shard in range(self.shards):
                yield TimestampedValue((shard, as_batch(committed.reference)), beam_time(start))


class Choose(beam.DoFn):
    """Gives a serve window's batches, in order, the model that is theirs.

    Where none was sent (a gap in the data, the beginning), the newest older one in the store
    serves; without one, None.
    """

    def __init__(self, cadence: Cadence, store: Store) -> None:
        self.cadence = cadence
        self.store = store

    def setup(self) -> None:
        self.older: dict[int, Reference | None] = {}

    def process(
        self,
        grouped: tuple[int, dict[str, list[pa.RecordBatch]]],
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[Any]:
        batches = sorted(grouped[1][BATCHES], key=lambda batch: tag_of(batch).key)
        if not batches:
            return
        sent = {as_reference(batch) for batch in grouped[1][MODELS]}
        if len(sent) > 1:
            raise ValueError(f"two models for one serve window: {sorted(sent)}")
        reference = sent.pop() if sent else self._older(window.start.micros)
        requests = Requests((reference, batch) for batch in batches)
        yield TimestampedValue(requests, last_time(window))

    def _older(self, start: int) -> Reference | None:
        _, every, lag = self.cadence
        end = newest_allowed(floor(start, every), every, lag)
        if end not in self.older:
            name = self.store.newest(end)
            self.older[end] = None if name is None else self.store.reference(name)
        return self.older[end]


class HandOver(beam.PTransform[Any, Any]):
    """``{batches, models}`` in; for each serve window and shard a list of (reference, batch) out.

    Attributes:
        cadence: how event time is cut.
        store: where an older model is looked for.
        shards: into how many parts a serve window is cut, to be scored side by side.
    """

    def __init__(self, cadence: Cadence, store: Store, shards: int = 4) -> None:
        super().__init__()
        self.cadence = cadence
        self.store = store
        self.shards = shards

    def expand(self, inputs: dict[str, Any]) -> Any:
        serve_windows = FixedWindows(self.cadence.latency // SECOND)
        keyed = tuple[int, pa.RecordBatch]
        batches = (
            inputs[BATCHES]
            | "Shard" >> beam.Map(sharded, self.shards).with_output_types(keyed)
            | "ServeWindow" >> beam.WindowInto(serve_windows)
        )
        models = (
            inputs[MODELS]
            | "Send" >> beam.ParDo(Send(self.cadence, self.shards)).with_output_types(keyed)
            | "ModelServeWindow" >> beam.WindowInto(serve_windows)
        )
        return (
            {BATCHES: batches, MODELS: models}
            | "Meet" >> beam.CoGroupByKey()
            | "Choose" >> beam.ParDo(Choose(self.cadence, self.store)).with_output_types(Requests)
        )
