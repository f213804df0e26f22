"""Questions that wait for labels of a stream of their own: files by refresh and shard.

The questions of a refresh and a shard are one Parquet file: accepted rows and when each was asked,
sorted by key. A label looks for its question by a hash of the key, in the files of one wait. A file
in which it surely is not need not be opened: its metadata has a Bloom filter (Bloom 1970) of its
keys, beside the least and the greatest one.
"""

from __future__ import annotations

import base64
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model import files
from model.asof import format_name
from model.batch import (
    ID,
    KEY,
    LABEL,
    TIME,
    accepted_schema,
    concat,
    event_times,
    row_ids,
)
from model.cohorts import Clock
from model.labels import Ints, Mask
from model.sample import splitmix64
from model.schema import Schema

Hashes = npt.NDArray[np.uint64]
ASKED = "__asked"
"""When a question reached the stream: its time, or, of a late one, where the watermark stood."""
FILTER, LEAST, GREATEST = b"filter", b"least", b"greatest"
FIRST_OVER, LAST_OVER = b"first_over", b"last_over"
"""Keys of a file's metadata: its Bloom filter, the least and the greatest key, and when the first
and the last of its waits are over, microseconds."""
BITS, PROBES = 10, 4
"""A filter has so many bits a key, of which a key sets so many: 1 % of other keys seem to be in."""
KEPT_ROWS = 4_000_000
"""Maximum number of questions whose keys a process keeps in memory, 40 bytes each."""


def hash_keys(keys: pa.Array) -> Hashes:
    """A hash of each key, 64 bits: the same in every process, since files are named by it.

    Eight bytes at a time, each mixed by SplitMix64; null is 0.

    Example:
        >>> hash_keys(pa.array(["a", "b", None])).tolist()
        [3326218840847366555, 586878764030048176, 0]
    """
    texts = keys.cast(pa.large_string()).fill_null("")
    _, places, data = texts.buffers()
    begins = np.frombuffer(places, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    sizes = np.diff(begins)
    text = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    words = np.lib.stride_tricks.sliding_window_view(np.append(text, np.zeros(8, np.uint8)), 8)
    hashes = splitmix64(sizes)
    rows, at = np.flatnonzero(sizes > 0), 0
    while len(rows):
        word = words[begins[:-1][rows] + at].copy().view("<u8")[:, 0]
        beyond = np.maximum(8 - (sizes[rows] - at), 0).astype(np.uint64) * np.uint64(8)
        word = word << beyond  # what lies behind the text's end does not count
        hashes[rows] = splitmix64((hashes[rows] ^ word).view(np.int64))
        at += 8
        rows = rows[sizes[rows] > at]
    if keys.null_count:
        hashes[keys.is_null().to_numpy(zero_copy_only=False)] = 0
    return hashes


def shard_keys(hashes: Hashes, shards: int) -> Ints:
    """The shard of each key, by its hash.

    Example:
        >>> shard_keys(np.array([0, 2**40], np.uint64), 4).tolist()
        [0, 0]
    """
    found: Ints = ((hashes >> np.uint64(32)) % np.uint64(shards)).astype(np.int64)
    return found


class Filter(NamedTuple):
    """A Bloom filter of hashes: whether one is surely not in a set.

    Attributes:
        bits: as bytes, least bit first.

    Example:
        >>> hashes = hash_keys(pa.array(["a", "b", "c"]))
        >>> bool(Filter.of(hashes).may_hold(hashes).all())
        True
    """

    bits: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, hashes: Hashes) -> Filter:
        """The filter of some hashes."""
        size = max(64, BITS * len(hashes) + 7 & ~7)
        bits = np.zeros(size, np.bool_)
        for places in _probes(hashes, size):
            bits[places] = True
        return cls(np.packbits(bits, bitorder="little"))

    def may_hold(self, hashes: Hashes) -> Mask:
        """Which hashes may be in the set; of the others that is sure."""
        found = np.ones(len(hashes), np.bool_)
        for places in _probes(hashes, 8 * len(self.bits)):
            found &= (self.bits[places >> 3] >> (places & 7).astype(np.uint8) & 1).astype(np.bool_)
        return found


