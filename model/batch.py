"""Batches: the rows of a stream as columns, with the ids, times and marks the source gives them.

A batch is a ``pyarrow.RecordBatch``. Beside the schema's columns it has

* ``__id`` (int64): the row's id, which orders rows of the same time;
* ``__time`` (timestamp[us, UTC]): its event time; null where it could not be read;
* ``__late`` (bool): the row came after the source's watermark had passed its time.

A source's batch (raw) may have three more: ``__problem`` (string: why the source could not
read the row; null where it could), ``__text`` (string: that row as it stood) and ``__line``
(int64: where, if that is not the row's ordinal). Where a file says how times are written, it has
``__label`` and, for each column of times that calendar features are computed from, ``__read_`` and
its name. ``validate`` turns it into an accepted batch: target and numeric features, those of the
calendar too, are float64 without nulls (NaN is null), categorical features, and a target
that is a class, are dictionary<int32, string> with nulls. Where the schema has an ``id``, ``__key``
(string) is the
user's own key of the row; columns of ``keep`` that have no other role are strings. Where it has
a ``label_time``, ``__label`` (timestamp[us, UTC]) is when the target became known; null for an open
question, which has no target either.

The schema's metadata carries a ``Tag``: the batch's key, its stamp, and where it came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.blocks import BLOCK

if TYPE_CHECKING:
    from model.schema import Schema

ID, TIME, LATE = "__id", "__time", "__late"
KEY, LABEL = "__key", "__label"
READ = "__read_"
"""What is put before the name of a column of times that was read where its file was."""
PROBLEM, TEXT, LINE = "__problem", "__text", "__line"
TIME_TYPE = pa.timestamp("us", tz="UTC")
CATEGORY_TYPE = pa.dictionary(pa.int32(), pa.string())
SECOND = 1_000_000
"""Microseconds: every time inside the job is an int64 of them since the epoch, in UTC."""


class Key(NamedTuple):
    """A batch's name and place in its source's order; the same on every retry."""

    partition: int
    start: int
    part: int


class Tag(NamedTuple):
    """A batch's identity, kept in its schema's metadata.

    Attributes:
        key: the batch's name; batches are merged in its order.
        at: the batch's stamp, microseconds: its least event time, or, for late rows,
            the source's watermark when they came.
        where: the path (or name) of what it was read from.
        line: what to add to a row's id to get its line (or row number) there.
    """

    key: Key
    at: int
    where: str
    line: int


@lru_cache(maxsize=8)
def accepted_schema(schema: Schema) -> pa.Schema:
    """The columns of an accepted batch."""
    return pa.schema(
        [
            pa.field(ID, pa.int64(), nullable=False),
            pa.field(TIME, TIME_TYPE, nullable=False),
            pa.field(LATE, pa.bool_(), nullable=False),
            _target_field(schema),
            *(pa.field(c, pa.float64(), nullable=False) for c in schema.numeric),
            *(pa.field(c, CATEGORY_TYPE) for c in schema.categorical),
            *([pa.field(LABEL, TIME_TYPE)] if schema.has_label_time else []),
            *([] if schema.id is None else [pa.field(KEY, pa.string())]),
            *(pa.field(c, pa.string()) for c in schema.passed),
        ]
    )


def _target_field(schema: Schema) -> pa.Field:
    if schema.classifies:
        return pa.field(schema.target, CATEGORY_TYPE)
    return pa.field(schema.target, pa.float64(), nullable=False)


def drop_carried(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """An accepted batch without the label's time and what is carried and not learned from."""
    if schema.id is None and not schema.passed and not schema.has_label_time:
        return batch
    return batch.select([ID, TIME, LATE, schema.target, *schema.numeric, *schema.categorical])


def with_tag(batch: pa.RecordBatch, tag: Tag) -> pa.RecordBatch:
    """The batch with that tag in its schema's metadata."""
    return batch.replace_schema_metadata(
        {
            "key": "/".join(map(str, tag.key)),
            "at": str(tag.at),
            "where": tag.where,
            "line": str(tag.line),
        }
    )


def tag_of(batch: pa.RecordBatch) -> Tag:
    """The tag of a batch.

    Raises:
        ValueError: if the batch has none.
    """
    metadata = batch.schema.metadata
    if not metadata or b"key" not in metadata:
        raise ValueError("a batch without a tag: make it with model.batch.with_tag")
    partition, start, part = metadata[b"key"].split(b"/")
    return Tag(
        Key(int(partition), int(start), int(part)),
        int(metadata[b"at"]),
        metadata[b"where"].decode(),
        int(metadata[b"line"]),
    )


def column(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.float64]:
    """A float64 column as numpy, without a copy; NaN is null."""
    values: npt.NDArray[np.float64] = batch.column(name).to_numpy(zero_copy_only=True)
    return values


def labelled_mask(batch: pa.RecordBatch, schema: Schema) -> npt.NDArray[np.bool_]:
    """Which rows have a target, as a mask of shape (rows,)."""
    if not schema.classifies:
        return ~np.isnan(column(batch, schema.target))
    mask: npt.NDArray[np.bool_]
    mask = batch.column(schema.target).is_valid().to_numpy(zero_copy_only=False)
    return mask


def all_within(values: npt.NDArray[np.float64], low: float, high: float) -> bool:
    """Whether there are numbers and all are in [low, high]; False if there is a NaN.

    Example:
        >>> all_within(np.array([1.0, 2.0]), 1.0, 2.0), all_within(np.array([np.nan]), 0.0, 2.0)
        (True, False)
    """
    return bool(len(values) and values.min() >= low and values.max() <= high)


