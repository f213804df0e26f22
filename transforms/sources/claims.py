"""Claims on rows of Parquet files: they are read a second time to be scored, and do not travel.

Decoding a row group takes less than what it takes to carry its rows to another step, and what
is carried must be held: by the embedded runner and Prism a whole replay, by Flink all that waits
for its model. A claim is a batch's tag, which names the row group and the place in it. Text takes
longer to parse than to carry, so its rows travel.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import accumulate
from uuid import uuid4

import pyarrow as pa

from model.batch import Key, tag_of
from model.errors import UserError
from model.reading import Chunk, Plan
from model.reading.files import check_unchanged
from model.schema import Schema
from model.validation import validate
from transforms.coders import near_bytes
from transforms.sources.files import FileReader
from transforms.sources.planner import Ticket

ROOM = 1 << 30
"""Bytes of row groups that may be open at once."""
TICKETS = 64
"""Row groups that may be open at once."""
NO_COLUMNS = pa.record_batch({})
ROWS = b"rows"
"""The key, in a claim's metadata, of how many rows it stands for. Who has as many, unvalidated,
has the same: none was rejected."""


def worthwhile(plan: Plan, schema: Schema, room: int = ROOM) -> bool:
    """Whether claims on a plan's rows are worth it: there is Parquet, and mostly in order.

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
    tickets = max(accumulate(ticket for _, ticket, _ in steps), default=0)
    held = max(accumulate(size for _, _, size in steps), default=0)
    return 0 < tickets <= TICKETS and held <= room


@dataclass
class FileClaims:
    """``transforms.handover.Claims`` on the rows of Parquet files.

    Attributes:
        reader: reads a ticket's rows.
        name: which of a process's claims these are; what is open is the process's own.
    """

    reader: FileReader
    name: str = field(default_factory=lambda: uuid4().hex)

    def check(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The claim on an accepted batch; the batch itself if it is not of a Parquet file."""
        if self.reader.plan.files[tag_of(batch).key.partition].format != "parquet":
            return batch
        rows = b"%d" % batch.num_rows
        return NO_COLUMNS.replace_schema_metadata({**batch.schema.metadata, ROWS: rows})

    def prepare(self, batch: pa.RecordBatch) -> None:
        """Begins to read the ticket that a claim is on, unless that has been begun."""
        if not batch.num_columns:
            opened(self.name).prepare(tag_of(batch).key, self)

    def redeem(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The accepted batch for which a claim stands; a batch with columns is it itself.

        Raises:
            UserError: if the file has changed since it was planned.
            OSError: if it cannot be read any more.
        """
        if batch.num_columns:
            return batch
        raw = opened(self.name).take(tag_of(batch).key, self)
        clean = batch.schema.metadata.get(ROWS) == b"%d" % raw.num_rows
        return validate(raw, self.reader.schema, clean)[0]

    def read(self, key: Key) -> Iterator[tuple[pa.RecordBatch, bool]]:
        """All raw batches of the ticket of a key, and whether each is the last."""
        chunk = self._chunks[key[:2]]
        check_unchanged(self.reader.plan.files[chunk.file])
        return _counted(self.reader(Ticket(*chunk[:7])), chunk.rows)

    @cached_property
    def _chunks(self) -> dict[tuple[int, int], Chunk]:
        return {(chunk.file, chunk.start): chunk for chunk in self.reader.plan.chunks}

    def __getstate__(self) -> dict[str, object]:
        return {"reader": self.reader, "name": self.name}


def _counted(batches: Iterator[pa.RecordBatch], left: int) -> Iterator[tuple[pa.RecordBatch, bool]]:
    for raw in batches:
        left -= raw.num_rows
        yield raw, left == 0


class Opened:
    """A ticket that is being read again: what was read and not yet taken is kept.

    Attributes:
        held: about how many bytes that is.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.batches: Iterator[tuple[pa.RecordBatch, bool]] | None = None
        self.kept: dict[int, pa.RecordBatch] = {}
        self.next = self.held = 0

    def prepare(self, key: Key, claims: FileClaims) -> None:
        """Begins to read, unless the batch of a key is at hand or to come."""
        if key.part not in self.kept and (self.batches is None or key.part < self.next):
            self.batches, self.next = claims.read(key), 0
            self.kept, self.held = {}, 0

    def take(self, key: Key, claims: FileClaims) -> pa.RecordBatch:
        """The batch of a key; a retry, which takes it again, reads from the beginning."""
        self.prepare(key, claims)
        while key.part not in self.kept:
            # Let go of meanwhile, and for good at the end or an error: a retry begins anew.
            batches, self.batches = self.batches or iter(()), None
            batch, last = next(batches, (None, True))
            if not last:
                self.batches = batches
            if batch is None:
                file = claims.reader.plan.files[key.partition]
                raise UserError(f"{file.path}: has changed since it was planned")
            part = tag_of(batch).key.part
            self.kept[part], self.next = batch, part + 1
            self.held += near_bytes(batch)
        taken = self.kept.pop(key.part)
        self.held -= near_bytes(taken)
        return taken


class OpenTickets:
    """The tickets that a process reads again; safe for many threads.

    Attributes:
        room: so many bytes that were read and not yet taken may be kept; what was needed last
            stays.
        tickets: so many stay open at the most.
    """

    def __init__(self, room: int = ROOM, tickets: int = TICKETS) -> None:
        self.room = room
        self.tickets = tickets
        self._open: OrderedDict[tuple[int, int], Opened] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(self, key: Key, claims: FileClaims) -> None:
        """Begins to read the ticket of a key."""
        ticket = self._ticket(key)
        with ticket.lock:
            ticket.prepare(key, claims)

    def take(self, key: Key, claims: FileClaims) -> pa.RecordBatch:
        """The raw batch of a key."""
        ticket = self._ticket(key)
        with ticket.lock:
            batch = ticket.take(key, claims)
            over = ticket.batches is None and not ticket.kept
        with self._lock:
            if over and self._open.get(key[:2]) is ticket:
                del self._open[key[:2]]
            self._shrink()
        return batch

    def _ticket(self, key: Key) -> Opened:
        with self._lock:
            ticket = self._open.setdefault(key[:2], Opened())
            self._open.move_to_end(key[:2])
            return ticket

    def _shrink(self) -> None:
        held = sum(ticket.held for ticket in self._open.values())
        while len(self._open) > 1 and (held > self.room or len(self._open) > self.tickets):
            held -= self._open.popitem(last=False)[1].held


@cache
def opened(name: str) -> OpenTickets:
    """This process's open tickets of claims of that name."""
    return OpenTickets()
