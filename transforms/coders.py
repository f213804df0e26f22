"""How what is shuffled and kept is written as bytes. Importing this registers the coders.

Every hot element is a ``pyarrow.RecordBatch``: an Arrow IPC stream.
"""

from __future__ import annotations

import json
import struct

import pyarrow as pa
from apache_beam import coders

from model.batch import Key, decode, encode
from model.metrics import Sums
from transforms.byhand import give, take
from transforms.sources.planner import Ticket


class RecordBatchCoder(coders.Coder):
    """A RecordBatch with its metadata, as an Arrow IPC stream (or ``byhand``)."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        return give(value) or encode(value)

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        kept = take(encoded)
        return decode(encoded) if kept is None else kept

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return pa.RecordBatch


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
