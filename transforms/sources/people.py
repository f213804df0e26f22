"""The people as a source: work items by arithmetic, rows by a counter-based generator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from model.asof import floor_to
from model.batch import SECOND, Key, Tag, split
from model.blocks import BLOCK
from model.latest import reject_later
from model.people import People
from model.schema import Schema
from transforms.elements import WorkItem
from transforms.sources.work_items import Extent

ANSWERS = 10
"""So many work items of labels are planned in a refresh: what a live run knows is a tenth old."""
LIVE_SECONDS = 0.2
"""A live batch leaves after so many seconds of rows at the latest."""


@dataclass(frozen=True)
class PeopleWork:
    """Plans the people: ``batch_rows`` rows a work item, in the order of their index.

    Attributes:
        people: the endless table.
        extent: which part of event time is read.
        batch_rows: rows a work item.
        live: whether a work item leaves no sooner than its last row's time.
    """

    people: People
    extent: Extent
    batch_rows: int
    live: bool = False

    def get(self, position: int) -> WorkItem | None:
        """The work item at a position; None at the end of the extent."""
        begin, end = self.extent
        skipped = 0 if begin is None else self.people.index_at(begin) // self.batch_rows
        first = (skipped + position) * self.batch_rows
        stop = first + self.batch_rows
        if end is not None:
            stop = min(stop, self.people.index_at(end + self.people.disorder))
        if stop <= first:
            return None
        at = self.people.time(first) - self.people.disorder
        at = at if begin is None else max(at, begin)
        return WorkItem(0, first, stop, first, stop - first, 1, at, self.extent.until)

    def due(self, position: int) -> float:
        """When the last row of the work item at a position exists, in seconds since the epoch."""
        item = self.get(position) if self.live else None
        return 0.0 if item is None else self.people.time(item.stop) / SECOND

    def reach(self, position: int) -> int:
        """All people before a position are stamped before; microseconds."""
        following = self.get(position)
        if following is None:
            return self.extent.until
        return self.people.time(following.first - 1) + 1

    def before(self, end: int) -> PeopleWork:
        """The same items, without the people that are stamped from ``end`` on."""
        return replace(self, extent=self.extent.before(end))


@dataclass(frozen=True)
class PeopleReader:
    """Makes a work item's rows.

    Attributes:
        people: the endless table.
        begin: rows that are stamped before are left out; None: none are.
        schema: whose columns are made, no others.
        latency: a serve window's length, microseconds: no batch straddles two.
        latest: rows after it are rejected; microseconds, None: none are.
        offset: how long behind multiples of ``latency`` serve windows begin, microseconds.
    """

    people: People
    begin: int | None
    schema: Schema
    latency: int
    latest: int | None = None
    offset: int = 0

    def __call__(self, item: WorkItem) -> Iterator[pa.RecordBatch]:
        """The work item's batches."""
        rows, stamps = self.people.arrivals(item.start, item.stop, self.schema.columns)
        rows = reject_later(rows, self.schema, self.latest)
        tag = Tag(Key(item.partition, item.start, 0), item.at, "people", 1)
        batches = split(rows, tag, self.latency, stamps, self.offset)
        return Extent(self.begin, item.until).within(batches)


@dataclass(frozen=True)
class AnswersWork:
    """Plans the labels of people, where they are a stream of their own: spans of their time.

    Attributes:
        people: the endless table.
        extent: which part of the labels' time is read.
        every: a refresh, microseconds; none of its ends is within a span.
        offset: how long behind multiples of ``every`` refreshes begin.
        live: whether a work item leaves no sooner than its span is over.
    """

    people: People
    extent: Extent
    every: int
    offset: int = 0
    live: bool = False

    @property
    def length(self) -> int:
        """Microseconds of a span: whole seconds have tenths."""
        return self.every // ANSWERS

    def begin(self, position: int) -> int:
        """When the span at a position begins, microseconds."""
        first = self.people.start if self.extent.begin is None else self.extent.begin
        return floor_to(first, self.every, self.offset) + position * self.length

    def get(self, position: int) -> WorkItem | None:
        """The work item at a position; None at the end of the extent."""
        begin = self.begin(position)
        if begin >= self.extent.until:
            return None
        end = begin + self.length
        first, stop = self.people.asked_before(begin, end)
        return WorkItem(0, begin, end, first, stop - first, 1, begin, self.extent.until)

    def due(self, position: int) -> float:
        """When all labels of the span at a position are known, in seconds since the epoch."""
        return self.begin(position + 1) / SECOND if self.live else 0.0

    def reach(self, position: int) -> int:
        """All labels of the spans before a position are known before; microseconds."""
        return min(self.begin(position), self.extent.until)

    def before(self, end: int) -> AnswersWork:
        """The same spans, without those that begin at ``end`` or later."""
        return replace(self, extent=self.extent.before(end))


@dataclass(frozen=True)
class AnswersReader:
    """Makes the labels of a work item.

    Attributes:
        people: the endless table.
        schema: of the labels.
        asked: people that are stamped before have no question; microseconds.
        batch_rows: so many people are looked at for a batch, at most.
    """

    people: People
    schema: Schema
    asked: int
    batch_rows: int

    def __call__(self, item: WorkItem) -> Iterator[pa.RecordBatch]:
        """The work item's batches."""
        stop = item.first + item.rows
        for part, first in enumerate(range(item.first, stop, self.batch_rows)):
            among = first, min(first + self.batch_rows, stop)
            span = item.start, item.stop
            rows = self.people.answers(among, span, self.asked, self.schema.columns)
            tag = Tag(Key(item.partition, item.start, part), item.at, "people", 1)
            yield from split(rows, tag, item.stop - item.start, offset=item.start)


def live_rows(rate: float, batch_rows: int, latency: int) -> int:
    """Rows of a live batch: those of 200 ms or a serve window, from one to ``batch_rows``.

    If they fill a block of rows (``model.blocks``), they are whole blocks.

    Args:
        rate: rows per second.
        batch_rows: rows of a batch, at most.
        latency: a serve window's length, microseconds.
    """
    rows = int(rate * min(LIVE_SECONDS, latency / SECOND))
    return max(1, min(batch_rows, rows // BLOCK * BLOCK if rows > BLOCK else rows))


PeopleTickets = PeopleWork
"""Pickled by this name in savepoints of version 0.1."""
