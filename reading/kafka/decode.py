"""Makes rows of records: a record is a row, and its id is its place in the topic.

How a record's value is read is the format's: ``reader_of`` finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa

from model.latest import reject_ahead
from model.rows import Row, RowError, from_dicts
from model.schema import Schema
from reading.documents import read_rows
from reading.kafka.client import Record

PARTITION_BITS, OFFSET_BITS = 14, 48
MAX_PARTITIONS = 1 << PARTITION_BITS
"""Maximum number of partitions of a topic."""
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
TOMBSTONE = RowError("", "has no value: it is a tombstone, which deletes what its key named")


def first_id(partition: int) -> int:
    """The row id of a partition's first record: ``1 << 62 | partition << 48``, never a file's.

    Example:
        >>> first_id(0) == 1 << 62, first_id(3) - first_id(2) == 1 << 48
        (True, True)
    """
    return 1 << PARTITION_BITS + OFFSET_BITS | partition << OFFSET_BITS


ReadValues = Callable[[Sequence[bytes | None]], list[Row]]
"""Reads the values of records: a row each, or why it is not one; None is a tombstone."""


def read_json(values: Sequence[bytes | None]) -> list[Row]:
    """Rows of values that are JSON objects.

    Example:
        >>> read_json([b'{"a": 1}', None])[0]
        {'a': 1}
    """
    read = iter(read_rows(b"\n".join(filter(None, values)), [v for v in values if v is not None]))
    return [TOMBSTONE if value is None else next(read) for value in values]


def decode(
    records: Sequence[Record], partition: int, schema: Schema, ahead: int, read: ReadValues
) -> pa.RecordBatch:
    """A raw batch of records.

    A record that cannot be read is a row with a problem, as are a tombstone and a row whose event
    time lies further than ``ahead`` after its record's timestamp.

    Args:
        records: in the order of their offsets.
        partition: where they come from.
        schema: of the rows.
        ahead: microseconds.
        read: reads their values.
    """
    ids = np.array([record.offset for record in records], np.int64) + first_id(partition)
    rows = read([record.value for record in records])
    if schema.format.time == "record":
        rows = [
            {**row, schema.time: EPOCH + timedelta(microseconds=record.time)}
            if isinstance(row, Mapping)
            else row
            for row, record in zip(rows, records, strict=True)
        ]
    batch = from_dicts(rows, ids, schema, absent_is_null=True)
    stamps = np.array([record.time for record in records], np.int64)
    return reject_ahead(batch, schema, stamps + ahead)
