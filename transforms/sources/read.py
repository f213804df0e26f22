"""PlannedSource: a source of batches from a plan of work items."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.io.unbounded_source import ReadFromUnboundedSource, UnboundedSource
from apache_beam.pvalue import PBegin
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.windowed_value import WindowedValue

from model.batch import tag_of
from model.ending import StreamEnd
from transforms import coders  # noqa: F401  # what a source emits is shuffled by them
from transforms.counters import count, max_gauge
from transforms.elements import RawBatch, WorkItem
from transforms.sources.planner import ITEMS_A_BUNDLE, Drain, Planner
from transforms.sources.work_items import DeferredRows, Reader, WorkPlan
from transforms.stamps import beam_time

AHEAD = 2
"""So many work items are begun to be read before their turn: to decode a row group's beginning
may take longer than what is done with the one before."""


Stamped = TimestampedValue[RawBatch]


class ReadFn(beam.DoFn):
    """Turns a work item into its raw batches, each stamped with its own least stamp.

    Attributes:
        counted: what rows are counted as.
    """

    counted = "rows read"

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def process(self, item: WorkItem) -> Iterator[Stamped]:
        return self.stamp(item, self.reader(item))

    def stamp(self, item: WorkItem, batches: Iterator[RawBatch]) -> Iterator[Stamped]:
        """A work item's batches, counted."""
        for batch in batches:
            count(self.counted, batch.num_rows)
            if self.counted == ReadFn.counted:
                max_gauge("watermark", item.at)
            yield TimestampedValue(batch, beam_time(tag_of(batch).at))


class ReadAheadFn(ReadFn):
    """As ``ReadFn``, for a reader that begins to read when it is asked: some work items ahead.

    A work item's batches go out when ``AHEAD`` more of its bundle have come, or its bundle ends: so
    they wait for that, which a live source's must not.
    """

    def start_bundle(self) -> None:
        self.begun: deque[tuple[WorkItem, Iterator[RawBatch]]] = deque()

    def process(self, item: WorkItem) -> Iterator[Stamped]:
        self.begun.append((item, self.reader(item)))
        if len(self.begun) > AHEAD:
            yield from self.stamp(*self.begun.popleft())

    def finish_bundle(self) -> Iterator[WindowedValue]:
        while self.begun:
            for one in self.stamp(*self.begun.popleft()):
                yield WindowedValue(one.value, one.timestamp, (GlobalWindow(),))


class ReadInOrderFn(ReadFn):
    """As ``ReadFn``, for a reader that goes on fastest where it has stopped.

    A bundle's work items are read in the order of their places: shuffled, they come in any. What
    a bundle makes leaves when it ends, so none waits for that.
    """

    def start_bundle(self) -> None:
        self.items: list[WorkItem] = []

    def process(self, item: WorkItem) -> Iterator[Stamped]:
        self.items.append(item)
        return iter(())

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for item in sorted(self.items, key=lambda one: (one.partition, one.start)):
            for one in self.stamp(item, self.reader(item)):
                yield WindowedValue(one.value, one.timestamp, (GlobalWindow(),))
        self.items = []


class PlannedSource(beam.PTransform[PBegin, beam.PCollection[RawBatch]]):
    """A source: plans work items, spreads them, reads them into batches.

    Attributes:
        work: the plan.
        reader: what reads a work item.
        poll: seconds until a planner that had no item due looks again.
        drain: how it is asked to end early; None: it is not.
        deferred_rows: what reads its rows again to be scored; None: rows travel.
        ahead: whether it is read some work items ahead (``ReadAheadFn``): not if it is live.
        ending: where it ends, and the file that says so; None: labels have no time.
        labels: the source of the labels, if they are a stream of their own.
        counted: what its rows are counted as.
        follows: the file with the end of the stream that it follows, if it is asked to drain.
    """

    def __init__(
        self,
        work: WorkPlan,
        reader: Reader,
        poll: float = 0.1,
        drain: Drain | None = None,
        deferred_rows: DeferredRows | None = None,
        ahead: bool = False,
        ending: StreamEnd | None = None,
        labels: PlannedSource | None = None,
        counted: str = "rows read",
        follows: str | None = None,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.counted = counted
        self.follows = follows
        self.ahead = ahead
        self.ending = ending
        self.deferred_rows = deferred_rows
        self.work = work
        self.reader = reader
        self.poll = poll
        self.drain = drain

    def expand(self, root: PBegin) -> beam.PCollection[RawBatch]:
        read = (ReadAheadFn if self.ahead else ReadFn)(self.reader)
        if self.counted != read.counted:
            read.counted = self.counted
        planner = Planner(self.work, drain=self.drain, ending=self.ending, follows=self.follows)
        return read_planned(root, planner, read, self.poll)


def read_planned(
    root: PBegin, planner: UnboundedSource, read: ReadFn, poll: float
) -> beam.PCollection[RawBatch]:
    """The batches of what a planner plans.

    Args:
        root: where it begins.
        planner: gives work items.
        read: turns a work item into batches.
        poll: seconds until a planner that had no item due looks again.
    """
    return (
        root
        | "Plan"
        >> ReadFromUnboundedSource(
            planner,
            poll_interval=poll,
            max_records_per_bundle=ITEMS_A_BUNDLE,
            max_read_time_seconds=1,
        )
        | "Ticket" >> beam.Map(lambda item: item).with_output_types(WorkItem)
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(read).with_output_types(RawBatch)
    )