def row_ids(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """The rows' ids, int64 of shape (rows,)."""
    values: npt.NDArray[np.int64] = batch.column(ID).to_numpy(zero_copy_only=True)
    return values


def event_times(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """The rows' event times in microseconds; null as the least int64."""
    return to_micros(batch.column(TIME))


def label_times(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """When the rows' labels became known, in microseconds; open questions as the least int64."""
    return to_micros(batch.column(LABEL))


def to_micros(times: pa.Array) -> npt.NDArray[np.int64]:
    """Timestamps in microseconds; null as the least int64."""
    times = times.view(pa.int64())
    if times.null_count:
        times = times.fill_null(np.iinfo(np.int64).min)
    values: npt.NDArray[np.int64] = times.to_numpy(zero_copy_only=True)
    return values


def late_mask(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Which rows are late, as a mask of shape (rows,)."""
    values: npt.NDArray[np.bool_] = batch.column(LATE).to_numpy(zero_copy_only=False)
    return values


def split(
    batch: pa.RecordBatch,
    tag: Tag,
    edge: int,
    stamps: npt.NDArray[np.int64] | None = None,
    offset: int = 0,
) -> Iterator[pa.RecordBatch]:
    """Cuts a source's batch so that no piece straddles a multiple of ``edge``.

    Rows keep their order within a piece. Undated rows take the tag's stamp.

    Args:
        batch: a raw batch.
        tag: its key (the part is counted on from it), least stamp, where and line.
        edge: microseconds: a serve window's length.
        stamps: microseconds, one a row: where a row counts in time. Without it the event
            time, never less than the tag's stamp.
        offset: microseconds: how long behind the multiples of ``edge`` it is cut.

    Yields:
        Tagged batches in order of time, each stamped with its own least stamp.

    Example:
        >>> rows = pa.record_batch({
        ...     ID: pa.array([7, 8, 9]), LATE: pa.array([False] * 3),
        ...     TIME: pa.array([1_000_000, 61_000_000, 2_000_000]).cast(TIME_TYPE)})
        >>> pieces = list(split(rows, Tag(Key(0, 0, 0), 0, "x", 0), 60 * SECOND))
        >>> [(p.column(ID).to_pylist(), tag_of(p).at) for p in pieces]
        [([7, 9], 1000000), ([8], 61000000)]
    """
    if batch.num_rows == 0:
        return
    if stamps is None:
        stamps = event_times(batch)
        if stamps.min() < tag.at:
            stamps = np.maximum(stamps, tag.at)
    least, greatest = int(stamps.min()), int(stamps.max())
    if (least - offset) // edge == (greatest - offset) // edge:
        yield with_tag(batch, tag._replace(at=least))
        return
    slots = (stamps - offset) // edge
    if (slots[1:] < slots[:-1]).any():
        order = np.argsort(slots, kind="stable")  # rows of a slot keep their order
        batch, stamps, slots = batch.take(pa.array(order)), stamps[order], slots[order]
    cuts = [0, *(np.flatnonzero(np.diff(slots)) + 1).tolist(), len(slots)]
    for part, (low, high) in enumerate(pairwise(cuts)):
        key = tag.key._replace(part=tag.key.part + part)
        at = int(stamps[low:high].min())
        yield with_tag(batch.slice(low, high - low), tag._replace(key=key, at=at))


def slice_batch(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    """Slices a batch into batches of at most ``rows`` rows, without a copy.

    If these are whole blocks of rows (``model.blocks``), it is cut at the edges of blocks alone;
    its ids are numbers that follow each other.
    """
    first = 0
    while first < batch.num_rows:
        taken = rows
        if rows % BLOCK == 0:
            taken -= batch.column(ID)[first].as_py() % BLOCK
        yield batch.slice(first, taken)
        first += taken


def sort_by_time(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Sorts the rows by (event time, row id), the order in which models are fitted."""
    times, ids = event_times(batch), row_ids(batch)
    later = np.diff(times)
    if (later > 0).all() or ((later >= 0).all() and (np.diff(ids)[later == 0] > 0).all()):
        return batch
    return batch.take(pa.array(np.lexsort((ids, times))))


def encode(batch: pa.RecordBatch, head: bytes = b"") -> bytes:
    """The batch as bytes: an Arrow IPC stream after a header.

    Arrow aligns columns to eight bytes from the stream's start: after a header whose length is a
    multiple of eight they are read without a copy.
    """
    sink = pa.BufferOutputStream()
    sink.write(head)  # first, not put before the stream's bytes: that would copy them
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def decode(data: bytes) -> pa.RecordBatch:
    """Decodes an Arrow IPC stream of one batch, without a copy of its columns."""
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        return reader.read_next_batch()


def concat(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Concatenates batches; the result has the metadata of the first.

    Raises:
        ValueError: if there is no batch.
    """
    if not batches:
        raise ValueError("no batch to concatenate")
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(
        [b.replace_schema_metadata(None) for b in batches]
    ).unify_dictionaries()
    joined = table.combine_chunks().to_batches()
    whole = joined[0] if joined else batches[0]
    return whole.replace_schema_metadata(batches[0].schema.metadata)


def filter_rows(batch: pa.RecordBatch, mask: npt.NDArray[np.bool_]) -> pa.RecordBatch:
    """The rows of a batch where a mask is true; the batch itself if it is true everywhere."""
    if mask.all():
        return batch
    return batch.filter(pa.array(mask))


def to_plain(values: pa.Array) -> list[object]:
    """A column's values as plain Python objects, times as ISO 8601, for messages and reports."""
    if pa.types.is_timestamp(values.type):
        values = pc.strftime(values, format="%Y-%m-%dT%H:%M:%SZ")
    return list(values.to_pylist())