def _probes(hashes: Hashes, size: int) -> Iterator[Ints]:
    """The bits of each hash, by double hashing (Kirsch and Mitzenmacher 2008)."""
    step = (hashes >> np.uint64(32)) | np.uint64(1)
    for probe in range(PROBES):
        yield ((hashes + np.uint64(probe) * step) % np.uint64(size)).astype(np.int64)


def cut_by_key(
    rows: pa.RecordBatch, shards: int, key: str = KEY
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows of a batch by the shard of their key, each shard's in their order."""
    found = shard_keys(hash_keys(rows.column(key)), shards)
    for shard in range(shards):
        places = np.flatnonzero(found == shard)
        if len(places) == rows.num_rows:
            yield shard, rows
        elif len(places):
            yield shard, rows.take(pa.array(places))


def add_asked(rows: pa.RecordBatch, stamp: int) -> pa.RecordBatch:
    """An accepted batch with when its questions reached the stream.

    Args:
        rows: an accepted batch.
        stamp: the batch's, microseconds: where the watermark stood, if they are late.
    """
    asked = pa.array(np.maximum(event_times(rows), stamp))
    return rows.append_column(ASKED, asked)


class WaitingFile(NamedTuple):
    """A file of questions, as bytes, and when their waits are over, microseconds."""

    data: bytes
    rows: int


def write_questions(parts: list[pa.RecordBatch], clock: Clock) -> WaitingFile:
    """The questions of a refresh and a shard as a file: sorted by (key, time, row id).

    Args:
        parts: accepted rows with ``ASKED``, in any order.
        clock: when they can be answered.
    """
    rows = concat(parts)
    order = pc.sort_indices(
        rows, sort_keys=[(KEY, "ascending"), (TIME, "ascending"), (ID, "ascending")]
    )
    rows = rows.take(order)
    keys = rows.column(KEY)
    least, greatest = pc.min_max(keys).as_py().values()
    over = times_over(rows, clock)
    bits = Filter.of(hash_keys(keys.drop_null())).bits
    table = pa.Table.from_batches([rows]).replace_schema_metadata(
        {
            FILTER: base64.b64encode(bits.tobytes()),
            **{LEAST: (least or "").encode(), GREATEST: (greatest or "").encode()},
            **{FIRST_OVER: str(over.min()).encode(), LAST_OVER: str(over.max()).encode()},
        }
    )
    sink = pa.BufferOutputStream()
    texts = [f.name for f in rows.schema if not pa.types.is_primitive(f.type) and f.name != KEY]
    pq.write_table(table, sink, compression="lz4", use_dictionary=texts)
    return WaitingFile(sink.getvalue().to_pybytes(), rows.num_rows)


def times_over(rows: pa.RecordBatch, clock: Clock) -> Ints:
    """When the wait of each question is over, microseconds: never before it was asked."""
    asked: Ints = rows.column(ASKED).to_numpy()
    return np.maximum(event_times(rows) + clock.wait, asked)


class Index(NamedTuple):
    """The keys of a file of questions, in the order of their hashes.

    Attributes:
        refresh: the start of the refresh in which they were asked.
        hashes, keys: of the keys.
        ids, times, asked: of the questions, microseconds.
    """

    refresh: int
    hashes: Hashes
    keys: pa.Array
    ids: Ints
    times: Ints
    asked: Ints

    @classmethod
    def of(cls, rows: pa.RecordBatch, refresh: int) -> Index:
        """The index of accepted rows with ``ASKED``; those without a key are left out."""
        if rows.column(KEY).null_count:
            rows = rows.filter(rows.column(KEY).is_valid())
        hashes = hash_keys(rows.column(KEY))
        order = np.argsort(hashes, kind="stable")
        rows = rows.select([KEY, ID, TIME, ASKED]).take(pa.array(order))
        asked = rows.column(ASKED).to_numpy()
        return cls(
            refresh, hashes[order], rows.column(KEY), row_ids(rows), event_times(rows), asked
        )


class QuestionFile:
    """A file of questions that has been written.

    Attributes:
        path: of the file.
        refresh: the start of the refresh in which they were asked.
    """

    def __init__(self, path: str, refresh: int) -> None:
        self.path = path
        self.refresh = refresh
        source = path if files.is_local(path) else pa.BufferReader(files.read_whole(path))
        self.file = pq.ParquetFile(source, memory_map=True)

    def may_hold(self, hashes: Hashes) -> bool:
        """Whether a question with one of some hashes may be in the file."""
        bits = np.frombuffer(base64.b64decode(self._metadata[FILTER]), np.uint8)
        return bool(Filter(bits).may_hold(hashes).any())

    def may_be_over(self, start: int, end: int) -> bool:
        """Whether the wait of a question may be over from ``start`` to before ``end``."""
        first, last = (int(self._metadata[name]) for name in (FIRST_OVER, LAST_OVER))
        return first < end and last >= start

    def index(self) -> Index:
        """The keys, from memory if they were needed lately."""
        return _indices.get(self)

    def read(self, columns: list[str] | None = None) -> pa.RecordBatch:
        """The questions, by key; all columns, or some."""
        return whole_batch(self.file.read(columns=columns))

    @property
    def _metadata(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = self.file.schema_arrow.metadata
        return found


def whole_batch(table: pa.Table) -> pa.RecordBatch:
    """A table of rows as one batch, without metadata."""
    table = table.replace_schema_metadata(None).unify_dictionaries().combine_chunks()
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


class _Indices:
    """The indices that were needed last; safe for many threads."""

    def __init__(self, rows: int = KEPT_ROWS) -> None:
        self._most, self._rows = rows, 0
        self._kept: OrderedDict[tuple[str, object], Index] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, file: QuestionFile) -> Index:
        """The index of a file."""
        key = file.path, files.version(file.path)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        index = Index.of(file.read([KEY, ID, TIME, ASKED]), file.refresh)
        with self._lock:
            if key not in self._kept:
                self._kept[key], self._rows = index, self._rows + len(index.ids)
            while self._rows > self._most and len(self._kept) > 1:
                self._rows -= len(self._kept.popitem(last=False)[1].ids)
        return index


_indices = _Indices()


def question_path(folder: str, refresh: int, shard: int) -> str:
    """The path of a file of questions, of labels or of predictions, below its folder.

    Example:
        >>> question_path("run/questions", 0, 2)
        'run/questions/19700101T000000Z/00002.parquet'
    """
    return files.join(folder, format_name(refresh), f"{shard:05d}.parquet")


def horizon(clock: Clock) -> int:
    """For how many refreshes after its own a question, or a label, may count.

    For one wait; a label may come after it, or one refresh before its question.

    Example:
        >>> horizon(Clock(every=60, wait=90))
        4
    """
    return -(-clock.wait // clock.every) + 2


def joined_rows(
    rows: pa.RecordBatch, target: pa.Array, label_time: pa.Array, schema: Schema
) -> pa.RecordBatch:
    """Questions with their answers, as an accepted batch whose rows have both.

    Args:
        rows: accepted rows with ``ASKED``.
        target: of the labels.
        label_time: when they were known, as timestamps.
        schema: of the rows, joined.
    """
    layout = accepted_schema(schema)
    place = rows.schema.get_field_index(schema.target)
    rows = rows.set_column(place, rows.schema.field(place), target)
    rows = rows.append_column(LABEL, label_time)
    return pa.RecordBatch.from_arrays([rows.column(name) for name in layout.names], schema=layout)
