"""AssignModels: brings each batch together with the model that scores it.

That is the model that is pinned for its refresh (``model.promotions``), else the one of the as-of
rule (``model.asof``), else the newest older one. All three go by event time.

A committed model's reference is sent into every serve window of the refresh that it serves,
once a shard; batches meet it there by CoGroupByKey. Training holds the watermark, so a serve
window cannot close before its model exists, and no state or timer is needed.

Rows that can be read again need not travel there: a reference to them does (``DeferredRows``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TypedDict

import apache_beam as beam
from apache_beam.transforms.window import IntervalWindow, TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from model import promotions
from model.asof import Cadence, first_served, newest_window_end
from model.batch import Key
from model.manifest import Reference
from model.store import Store
from transforms.coders import estimate_bytes
from transforms.elements import (
    AcceptedBatch,
    Committed,
    ModelReference,
    RowReference,
    ScoringBatch,
    ScoringTask,
    ServeInput,
)
from transforms.sources.read import AHEAD
from transforms.sources.work_items import DeferredRows
from transforms.stamps import STAMP, WINDOW, beam_time, last_time
from transforms.windows import serve_windows

BATCHES, MODELS = "batches", "models"
HELD = 64 << 20
"""Bytes of batches that wait for an older model, about, before it is looked for at once."""
_BITS = (1 << 64) - 1


class ScoringInputs(TypedDict):
    """The two inputs of ``AssignModels``."""

    batches: beam.PCollection[AcceptedBatch]
    models: beam.PCollection[Committed]


def hash_key(key: Key) -> int:
    """A hash of a batch's key, 64 bits, the same in every process and version of Python.

    Names of files follow from it, so it is fixed here: xxHash (Collet 2016) as CPython 3.8 to 3.14
    has it for tuples of whole numbers.
    """
    value = 2870177450012600261
    for number in key:
        lane = number % ((1 << 61) - 1) if number >= 0 else -(-number % ((1 << 61) - 1))
        lane = -2 if lane == -1 else lane
        value = (value + (lane & _BITS) * 14029467366897019727) & _BITS
        value = ((value << 31) | (value >> 33)) & _BITS
        value = value * 11400714785074694791 & _BITS
    value = (value + (len(key) ^ 2870177450012600261 ^ 3527539)) & _BITS
    return 1546275796 if value == _BITS else value


def shard_of(key: Key, shards: int) -> int:
    """The shard of a batch, the same on every retry."""
    value = hash_key(key)
    return (value - (1 << 64) if value >> 63 else value) % shards  # as of a signed number


def add_shard(batch: AcceptedBatch, shards: int) -> tuple[int, ServeInput]:
    """A batch with its shard as key."""
    return shard_of(batch.tag.key, shards), batch


def defer(batch: AcceptedBatch, shards: int, rows: DeferredRows) -> tuple[int, ServeInput]:
    """A batch, or a reference to its rows, with its shard as key.

    The shard is the same for all rows that are read together.
    """
    sent, key = rows.defer(batch), batch.tag.key
    return shard_of(key._replace(part=0) if isinstance(sent, RowReference) else key, shards), sent


class SendModelFn(beam.DoFn):
    """Sends a model's reference into every serve window that it serves, once a shard."""

    def __init__(self, cadence: Cadence, shards: int) -> None:
        self.cadence = cadence
        self.shards = shards

    def process(self, committed: Committed) -> Iterator[TimestampedValue[tuple[int, ServeInput]]]:
        first = first_served(committed.window.end, self.cadence.every, self.cadence.lag)
        reference = ModelReference(committed.reference)
        for start in self.cadence.serve_windows(first):
            for shard in range(self.shards):
                yield TimestampedValue((shard, reference), beam_time(start))


Waiting = tuple[list[AcceptedBatch | RowReference], IntervalWindow]


