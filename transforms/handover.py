"""HandOver: brings each batch together with the model that scores it, by event time alone.

A committed model's reference is sent into every serve window of the refresh that it serves,
once a shard; batches meet it there by CoGroupByKey. Training holds the watermark, so a serve
window cannot close before its model exists, and no state or timer is needed.

Rows that can be read again need not travel there: a claim on them does (``Claims``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Protocol

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import registry
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.windowed_value import WindowedValue

from model.asof import Cadence, first_served, newest_window_end
from model.batch import Key, tag_of
from model.manifest import Reference
from model.store import Store
from transforms.coders import FusedCoder, near_bytes
from transforms.sources.planner import AHEAD, beam_time, last_time
from transforms.train import Committed
from transforms.windows import serve_windows

BATCHES, MODELS = "batches", "models"
HELD = 64 << 20
"""Bytes of batches that wait for an older model, about, before it is looked for at once."""
Request = tuple[Reference | None, pa.RecordBatch]


class Requests(list[Request]):
    """A serve window's batches of one shard, each with the model that scores it, or None."""


registry.register_coder(Requests, FusedCoder)


class Claims(Protocol):
    """Rows that stay where they are, until they are needed (the claim check pattern).

    Hohpe and Woolf 2003, "Enterprise Integration Patterns".
    """

    def check(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """What travels in an accepted batch's stead: a claim, or the batch itself.

        A claim is a batch without columns: its tag alone.
        """

    def prepare(self, batch: pa.RecordBatch) -> None:
        """Begins to read what a claim stands for; it is redeemed soon."""

    def redeem(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The accepted batch for which a claim stands; a batch with columns is it itself."""


def shard_of(key: Key, shards: int) -> int:
    """The shard of a batch, the same on every retry."""
    return hash(key) % shards


def sharded(batch: pa.RecordBatch, shards: int) -> tuple[int, pa.RecordBatch]:
    """A batch with its shard as key."""
    return shard_of(tag_of(batch).key, shards), batch


def checked(batch: pa.RecordBatch, shards: int, claims: Claims) -> tuple[int, pa.RecordBatch]:
    """A claim with its shard as key: the same for all that is read together."""
    claim = claims.check(batch)
    key = tag_of(claim).key
    return shard_of(key if claim.num_columns else key._replace(part=0), shards), claim


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
        first = first_served(committed.window.end, self.cadence.every, self.cadence.lag)
        for start in self.cadence.serve_windows(first):
            for shard in range(self.shards):
                yield TimestampedValue((shard, as_batch(committed.reference)), beam_time(start))


class Choose(beam.DoFn):
    """Gives a serve window's batches, in order, the model that is theirs.

    Where none was sent (a gap in the data, the beginning), the newest older one in the store
    serves; without one, None. To list a store takes time in proportion to what it holds, so the
    batches that need an older model wait for the end of their bundle, and it is listed once for
    all of them. Training holds the watermark: when they came here, all models that they may have
    were in the store.

    Attributes:
        cadence: how event time is divided.
        store: where an older model is looked for.
        by_ticket: whether the batches of each ticket go out by themselves, to be redeemed.
    """

    def __init__(self, cadence: Cadence, store: Store, by_ticket: bool = False) -> None:
        self.cadence = cadence
        self.store = store
        self.by_ticket = by_ticket

    def setup(self) -> None:
        self.older: dict[int, Reference | None] = {}
        self.waiting: list[tuple[list[pa.RecordBatch], Any]] | None = None
        self.held = 0

    def start_bundle(self) -> None:
        self.waiting, self.held = [], 0

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
        if not sent and self.waiting is not None and self._end(window) not in self.older:
            self.waiting.append((batches, window))
            self.held += sum(near_bytes(batch) for batch in batches)
            if self.held > HELD:
                yield from self.finish_bundle()
            return
        if not sent:
            self._look({self._end(window)})
        yield from self._requests(
            sent.pop() if sent else self.older[self._end(window)], batches, window
        )

    def finish_bundle(self) -> Iterator[WindowedValue]:
        waiting, self.waiting, self.held = self.waiting or [], [], 0
        self._look({self._end(window) for _, window in waiting})
        for batches, window in waiting:
            yield from self._requests(self.older[self._end(window)], batches, window)

    def _requests(
        self, reference: Reference | None, batches: list[pa.RecordBatch], window: Any
    ) -> Iterator[WindowedValue]:
        for _, together in groupby(batches, self._ticket):
            requests = Requests((reference, batch) for batch in together)
            yield WindowedValue(requests, last_time(window), (window,))

    def _ticket(self, batch: pa.RecordBatch) -> tuple[int, ...]:
        return tag_of(batch).key[:2] if self.by_ticket else ()

    def _end(self, window: Any) -> int:
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


class Redeem(beam.DoFn):
    """Redeems claims, a ticket's at a time.

    They go out when ``AHEAD`` more of their bundle have come, or it ends, so that what they stand
    for is read meanwhile.
    """

    def __init__(self, claims: Claims) -> None:
        self.claims = claims

    def start_bundle(self) -> None:
        self.waiting: deque[WindowedValue] = deque()

    def process(
        self,
        requests: Requests,
        at: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[WindowedValue]:
        self.claims.prepare(requests[0][1])
        self.waiting.append(WindowedValue(requests, at, (window,)))
        if len(self.waiting) > AHEAD:
            yield self._redeemed(self.waiting.popleft())

    def finish_bundle(self) -> Iterator[WindowedValue]:
        while self.waiting:
            yield self._redeemed(self.waiting.popleft())

    def _redeemed(self, waiting: WindowedValue) -> WindowedValue:
        requests = waiting.value
        redeem = self.claims.redeem
        return waiting.with_value(Requests((reference, redeem(b)) for reference, b in requests))


class HandOver(beam.PTransform[Any, Any]):
    """``{batches, models}`` in; lists of (reference, batch) out, of one serve window and shard.

    Attributes:
        cadence: how event time is divided.
        store: where an older model is looked for.
        shards: into how many parts a serve window is cut, to be scored side by side.
        claims: what can read the source's rows again; None: they travel.
    """

    def __init__(
        self, cadence: Cadence, store: Store, shards: int = 4, claims: Claims | None = None
    ) -> None:
        super().__init__()
        self.cadence = cadence
        self.store = store
        self.shards = shards
        self.claims = claims

    def expand(self, inputs: dict[str, Any]) -> Any:
        windows = serve_windows(self.cadence)
        keyed = tuple[int, pa.RecordBatch]
        if self.claims is None:
            shard = beam.Map(sharded, self.shards)
        else:
            shard = beam.Map(checked, self.shards, self.claims)
        batches = (
            inputs[BATCHES]
            | "Shard" >> shard.with_output_types(keyed)
            | "ServeWindow" >> beam.WindowInto(windows)
        )
        models = (
            inputs[MODELS]
            | "Send" >> beam.ParDo(Send(self.cadence, self.shards)).with_output_types(keyed)
            | "ModelServeWindow" >> beam.WindowInto(windows)
        )
        choose = Choose(self.cadence, self.store, self.claims is not None)
        requests = (
            {BATCHES: batches, MODELS: models}
            | "Meet" >> beam.CoGroupByKey()
            | "Choose" >> beam.ParDo(choose).with_output_types(Requests)
        )
        if self.claims is None:
            return requests
        return requests | "Redeem" >> beam.ParDo(Redeem(self.claims)).with_output_types(Requests)
