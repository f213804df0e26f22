"""How what is shuffled and kept is written as bytes. Importing this registers the coders.

Every hot element is a ``pyarrow.RecordBatch``: an Arrow IPC stream.
"""

from __future__ import annotations

import json
import pickle
import struct
from typing import Any

import pyarrow as pa
from apache_beam import coders
from apache_beam.ml.inference.base import PredictionResult

from model.artefact import Normalized
from model.batch import Key, decode, encode
from model.metrics import Metrics, Sums
from transforms.byhand import give, take
from transforms.sources.planner import Ticket


class RecordBatchCoder(coders.Coder):
    """A RecordBatch with its metadata, as an Arrow IPC stream (or ``byhand``)."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        return give(value) or encode(value)

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        kept = take(encoded)
        return decode(encoded) if kept is None else kept

    def estimate_size(self, value: pa.RecordBatch) -> int:
        return value.nbytes

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return pa.RecordBatch


class MetricsCoder(coders.Coder):
    """A refresh's figures, as the JSON of its report, which keeps every digit."""

    def encode(self, value: Metrics) -> bytes:
        return value.as_json()

    def decode(self, encoded: bytes) -> Metrics:
        return Metrics.model_validate_json(encoded)

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return Metrics


class FusedCoder(coders.Coder):
    """For what is passed on within a bundle: pickled where a runner insists.

    Beam samples the sizes of what flows; without a size of its own it would pickle whole
    windows for that.
    """

    def encode(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def decode(self, encoded: bytes) -> Any:
        return pickle.loads(encoded)

    def estimate_size(self, value: Any) -> int:
        return 0

    def to_type_hint(self) -> type:
        return object


class TicketCoder(coders.Coder):
    """A ticket: its seven whole numbers, eight bytes each."""

    layout = struct.Struct(">7q")

    def encode(self, value: Ticket) -> bytes:
        return self.layout.pack(*value)

    def decode(self, encoded: bytes) -> Ticket:
        return Ticket(*self.layout.unpack(encoded))

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return Ticket


class SumsCoder(coders.Coder):
    """A list of batches' keys and sums, as JSON, which keeps every digit."""

    def encode(self, value: list[tuple[Key, Sums]]) -> bytes:
        return json.dumps(value).encode()

    def decode(self, encoded: bytes) -> list[tuple[Key, Sums]]:
        return [(Key(*key), Sums(*sums)) for key, sums in json.loads(encoded)]

    def is_deterministic(self) -> bool:
        return True


BATCHES = coders.IterableCoder(RecordBatchCoder())

coders.registry.register_coder(pa.RecordBatch, RecordBatchCoder)
coders.registry.register_coder(Ticket, TicketCoder)
coders.registry.register_coder(Metrics, MetricsCoder)
for fused in (Normalized, PredictionResult):
    coders.registry.register_coder(fused, FusedCoder)
