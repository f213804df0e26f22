"""Rows of Parquet files that are read a second time to be scored: only references to them travel.

Decoding a row group takes less than what it takes to carry its rows to another step, and what
is carried must be held: by the embedded runner and Prism a whole replay, by Flink all that waits
for its model. A reference has a batch's tag, which names the row group and the place in it. Text
takes longer to parse than to carry, so its rows travel.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import accumulate
from uuid import uuid4

from model.batch import Key, tag_of
from model.errors import UserError
from model.schema import Schema
from reading import Chunk, Plan
from reading.files import check_unchanged
from transforms.coders import estimate_bytes
from transforms.elements import AcceptedBatch, RawBatch, RowReference
from transforms.sources.files import FileReader, work_item_of
from transforms.validate import accept

ROOM = 1 << 30
"""Bytes of row groups that may be open at once."""
MOST_OPEN = 64
"""Row groups that may be open at once."""


def should_defer(plan: Plan, schema: Schema, room: int = ROOM) -> bool:
    """Whether to read a plan's rows again is worth it: there is Parquet, and mostly in order.

    Row groups that are needed at the same time must have room together. If not (as where each of
    many files has rows of all times), each would be read many times.

    Args:
        plan: the files.
        schema: whose columns are read.
        room: bytes.
    """
    columns = len(schema.columns) + 2  # the row's id and time
    steps: list[tuple[int, int, int]] = []
    for chunk in plan.chunks:
        if plan.files[chunk.file].format == "parquet":
            size = chunk.rows * columns * 8
            steps += [(chunk.least, 1, size), (chunk.greatest + 1, -1, -size)]
    steps.sort()
    items = max(accumulate(item for _, item, _ in steps), default=0)
    held = max(accumulate(size for _, _, size in steps), default=0)
    return 0 < items <= MOST_OPEN and held <= room


@dataclass
class DeferredFileRows:
    """``transforms.assign_models.DeferredRows`` of the rows of Parquet files.

    Attributes:
        reader: reads a work item's rows.
        name: which of a process's deferred rows these are; what is open is the process's own.
    """

    reader: FileReader
    name: str = field(default_factory=lambda: uuid4().hex)

    def defer(self, batch: AcceptedBatch) -> AcceptedBatch | RowReference:
        """A reference to a batch's rows; the batch itself if it is not of a Parquet file."""
        if self.reader.plan.files[batch.tag.key.partition].format != "parquet":
            return batch
        return RowReference(batch.tag, batch.rows.num_rows)

    def prefetch(self, batch: AcceptedBatch | RowReference) -> None:
        """Begins to read the work item of a reference, unless that has been begun."""
        if isinstance(batch, RowReference):
            open_items(self.name).prefetch(batch.tag.key, self)

    def materialize(self, batch: AcceptedBatch | RowReference) -> AcceptedBatch:
        """The accepted batch of a reference; an accepted batch is returned as it is.

        Raises:
            UserError: if the file has changed since it was planned.
            OSError: if it cannot be read any more.
        """
        if isinstance(batch, AcceptedBatch):
            return batch
        raw = open_items(self.name).take(batch.tag.key, self)
        # A raw batch of as many rows has no rejects: it need not be looked through again.
        return accept(raw, self.reader.schema, clean=raw.num_rows == batch.count)[0]

    def read(self, key: Key) -> Iterator[tuple[RawBatch, bool]]:
        """All raw batches of the work item of a key, and whether each is the last."""
        chunk = self._chunks[key.partition, key.start]
        check_unchanged(self.reader.plan.files[chunk.file])
        return _mark_last(self.reader(work_item_of(chunk)), chunk.rows)

    @cached_property
    def _chunks(self) -> dict[tuple[int, int], Chunk]:
        return {(chunk.file, chunk.start): chunk for chunk in self.reader.plan.chunks}

    def __getstate__(self) -> dict[str, object]:
        return {"reader": self.reader, "name": self.name}


def _mark_last(batches: Iterator[RawBatch], left: int) -> Iterator[tuple[RawBatch, bool]]:
    for raw in batches:
        left -= raw.num_rows
        yield raw, left == 0


class OpenItem:
    """A work item that is being read again: what was read and not yet taken is kept.

    Attributes:
        held: about how many bytes that is.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.batches: Iterator[tuple[RawBatch, bool]] | None = None
        self.kept: dict[int, RawBatch] = {}
        self.next = self.held = 0

    def prefetch(self, key: Key, rows: DeferredFileRows) -> None:
        """Begins to read, unless the batch of a key is at hand or to come."""
        if key.part not in self.kept and (self.batches is None or key.part < self.next):
            self.batches, self.next = rows.read(key), 0
            self.kept, self.held = {}, 0

    def take(self, key: Key, rows: DeferredFileRows) -> RawBatch:
        """The batch of a key; a retry, which takes it again, reads from the beginning."""
        self.prefetch(key, rows)
        while key.part not in self.kept:
            # Let go of meanwhile, and for good at the end or an error: a retry begins anew.
            batches, self.batches = self.batches or iter(()), None
            batch, last = next(batches, (None, True))
            if not last:
                self.batches = batches
            if batch is None:
                file = rows.reader.plan.files[key.partition]
                raise UserError(f"{file.path}: has changed since it was planned")
            part = tag_of(batch).key.part
            self.kept[part], self.next = batch, part + 1
            self.held += estimate_bytes(batch)
        taken = self.kept.pop(key.part)
        self.held -= estimate_bytes(taken)
        return taken


class OpenItems:
    """The items that a process reads again; safe for many threads.

    Attributes:
        room: so many bytes that were read and not yet taken may be kept; what was needed last
            stays.
        items: so many stay open at the most.
    """

    def __init__(self, room: int = ROOM, items: int = MOST_OPEN) -> None:
        self.room = room
        self.items = items
        self._open: OrderedDict[tuple[int, int], OpenItem] = OrderedDict()
        self._lock = threading.Lock()

    def prefetch(self, key: Key, rows: DeferredFileRows) -> None:
        """Begins to read the work item of a key."""
        item = self._item(key)
        with item.lock:
            item.prefetch(key, rows)

    def take(self, key: Key, rows: DeferredFileRows) -> RawBatch:
        """The raw batch of a key."""
        item = self._item(key)
        with item.lock:
            batch = item.take(key, rows)
            over = item.batches is None and not item.kept
        with self._lock:
            if over and self._open.get((key.partition, key.start)) is item:
                del self._open[key.partition, key.start]
            self._shrink()
        return batch

    def _item(self, key: Key) -> OpenItem:
        with self._lock:
            item = self._open.setdefault((key.partition, key.start), OpenItem())
            self._open.move_to_end((key.partition, key.start))
            return item

    def _shrink(self) -> None:
        held = sum(item.held for item in self._open.values())
        while len(self._open) > 1 and (held > self.room or len(self._open) > self.items):
            held -= self._open.popitem(last=False)[1].held


@cache
def open_items(name: str) -> OpenItems:
    """This process's open items of deferred rows of that name."""
    return OpenItems()