class ChooseModelFn(beam.DoFn):
    """Gives a serve window's batches, in order, the model that is theirs.

    Where none was sent (a gap in the data, the beginning), the newest older one in the store
    serves; without one, None. To list a store takes time in proportion to what it holds, so the
    batches that need an older model wait for the end of their bundle, and it is listed once for
    all of them. Training holds the watermark: when they came here, all models that they may have
    were in the store.

    Attributes:
        cadence: how event time is divided.
        store: where an older model is looked for.
        deferred: whether the batches that are read together go out by themselves, to be
            materialized.
        promoted: the file of the acts by which a model is pinned (``model.promotions``). What holds
            for a refresh is in it before the watermark reaches the refresh, so one look is enough.
    """

    def __init__(
        self,
        cadence: Cadence,
        store: Store,
        deferred: bool = False,
        promoted: str | None = None,
    ) -> None:
        self.cadence = cadence
        self.store = store
        self.deferred = deferred
        self.promoted = promoted

    def setup(self) -> None:
        self.older: dict[int, Reference | None] = {}
        self.pinned: dict[int, Reference | None] = {}
        self.waiting: list[Waiting] | None = None
        self.held = 0

    def start_bundle(self) -> None:
        self.waiting, self.held = [], 0

    def process(
        self,
        grouped: tuple[int, Mapping[str, Iterable[ServeInput]]],
        window: IntervalWindow = WINDOW,
    ) -> Iterator[WindowedValue]:
        _, inputs = grouped
        found = [one for one in inputs[BATCHES] if isinstance(one, AcceptedBatch | RowReference)]
        batches = sorted(found, key=lambda batch: batch.tag.key)
        if not batches:
            return
        sent = {one.reference for one in inputs[MODELS] if isinstance(one, ModelReference)}
        if len(sent) > 1:
            raise ValueError(f"two models for one serve window: {sorted(sent)}")
        pinned = self._find_pin(self.cadence.refresh_of(window.start.micros))
        if pinned is not None:
            sent = {pinned}
        if not sent and self.waiting is not None and self._end(window) not in self.older:
            self.waiting.append((batches, window))
            self.held += sum(
                estimate_bytes(one.rows) for one in batches if isinstance(one, AcceptedBatch)
            )
            if self.held > HELD:
                yield from self.finish_bundle()
            return
        if not sent:
            self._look({self._end(window)})
        yield from self._assign(
            sent.pop() if sent else self.older[self._end(window)], batches, window
        )

    def finish_bundle(self) -> Iterator[WindowedValue]:
        waiting, self.waiting, self.held = self.waiting or [], [], 0
        self._look({self._end(window) for _, window in waiting})
        for batches, window in waiting:
            yield from self._assign(self.older[self._end(window)], batches, window)

    def _assign(
        self,
        model: Reference | None,
        batches: list[AcceptedBatch | RowReference],
        window: IntervalWindow,
    ) -> Iterator[WindowedValue]:
        for _, together in groupby(batches, self._read_together):
            tasks = ScoringBatch(ScoringTask(model, batch) for batch in together)
            yield WindowedValue(tasks, last_time(window), (window,))

    def _read_together(self, batch: AcceptedBatch | RowReference) -> tuple[int, int] | None:
        key = batch.tag.key
        return (key.partition, key.start) if self.deferred else None

    def _find_pin(self, refresh: int) -> Reference | None:
        if self.promoted is None:
            return None
        if refresh not in self.pinned:
            self.pinned[refresh] = promotions.find_pin(promotions.read(self.promoted), refresh)
        return self.pinned[refresh]

    def _end(self, window: IntervalWindow) -> int:
        refresh = self.cadence.refresh_of(window.start.micros)
        return newest_window_end(refresh, self.cadence.every, self.cadence.lag)

    def _look(self, ends: set[int]) -> None:
        """Looks for the newest models of windows that ended by some times."""
        new = ends - self.older.keys()
        if not new:
            return
        found = self.store.newest_of(new)
        references = {name: self.store.reference(name) for name in {*found.values()} if name}
        self.older |= {end: references.get(name or "") for end, name in found.items()}


class MaterializeFn(beam.DoFn):
    """Reads the rows of references again, those together that lie together.

    They go out when ``AHEAD`` more of their bundle have come, or it ends, so that their rows are
    read meanwhile.
    """

    def __init__(self, rows: DeferredRows) -> None:
        self.rows = rows

    def start_bundle(self) -> None:
        self.waiting: deque[WindowedValue] = deque()

    def process(
        self,
        tasks: ScoringBatch,
        at: Timestamp = STAMP,
        window: IntervalWindow = WINDOW,
    ) -> Iterator[WindowedValue]:
        self.rows.prefetch(tasks[0].batch)
        self.waiting.append(WindowedValue(tasks, at, (window,)))
        if len(self.waiting) > AHEAD:
            yield self._materialize(self.waiting.popleft())

    def finish_bundle(self) -> Iterator[WindowedValue]:
        while self.waiting:
            yield self._materialize(self.waiting.popleft())

    def _materialize(self, waiting: WindowedValue) -> WindowedValue:
        read = self.rows.materialize
        tasks = ScoringBatch(ScoringTask(model, read(batch)) for model, batch in waiting.value)
        return waiting.with_value(tasks)


class AssignModels(beam.PTransform[ScoringInputs, beam.PCollection[ScoringBatch]]):
    """Batches and models in; batches out with the model that scores them, a shard at a time.

    Attributes:
        cadence: how event time is divided.
        store: where an older model is looked for.
        shards: into how many parts a serve window is cut, to be scored side by side.
        rows: what can read the source's rows again; None: they travel.
        promoted: the file of the acts by which a model is pinned; None: none is.
    """

    def __init__(
        self,
        cadence: Cadence,
        store: Store,
        shards: int = 4,
        rows: DeferredRows | None = None,
        promoted: str | None = None,
    ) -> None:
        super().__init__()
        self.cadence = cadence
        self.store = store
        self.shards = shards
        self.rows = rows
        self.promoted = promoted

    def expand(self, inputs: ScoringInputs) -> beam.PCollection[ScoringBatch]:
        windows = serve_windows(self.cadence)
        keyed = tuple[int, ServeInput]
        if self.rows is None:
            shard = beam.Map(add_shard, self.shards)
        else:
            shard = beam.Map(defer, self.shards, self.rows)
        batches = (
            inputs["batches"]
            | "Shard" >> shard.with_output_types(keyed)
            | "ServeWindow" >> beam.WindowInto(windows)
        )
        models = (
            inputs["models"]
            | "Send" >> beam.ParDo(SendModelFn(self.cadence, self.shards)).with_output_types(keyed)
            | "ModelServeWindow" >> beam.WindowInto(windows)
        )
        choose = ChooseModelFn(self.cadence, self.store, self.rows is not None, self.promoted)
        assigned = (
            {BATCHES: batches, MODELS: models}
            | "Meet" >> beam.CoGroupByKey()
            | "Choose" >> beam.ParDo(choose).with_output_types(ScoringBatch)
        )
        if self.rows is None:
            return assigned
        materialize = beam.ParDo(MaterializeFn(self.rows)).with_output_types(ScoringBatch)
        return assigned | "Redeem" >> materialize
