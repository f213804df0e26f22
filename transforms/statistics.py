"""Statistics of a window, and its rows, in one combiner.

Both come out of one firing, whole: joining a window's statistics to its rows afterwards loses
a side now and then on some runners. Each batch is summarised before the shuffle, block by block,
and the blocks are added in the order of their rows' ids: so neither bundling nor the cut into
batches changes a digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import (
    GlobalWindows,
    IntervalWindow,
    TimestampedValue,
)
from apache_beam.typehints import with_input_types, with_output_types
from apache_beam.utils.timestamp import Timestamp

from model.asof import Cadence
from model.batch import concat
from model.block_sums import finish
from model.classes.sample import count_classes, keep_classes
from model.ending import NO_END, StreamEnd
from model.labels import cut_labelled_rows, merge_label_times
from model.manifest import Window
from model.sample import bottom_k
from model.schema import Schema
from model.summaries import REDUCED_ROWS, summarize_rows
from transforms.coders import SUMMARIES
from transforms.elements import NOWHERE, AcceptedBatch, Summary, WindowData
from transforms.stamps import STAMP, WINDOW, beam_time
from transforms.windows import training_windows

ROOM = 20_000
"""An accumulator is cut down to its sample when it has twice as many rows, and more than these."""


def summarize(
    batch: AcceptedBatch, schema: Schema, reduce: bool = False, halves: bool = False
) -> Summary | None:
    """The rows of an accepted batch that are trained on, with their statistics.

    Late rows and rows without a target are left out; None if no row is left.

    Args:
        batch: an accepted batch.
        schema: the meaning of its columns.
        reduce: adds the moments of all rows, and lets only a sample of the rows travel.
        halves: adds those of a half of the rows.
    """
    found = summarize_rows(batch.rows, schema, reduce, halves)
    if found is None:
        return None
    rows, sums = found
    if reduce and batch.rows.num_rows <= REDUCED_ROWS:  # else they are a copy
        rows = compact_copy(rows)
    return Summary(batch.tag, rows, sums)


def compact_copy(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch in memory of its own: a slice would keep all that it was cut from."""
    return batch.take(pa.array(np.arange(batch.num_rows)))


def sample(parts: list[Summary], rows: int, classes: str | None = None) -> list[Summary]:
    """The summaries with so many rows in all, at most, of those with the least hashes.

    Args:
        parts: of the batches.
        rows: how many stay.
        classes: the column of their classes, of which the rare ones are kept; None: there is none.
    """
    if classes is None:
        kept = bottom_k([part.rows for part in parts], rows)
    else:
        counts = count_classes(part.sums.categorical(classes) for part in parts)
        kept = keep_classes([part.rows for part in parts], classes, counts, rows)
    pairs = zip(parts, kept, strict=True)
    return [part if part.rows is left else replace(part, rows=left) for part, left in pairs]


@with_input_types(Summary)
@with_output_types(WindowData)
class CombineSummaries(beam.CombineFn):
    """Combines the summaries of a window's batches into its data, whose bounds come later.

    The accumulator is a list of summaries. Statistics are over all rows; of the rows, those
    with the least hashes stay if there are more than ``sample_rows`` (``model.sample``).

    Attributes:
        schema: the meaning of the columns.
        sample_rows: how many rows a window keeps at the most.
    """

    def __init__(self, schema: Schema, sample_rows: int = 1_000_000) -> None:
        self.schema = schema
        self.sample_rows = sample_rows
        # the rare ones of the classes are kept
        self.classes = schema.target if schema.classifies else None

    def create_accumulator(self) -> list[Summary]:
        return []

    def add_input(self, accumulator: list[Summary], part: Summary) -> list[Summary]:
        accumulator.append(part)
        return self._bound(accumulator)

    def merge_accumulators(self, accumulators: Iterable[list[Summary]]) -> list[Summary]:
        merged: list[Summary] = []
        for accumulator in accumulators:
            merged.extend(accumulator)
            merged = self._bound(merged)
        return merged

    def compact(self, accumulator: list[Summary]) -> list[Summary]:
        return sample(accumulator, self.sample_rows, self.classes)

    def extract_output(self, accumulator: list[Summary]) -> WindowData:
        # Those of one batch are in the order of the refreshes in which their labels are known.
        parts = sorted(accumulator, key=lambda part: (part.tag.key, part.tag.at))
        statistics, moments = finish([part.sums for part in parts], self.schema)
        rows = concat([part.rows for part in sample(parts, self.sample_rows, self.classes)])
        known = [part.known for part in parts if part.known is not None]
        return WindowData(
            NOWHERE,
            rows,
            statistics.cut(self.schema.max_categories),
            moments,
            merge_label_times(known) if known else None,
        )

    def get_accumulator_coder(self) -> beam.coders.Coder:
        return SUMMARIES

    def _bound(self, accumulator: list[Summary]) -> list[Summary]:
        if sum(part.rows.num_rows for part in accumulator) <= max(2 * self.sample_rows, ROOM):
            return accumulator
        return sample(accumulator, self.sample_rows, self.classes)


