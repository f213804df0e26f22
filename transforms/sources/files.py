"""Files as a source: replayed in event time, read in chunks, never a whole file in memory.

Each chunk's least event time is known before the replay, and work items leave in its order. So
no row of unsorted files is late, and the watermark still moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import pyarrow as pa

from model.batch import Key, Tag, slice_batch, split
from model.schema import Schema
from reading import Chunk, Plan, read
from reading.ahead import read_ahead
from reading.files import check_unchanged
from transforms.elements import OPEN, WorkItem
from transforms.sources.work_items import Extent

BLOCK_BYTES = 8 << 20
"""About so many bytes are read at once, as a row group of a million values: two threads that pass
each other less wait for each other, and for Python's lock, at every piece."""


def work_item_of(chunk: Chunk, until: int = OPEN) -> WorkItem:
    """The work item of a chunk, of the rows that are stamped before ``until``."""
    return WorkItem(
        partition=chunk.file,
        start=chunk.start,
        stop=chunk.stop,
        first=chunk.first,
        rows=chunk.rows,
        line=chunk.line,
        at=chunk.least,
        until=until,
    )


@dataclass(frozen=True)
class FileWork:
    """Plans files: a work item a chunk, in the order of their least event times.

    Attributes:
        plan: the files and their chunks (``reading.plan``).
        extent: which part of event time is read.
    """

    plan: Plan
    extent: Extent

    @cached_property
    def chunks(self) -> list[Chunk]:
        """The chunks that hold rows within the extent, as far as their bounds tell."""
        begin, end = self.extent
        return [
            chunk
            for chunk in self.plan.chunks
            if (begin is None or chunk.greatest >= begin) and (end is None or chunk.least < end)
        ]

    def get(self, position: int) -> WorkItem | None:
        """The work item at a position; None at the end."""
        if position >= len(self.chunks):
            return None
        return work_item_of(self.chunks[position], self.extent.until)

    def due(self, position: int) -> float:
        """At once: files are replayed as fast as they are read."""
        return 0.0

    def reach(self, position: int) -> int:
        """All rows of the chunks before a position are stamped before; microseconds."""
        before = self.chunks[:position]
        if not before:
            return self.chunks[0].least if self.chunks else 0
        return max(chunk.greatest for chunk in before) + 1

    def before(self, end: int) -> FileWork:
        """The same items, without the rows that are stamped from ``end`` on."""
        return replace(self, extent=self.extent.before(end))


@dataclass(frozen=True)
class FileReader:
    """Reads a work item's rows.

    Attributes:
        plan: the files.
        begin: rows that are stamped before are left out; None: none are.
        schema: whose columns are read, no others.
        latency: a serve window's length, microseconds: no batch straddles two.
        batch_rows: rows of a batch, at most.
        offset: how long behind multiples of ``latency`` serve windows begin, microseconds.
    """

    plan: Plan
    begin: int | None
    schema: Schema
    latency: int
    batch_rows: int
    offset: int = 0

    def __call__(self, item: WorkItem) -> Iterator[pa.RecordBatch]:
        """The work item's batches; the first are being read when this returns."""
        file = self.plan.files[item.partition]
        if file.format == "parquet":  # text has checksums
            check_unchanged(file)
        chunk = self._chunks[item.partition, item.start]
        blocks = read_ahead(read(file, chunk, self.schema, self.block_rows))
        return Extent(self.begin, item.until).within(self._batches(blocks, item, file.path))

    def _batches(
        self, blocks: Iterator[pa.RecordBatch], item: WorkItem, path: str
    ) -> Iterator[pa.RecordBatch]:
        line = item.line - item.first
        part = 0
        for block in blocks:
            for rows in slice_batch(block, self.batch_rows):
                tag = Tag(Key(item.partition, item.start, part), item.at, path, line)
                for piece in split(rows, tag, self.latency, offset=self.offset):
                    yield piece
                    part += 1

    @cached_property
    def _chunks(self) -> dict[tuple[int, int], Chunk]:
        return {(chunk.file, chunk.start): chunk for chunk in self.plan.chunks}

    def __getstate__(self) -> dict[str, object]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def block_rows(self) -> int:
        """How many rows are read at once: whole batches of them, one at least."""
        batch_bytes = 8 * len(self.schema.columns) * self.batch_rows
        return self.batch_rows * max(1, BLOCK_BYTES // batch_bytes)


FileTickets = FileWork
"""Pickled by this name in savepoints of version 0.1."""
