"""How what is shuffled and kept is written as bytes. Importing this registers the coders.

Every hot element is a ``pyarrow.RecordBatch``: an Arrow IPC stream. What crosses a shuffle
lies in a runner's savepoint too, from which a changed program may be started. So each coder's
bytes begin with a head: what they are, and in which version. Bytes of another version are
refused (``OtherVersion``), never misread.

A change of what a coder's bytes mean, be it of a field's order or of a batch's columns and
metadata, raises the version in its head; ``tests/pipeline/test_upgrade.py`` has the bytes of
each version and says so. What is pickled (``FusedCoder``) stays within a bundle.
"""

from __future__ import annotations

import json
import pickle
import struct
from typing import Any, NamedTuple

import pyarrow as pa
from apache_beam import coders
from apache_beam.ml.inference.base import PredictionResult

from model.batch import Key, decode, encode
from model.labels import LabelCounts
from model.metrics import Metrics, Sums
from model.training import Normalized
from transforms.byhand import give, take
from transforms.sources.planner import Ticket

MAGIC = b"Cz"
KINDS = {
    b"B": "a batch",
    b"C": "a planner's checkpoint",
    b"M": "a refresh's figures",
    b"P": "a batch's part in a cohort",
    b"S": "a batch's sums",
    b"T": "a ticket",
}
"""What bytes may be, by the letter in their head."""


class OtherVersion(ValueError):
    """Bytes that another version of the program wrote, as into a savepoint."""


def head(kind: bytes, version: int) -> bytes:
    """The four bytes that a coder's bytes begin with.

    Args:
        kind: a letter of ``KINDS``.
        version: from 1 to 255.
    """
    return MAGIC + kind + bytes([version])


def named(encoded: bytes) -> str:
    """What bytes are by their head, for a person to read.

    Example:
        >>> named(head(b"T", 2)), named(bytes(4))
        ('a ticket of version 2', 'bytes without a version (00000000)')
    """
    kind = KINDS.get(encoded[2:3])
    if kind is None or not encoded.startswith(MAGIC) or len(encoded) < 4:
        return f"bytes without a version ({encoded[:4].hex()})"
    return f"{kind} of version {encoded[3]}"


def behind(head: bytes, encoded: bytes) -> bytes:
    """What stands behind a head.

    Raises:
        OtherVersion: if the bytes begin with another one.

    Example:
        >>> behind(head(b"T", 1), b"CzT" + bytes([1]) + b"body")
        b'body'
    """
    if not encoded.startswith(head):
        raise OtherVersion(
            f"{named(encoded)}: this program reads {named(head)}. A savepoint (or checkpoint) "
            "is read by the version of the program that took it: start from it with that one, "
            "drain the job instead of a savepoint, and go on with this one and --resume"
        )
    return encoded[len(head) :]


class HandedOverCoder(coders.Coder):
    """Of what is handed over by hand where it can be (``byhand``); else it is written and read."""

    def encode(self, value: Any) -> bytes:
        number = give(value)
        return self.write(value) if number is None else number

    def decode(self, encoded: bytes) -> Any:
        kept = take(encoded)
        return self.read(encoded) if kept is None else kept

    def is_deterministic(self) -> bool:
        return True

    def write(self, value: Any) -> bytes:
        """The value as bytes."""
        raise NotImplementedError

    def read(self, encoded: bytes) -> Any:
        """The value of those bytes."""
        raise NotImplementedError


class RecordBatchCoder(HandedOverCoder):
    """A RecordBatch with its metadata, as an Arrow IPC stream.

    Its head is filled up to eight bytes, to which Arrow aligns the columns: they are read
    where they lie.
    """

    head = head(b"B", 1) + bytes(4)

    def write(self, value: pa.RecordBatch) -> bytes:
        return encode(value, self.head)

    def read(self, encoded: bytes) -> pa.RecordBatch:
        if not encoded.startswith(self.head):
            behind(self.head, encoded)
        return decode(pa.py_buffer(encoded).slice(len(self.head)))

    def estimate_size(self, value: pa.RecordBatch) -> int:
        return near_bytes(value)

    def to_type_hint(self) -> type:
        return pa.RecordBatch


def near_bytes(batch: pa.RecordBatch) -> int:
    """About how many bytes a batch has: eight a value (to ask Arrow takes as long as to encode)."""
    return batch.num_rows * batch.num_columns * 8


class MetricsCoder(coders.Coder):
    """A refresh's figures, as the JSON of its report, which keeps every digit.

    Version 2 lacked the files, which may be absent: it is read too.
    """

    before, head = head(b"M", 2), head(b"M", 3)

    def encode(self, value: Metrics) -> bytes:
        return self.head + value.as_json()

    def decode(self, encoded: bytes) -> Metrics:
        first = self.before if encoded.startswith(self.before) else self.head
        return Metrics.model_validate_json(behind(first, encoded))

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
    """A ticket: its whole numbers, eight bytes each."""

    head = head(b"T", 1)
    layout = struct.Struct(f">4s{len(Ticket._fields)}q")

    def encode(self, value: Ticket) -> bytes:
        return self.layout.pack(self.head, *value)

    def decode(self, encoded: bytes) -> Ticket:
        behind(self.head, encoded)
        return Ticket(*self.layout.unpack(encoded)[1:])

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return Ticket


class KeyedSums(NamedTuple):
    """A batch's key and sums: what is merged into its refresh's."""

    key: Key
    sums: Sums


def dump_sums(sums: Sums) -> list[Any]:
    """The fields of sums, for JSON, which keeps every digit."""
    return list(sums)


def load_sums(fields: list[Any]) -> Sums:
    """The sums of their fields, as JSON has them."""
    *plain, bins, sums, profile, files, labels = fields
    return Sums(*plain)._replace(
        bins=tuple(bins),
        sums=tuple(sums),
        profile=profile,
        files=tuple((path, size) for path, size in files),
        labels=None if labels is None else LabelCounts.of(labels),
    )


class SumsCoder(HandedOverCoder):
    """A batch's key and sums, as JSON, which keeps every digit.

    Version 2 lacked the files, the last field of version 3: it is read too. Sums with what became
    of questions are written in version 4, which has that behind the files.
    """

    before, head, with_labels = head(b"S", 2), head(b"S", 3), head(b"S", 4)

    def write(self, value: KeyedSums) -> bytes:
        if value.sums.labels is not None:
            return self.with_labels + json.dumps((value.key, dump_sums(value.sums))).encode()
        return self.head + json.dumps((value.key, value.sums[:-1])).encode()

    def read(self, encoded: bytes) -> KeyedSums:
        known = (self.before, self.with_labels)
        mine = next((each for each in known if encoded.startswith(each)), self.head)
        key, fields = json.loads(behind(mine, encoded))
        lacking: list[Any] = [[], None] if mine == self.before else [None]
        lacking = [] if mine == self.with_labels else lacking
        return KeyedSums(Key(*key), load_sums([*fields, *lacking]))

    def to_type_hint(self) -> type:
        return KeyedSums


BATCHES = coders.IterableCoder(RecordBatchCoder())
SUMS = coders.IterableCoder(SumsCoder())

coders.registry.register_coder(pa.RecordBatch, RecordBatchCoder)
coders.registry.register_coder(Ticket, TicketCoder)
coders.registry.register_coder(KeyedSums, SumsCoder)
coders.registry.register_coder(Metrics, MetricsCoder)
for fused in (Normalized, PredictionResult):
    coders.registry.register_coder(fused, FusedCoder)