class SummarizeFn(beam.DoFn):
    """``summarize`` of each batch."""

    def __init__(self, schema: Schema, reduce: bool = False, halves: bool = False) -> None:
        self.schema = schema
        self.reduce = reduce
        self.halves = halves

    def process(self, batch: AcceptedBatch) -> Iterator[Summary]:
        summed = summarize(batch, self.schema, self.reduce, self.halves)
        if summed is not None:
            yield summed


class SummarizeLessonsFn(beam.DoFn):
    """``summarize`` of each batch, cut by the refreshes in which its labels become known.

    A piece is stamped with the least time of its labels, in its tag, too: it waits for its window
    in the shuffle.
    """

    def __init__(
        self, schema: Schema, cadence: Cadence, reduce: bool = False, halves: bool = False
    ) -> None:
        self.schema = schema
        self.cadence = cadence
        self.reduce = reduce
        self.halves = halves

    def process(
        self, batch: AcceptedBatch, at: Timestamp = STAMP
    ) -> Iterator[TimestampedValue[Summary]]:
        every, offset = self.cadence.every, self.cadence.offset
        for labelled in cut_labelled_rows(batch.rows, self.schema, every, batch.tag.at, offset):
            tag = batch.tag._replace(at=labelled.stamp)
            piece = AcceptedBatch(tag, labelled.rows)
            summed = summarize(piece, self.schema, self.reduce, self.halves)
            if summed is not None:
                stamped = replace(summed, known=labelled.known)
                # what was joined comes when its refresh ends
                yield TimestampedValue(stamped, max(beam_time(labelled.stamp), at))


KEYS = 8
"""Windows that follow each other have different keys, so that they may be trained side by side."""


def add_window_key(
    summary: Summary, every: int, window: IntervalWindow = WINDOW
) -> tuple[int, Summary]:
    """A window's summary with its key; windows end ``every`` microseconds apart."""
    return window.end.micros // every % KEYS, summary


class BoundFn(beam.DoFn):
    """Adds the window's bounds to its data, since a later stamp changes its window.

    Attributes:
        begin: microseconds; windows that start before are left out: a resumed run has
            not all of their rows.
        end: where the stream ends: windows that end later are left out, since it ends before they
            have all of their rows.
    """

    def __init__(self, begin: int | None, end: StreamEnd = NO_END) -> None:
        self.begin = begin
        self.end = end

    def process(
        self, keyed: tuple[int, WindowData], window: IntervalWindow = WINDOW
    ) -> Iterator[WindowData]:
        bounds, whole = Window(window.start.micros, window.end.micros), keyed[1]
        begun = self.begin is None or bounds.start >= self.begin
        if begun and self.end.includes(bounds.end):
            yield replace(whole, window=bounds)


class CollectWindows(
    beam.PTransform[beam.PCollection[AcceptedBatch], beam.PCollection[WindowData]]
):
    """Accepted batches in; the data of each window out.

    Attributes:
        schema: the meaning of the columns.
        cadence: how event time is divided. With a lag of 2 or more, a window's data is
            stamped ``(lag - 1) * every`` later and spread anew before it is trained on, so that
            a fit may take that long.
        sample_rows: how many rows a window keeps at the most.
        begin, end: see ``BoundFn``.
        reduce: sends moments in the place of most rows (``model.moments.suffice``).
        halves: sends those of a half of the rows, too, for a trial (``model.gate``).
    """

    def __init__(
        self,
        schema: Schema,
        cadence: Cadence,
        sample_rows: int = 1_000_000,
        begin: int | None = None,
        end: StreamEnd = NO_END,
        *,
        reduce: bool = False,
        halves: bool = False,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.cadence = cadence
        self.sample_rows = min(sample_rows, REDUCED_ROWS) if reduce else sample_rows
        self.reduce = reduce
        self.halves = reduce and halves
        self.begin = begin
        self.end = end

    def expand(self, accepted: beam.PCollection[AcceptedBatch]) -> beam.PCollection[WindowData]:
        every, lag = self.cadence.every, self.cadence.lag
        combine = CombineSummaries(self.schema, self.sample_rows)
        how = self.reduce, self.halves
        summarized = beam.ParDo(SummarizeFn(self.schema, *how))
        if self.schema.has_label_time:
            summarized = beam.ParDo(SummarizeLessonsFn(self.schema, self.cadence, *how))
        bounded = beam.ParDo(BoundFn(self.begin, self.end)).with_output_types(WindowData)
        windows = (
            accepted
            | "Summarize" >> summarized.with_output_types(Summary)
            | "Window" >> beam.WindowInto(training_windows(self.cadence))
            | "Key" >> beam.Map(add_window_key, every).with_output_types(tuple[int, Summary])
            | "Combine" >> beam.CombinePerKey(combine)
            | "Bound" >> bounded
            # In the global window, or the later stamp would put it into other sliding windows.
            | "Global" >> beam.WindowInto(GlobalWindows())
        )
        if lag == 1:
            return windows
        return (
            windows
            | "Delay" >> beam.Map(delay, (lag - 1) * every).with_output_types(WindowData)
            | "Spread" >> beam.Reshuffle()
        )


def delay(data: WindowData, by: int) -> TimestampedValue[WindowData]:
    """A window's data, stamped a millisecond before the refresh that its model serves."""
    return TimestampedValue(data, beam_time(data.window.end + by - 1))
