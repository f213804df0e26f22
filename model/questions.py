"""Questions that wait for labels of a stream of their own: files by refresh and shard.

The questions of a refresh and a shard are one Parquet file: accepted rows and when each was asked,
sorted by key. A label looks for its question by a hash of the key, in the files of one wait. A file
in which it surely is not need not be opened: its metadata has a Bloom filter (Bloom 1970) of its
keys, beside the least and the greatest one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
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
from model.kept import Kept
from model.labels import Ints, Mask
from model.membership import find_places
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
KEPT_KEYS, KEPT_QUESTIONS = 192 << 20, 96 << 20
"""Maximum number of bytes of keys (some 50 a question), and of questions, that a process keeps in
memory, since each is looked for again in the next refresh."""
SLICE = 64
"""So many hashes are looked for in a filter first: where many labels come, one of them is there."""


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
    padded = np.append(text, np.zeros(8, np.uint8))
    words: Hashes = np.ndarray(
        len(text) + 1, "<u8", padded, strides=(1,)
    )  # one begins at each byte
    hashes = splitmix64(sizes)
    rows, at = np.flatnonzero(sizes > 0), 0
    while len(rows):
        word = words[begins[:-1][rows] + at]
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
    cuts = np.cumsum(np.bincount(found, minlength=shards))
    if shards > 1:  # small integers: a radix sort
        rows = rows.take(pa.array(np.argsort(found.astype(np.uint16), kind="stable")))
    for shard, (low, high) in enumerate(pairwise([0, *cuts.tolist()])):
        if low < high:
            yield shard, rows.slice(low, high - low)


def add_asked(rows: pa.RecordBatch, stamp: int) -> pa.RecordBatch:
    """An accepted batch with when its questions reached the stream.

    Args:
        rows: an accepted batch.
        stamp: the batch's, microseconds: where the watermark stood, if they are late.
    """
    asked = pa.array(np.maximum(event_times(rows), stamp))
    return rows.append_column(ASKED, asked)


class WaitingFile(NamedTuple):
    """A file of questions, as bytes, how many they are, and its index."""

    data: bytes
    rows: int
    keys: Index


def write_questions(parts: list[pa.RecordBatch], clock: Clock, refresh: int) -> WaitingFile:
    """The questions of a refresh and a shard as a file: sorted by (key, time, row id).

    Args:
        parts: accepted rows with ``ASKED``, in any order.
        clock: when they can be answered.
        refresh: the start of the refresh in which they were asked.
    """
    rows = concat(parts)
    rows = rows.take(pa.array(order_by_key(rows)))
    keys = rows.column(KEY).drop_null()
    least, greatest = (keys[0].as_py(), keys[-1].as_py()) if len(keys) else ("", "")
    over = times_over(rows, clock)
    index = Index.of(rows, refresh)
    bits = Filter.of(index.hashes).bits
    table = pa.Table.from_batches([rows]).replace_schema_metadata(
        {
            FILTER: base64.b64encode(bits.tobytes()),
            **{LEAST: least.encode(), GREATEST: greatest.encode()},
            **{FIRST_OVER: str(over.min()).encode(), LAST_OVER: str(over.max()).encode()},
        }
    )
    sink = pa.BufferOutputStream()
    texts = [f.name for f in rows.schema if not pa.types.is_primitive(f.type) and f.name != KEY]
    layout = {"use_dictionary": texts, "write_statistics": False}
    pq.write_table(table, sink, compression="lz4", **layout)
    return WaitingFile(sink.getvalue().to_pybytes(), rows.num_rows, index)


def order_by_key(rows: pa.RecordBatch) -> Ints:
    """The places of accepted rows in the order of (key, time, row id), those without a key last.

    By the first eight bytes of the keys, as whole numbers, and by all where these are the same:
    Arrow takes three times as long to sort texts.
    """
    texts = rows.column(KEY).cast(pa.large_string())
    words = _first_bytes(texts)
    order: Ints = np.argsort(words)
    same = np.diff(words[order]) == 0
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if len(tied):
        rest = rows.select([KEY, TIME, ID]).take(pa.array(order[tied]))
        by = [(KEY, "ascending"), (TIME, "ascending"), (ID, "ascending")]
        order[tied] = order[tied][pc.sort_indices(rest, sort_keys=by).to_numpy()]
    return order


def _first_bytes(texts: pa.LargeStringArray) -> Hashes:
    """The first eight bytes of each text, zeros behind its end; of null the greatest number."""
    _, places, data = texts.buffers()
    begins = np.frombuffer(places, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    beyond = (8 * np.maximum(8 - np.diff(begins), 0)).astype(np.uint64)
    text = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    at_each = np.ndarray(len(text) + 1, ">u8", np.append(text, np.zeros(8, np.uint8)), strides=(1,))
    words = at_each[begins[:-1]].astype(np.uint64)
    words = np.where(beyond < 64, words >> beyond % 64 << beyond % 64, 0)
    if texts.null_count:
        words[texts.is_null().to_numpy(zero_copy_only=False)] = 2**64 - 1
    return words


def times_over(rows: pa.RecordBatch, clock: Clock) -> Ints:
    """When the wait of each question is over, microseconds: never before it was asked."""
    asked: Ints = rows.column(ASKED).to_numpy()
    return np.maximum(event_times(rows) + clock.wait, asked)


class Index(NamedTuple):
    """The keys of a file of questions, in the order of their hashes.

    Attributes:
        refresh: the start of the refresh in which they were asked.
        hashes, keys: of the keys.
        starts: where the hashes that begin with the same bits lie, by these bits.
        ids, times, asked: of the questions, microseconds.
        newest: the greatest of the times; far in the past without one.
    """

    refresh: int
    hashes: Hashes
    keys: pa.Array
    ids: Ints
    times: Ints
    asked: Ints
    starts: Ints
    newest: int

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return int(self.keys.nbytes) + 4 * self.hashes.nbytes + self.starts.nbytes

    @classmethod
    def of(cls, rows: pa.RecordBatch, refresh: int) -> Index:
        """The index of accepted rows with ``ASKED``; those without a key are left out."""
        if rows.column(KEY).null_count:
            rows = rows.filter(rows.column(KEY).is_valid())
        hashes = hash_keys(rows.column(KEY))
        order = np.argsort(hashes, kind="stable")
        rows = rows.select([KEY, ID, TIME, ASKED]).take(pa.array(order))
        asked = rows.column(ASKED).to_numpy()
        hashes = hashes[order]
        keys, ids, times = rows.column(KEY), row_ids(rows), event_times(rows)
        bits = max(len(hashes).bit_length(), 1)
        counts = np.bincount((hashes >> np.uint64(64 - bits)).view(np.int64), minlength=1 << bits)
        starts = np.append(0, np.cumsum(counts))
        newest = int(times.max(initial=-(2**62)))
        return cls(refresh, hashes, keys, ids, times, asked, starts, newest)

    def find(self, hashes: Hashes) -> tuple[Ints, Ints]:
        """Which of some hashes are here, and where the first of each is.

        By their first bits, of which as many are taken as leave one hash or none to compare:
        in a fifth of the time of a binary search.
        """
        bits = len(self.starts).bit_length() - 1
        bucket = (hashes >> np.uint64(64 - bits)).view(np.int64)
        at, end = self.starts[bucket], self.starts[bucket + 1]
        rest, found = np.flatnonzero(at < end), []
        while len(rest):
            here, sought = self.hashes[at[rest]], hashes[rest]
            found.append(rest[here == sought])
            rest = rest[here < sought]
            at[rest] += 1
            rest = rest[at[rest] < end[rest]]
        hits = np.sort(np.concatenate([rest, *found]))
        return hits, at[hits]


class Questions(NamedTuple):
    """The questions of a file and their row ids, sorted.

    Attributes:
        rows: the questions.
        order: their places in the order of their row ids.
        ids: the row ids, sorted.
    """

    rows: pa.RecordBatch
    order: Ints
    ids: Ints

    @classmethod
    def of(cls, rows: pa.RecordBatch) -> Questions:
        """Questions by row id."""
        ids = row_ids(rows)
        order = np.argsort(ids)
        return cls(rows, order, ids[order])

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return int(self.rows.nbytes) + self.order.nbytes + self.ids.nbytes

    def find(self, ids: Ints) -> Ints:
        """The places of the questions of some row ids.

        Raises:
            ValueError: if one is not there.
        """
        places = find_places(ids, self.ids)
        if places is None:
            raise ValueError("a file of questions lacks one that a label was offered for")
        return self.order[places]


class QuestionFile:
    """A file of questions that has been written.

    Attributes:
        path: of the file.
        refresh: the start of the refresh in which they were asked.
    """

    def __init__(self, path: str, refresh: int) -> None:
        self.path = path
        self.refresh = refresh

    @cached_property
    def file(self) -> pq.ParquetFile:
        """The file, opened when it is needed."""
        local = files.is_local(self.path)
        source = self.path if local else pa.BufferReader(files.read_whole(self.path))
        return pq.ParquetFile(source, memory_map=True)

    def may_hold(self, hashes: Hashes) -> bool:
        """Whether a question with one of some hashes may be in the file."""
        if _indices.holds(self.path):
            return True  # to look in the keys costs less
        bits = Filter(np.frombuffer(base64.b64decode(self._metadata[FILTER]), np.uint8))
        return any(bits.may_hold(part).any() for part in (hashes[:SLICE], hashes[SLICE:]))

    def may_be_over(self, start: int, end: int) -> bool:
        """Whether the wait of a question may be over from ``start`` to before ``end``."""
        first, last = _extents.get(self.path, self._find_extent)
        return first < end and last >= start

    def _find_extent(self) -> tuple[int, int]:
        return int(self._metadata[FIRST_OVER]), int(self._metadata[LAST_OVER])

    def index(self) -> Index:
        """The keys, from memory if they were needed lately."""
        return _indices.get(self.path, self._read_index)

    def _read_index(self) -> Index:
        return Index.of(self.read([KEY, ID, TIME, ASKED]), self.refresh)

    def questions(self) -> Questions:
        """All columns, from memory if they were needed lately."""
        return _questions.get(self.path, lambda: Questions.of(self.read()))

    def read(self, columns: list[str] | None = None) -> pa.RecordBatch:
        """The questions, by key; all columns, or some."""
        return whole_batch(self.file.read(columns=columns, use_threads=False))

    @property
    def _metadata(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = self.file.schema_arrow.metadata
        return found


def whole_batch(table: pa.Table) -> pa.RecordBatch:
    """A table of rows as one batch, without metadata."""
    table = table.replace_schema_metadata(None).unify_dictionaries().combine_chunks()
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


_indices: Kept[Index] = Kept(KEPT_KEYS)
_questions: Kept[Questions] = Kept(KEPT_QUESTIONS)
_extents: Kept[tuple[int, int]] = Kept(1 << 20)


def keep_index(path: str, index: Index) -> None:
    """Keeps the index of a file that was just written, so that this process need not read it."""
    _indices.put(path, index)


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
