"""Statistics of a window, and its rows, in one combiner.

Both come out of one firing, whole: joining a window's statistics to its rows afterwards loses
a side now and then on some runners. Each batch is summarised before the shuffle, and what it
says is merged in the order of batch keys, so that no bundling changes a digit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import (
    GlobalWindows,
    TimestampedValue,
)
from apache_beam.typehints import with_input_types, with_output_types

from model.asof import Cadence
from model.batch import (
    LATE,
    column,
    concat,
    drop_carried,
    filter_rows,
    late_mask,
    restamped,
    tag_of,
)
from model.ending import NO_END, StreamEnd
from model.labels import Known, cut_lessons, merge_known
from model.manifest import Window
from model.moments import Moments, from_bytes, summary
from model.moments import merge as merge_moments
from model.sample import bottom_k
from model.schema import Schema
from model.statistics import Statistics, merge, summarize_batch
from transforms.coders import BATCHES
from transforms.sources.planner import beam_time
from transforms.windows import training_windows

STATISTICS, MOMENTS, WINDOW, KNOWN = b"statistics", b"moments", b"window", b"known"
"""Keys of a batch's metadata: the statistics of its rows (JSON), their moments, its window, and
what is said of the times of their labels."""
ROOM = 20_000
"""An accumulator is cut down to its sample when it has twice as many rows, and more than these."""
SAMPLE_ROWS = 1_000
"""Where moments suffice so many rows of a window travel, for what only rows can tell."""

Batches = list[pa.RecordBatch]


def summarized(
    batch: pa.RecordBatch, schema: Schema, reduce: bool = False
) -> pa.RecordBatch | None:
    """The rows of an accepted batch that are trained on, with their statistics.

    Late rows and rows without a target are left out; None if no row is left.

    Args:
        batch: an accepted batch.
        schema: the meaning of its columns.
        reduce: adds the moments of all rows, and lets only a sample of the rows travel.
    """
    mask = ~np.isnan(column(batch, schema.target))
    if batch.column(LATE).true_count:
        mask &= ~late_mask(batch)
    rows = filter_rows(drop_carried(batch, schema), mask)
    if rows.num_rows == 0:
        return None
    if not reduce:
        return with_statistics(rows, summarize_batch(rows, schema))
    statistics, sums = summary(rows, schema)
    [sample] = bottom_k([rows], SAMPLE_ROWS)
    return with_statistics(own(rows) if sample is rows else sample, statistics, sums)


def own(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch in memory of its own: a slice would keep all that it was cut from."""
    return batch.take(pa.array(np.arange(batch.num_rows)))


def with_statistics(
    batch: pa.RecordBatch, statistics: Statistics, sums: Moments | None = None
) -> pa.RecordBatch:
    """The batch with statistics, and moments, in its metadata."""
    metadata = {**(batch.schema.metadata or {}), STATISTICS: statistics.model_dump_json().encode()}
    if sums is not None:
        metadata[MOMENTS] = sums.as_bytes()
    return batch.replace_schema_metadata(metadata)


def statistics_of(batch: pa.RecordBatch) -> Statistics:
    """The statistics in a batch's metadata."""
    return Statistics.model_validate_json(batch.schema.metadata[STATISTICS])


def moments_of(batch: pa.RecordBatch) -> Moments | None:
    """The moments in a batch's metadata, if it has some."""
    data = batch.schema.metadata.get(MOMENTS)
    return None if data is None else from_bytes(data)


def with_known(batch: pa.RecordBatch, known: Known) -> pa.RecordBatch:
    """The batch with what is said of the times of its labels in its metadata."""
    metadata = {**batch.schema.metadata, KNOWN: json.dumps(known).encode()}
    return batch.replace_schema_metadata(metadata)


def known_of(batch: pa.RecordBatch) -> Known | None:
    """What a batch's metadata says of the times of its labels, if it says anything."""
    data = batch.schema.metadata.get(KNOWN)
    return None if data is None else Known.of(json.loads(data))


def place_of(batch: pa.RecordBatch) -> tuple[Any, int]:
    """In which order a window's batches are merged: those of one batch by their labels' refresh."""
    tag = tag_of(batch)
    return tag.key, tag.at


def window_of(batch: pa.RecordBatch) -> Window:
    """The window's bounds in a batch's metadata."""
    start, end = batch.schema.metadata[WINDOW].split(b"/")
    return Window(int(start), int(end))


@with_input_types(pa.RecordBatch)
@with_output_types(pa.RecordBatch)
class WindowData(beam.CombineFn):
    """Combines summarised batches into a window's data: one batch with its statistics.

    The accumulator is a list of batches. Statistics are over all rows; of the rows, those
    with the least hashes stay if there are more than ``sample_rows`` (``model.sample``).

    Attributes:
        sample_rows: how many rows a window keeps at the most.
    """

    def __init__(self, sample_rows: int = 1_000_000) -> None:
        self.sample_rows = sample_rows

    def create_accumulator(self) -> Batches:
        return []

    def add_input(self, accumulator: Batches, batch: pa.RecordBatch) -> Batches:
        accumulator.append(batch)
        return self._bounded(accumulator)

    def merge_accumulators(self, accumulators: Iterable[Batches]) -> Batches:
        merged: Batches = []
        for accumulator in accumulators:
            merged.extend(accumulator)
            merged = self._bounded(merged)
        return merged

    def compact(self, accumulator: Batches) -> Batches:
        return bottom_k(accumulator, self.sample_rows)

    def extract_output(self, accumulator: Batches) -> pa.RecordBatch:
        parts = sorted(accumulator, key=place_of)
        statistics = merge(statistics_of(part) for part in parts)
        sums = [found for part in parts if (found := moments_of(part)) is not None]
        whole = merge_moments(sums, statistics) if sums else None
        rows = with_statistics(concat(bottom_k(parts, self.sample_rows)), statistics.cut(), whole)
        known = [each for part in parts if (each := known_of(part)) is not None]
        return with_known(rows, merge_known(known)) if known else rows

    def get_accumulator_coder(self) -> Any:
        return BATCHES

    def _bounded(self, accumulator: Batches) -> Batches:
        if sum(batch.num_rows for batch in accumulator) <= max(2 * self.sample_rows, ROOM):
            return accumulator
        return bottom_k(accumulator, self.sample_rows)


class Summarize(beam.DoFn):
    """``summarized`` of each batch."""

    def __init__(self, schema: Schema, reduce: bool = False) -> None:
        self.schema = schema
        self.reduce = reduce

    def process(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        rows = summarized(batch, self.schema, self.reduce)
        if rows is not None:
            yield rows


class SummarizeLessons(beam.DoFn):
    """``summarized`` of each batch, cut by the refreshes in which its labels become known.

    A piece is stamped with the least time of its labels, in its tag, too: it waits for its window
    in the shuffle.
    """

    def __init__(self, schema: Schema, cadence: Cadence, reduce: bool = False) -> None:
        self.schema = schema
        self.cadence = cadence
        self.reduce = reduce

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        tag = tag_of(batch)
        every, offset = self.cadence.every, self.cadence.offset
        for lesson in cut_lessons(batch, self.schema, every, tag.at, offset):
            rows = summarized(lesson.rows, self.schema, self.reduce)
            if rows is None:
                continue
            stamped = with_known(restamped(rows, lesson.stamp), lesson.known)
            yield TimestampedValue(stamped, beam_time(lesson.stamp))


KEYS = 8
"""Windows that follow each other have different keys, so that they may be trained side by side."""


def keyed(
    rows: pa.RecordBatch, every: int, window: Any = beam.DoFn.WindowParam
) -> tuple[int, pa.RecordBatch]:
    """A window's rows with its key; windows end ``every`` microseconds apart."""
    return window.end.micros // every % KEYS, rows


class Bound(beam.DoFn):
    """Writes the window's bounds into its data, since a later stamp changes its window.

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
        self, keyed: tuple[int, pa.RecordBatch], window: Any = beam.DoFn.WindowParam
    ) -> Iterator[pa.RecordBatch]:
        start, end = window.start.micros, window.end.micros
        begun = self.begin is None or start >= self.begin
        if begun and self.end.includes(end):
            metadata = {**keyed[1].schema.metadata, WINDOW: b"%d/%d" % (start, end)}
            yield keyed[1].replace_schema_metadata(metadata)


class CollectWindows(beam.PTransform[Any, Any]):
    """Accepted batches in; one batch a window out, with statistics and bounds.

    Attributes:
        schema: the meaning of the columns.
        cadence: how event time is divided. With a lag of 2 or more, a window's data is
            stamped ``(lag - 1) * every`` later and spread anew before it is trained on, so that
            a fit may take that long.
        sample_rows: how many rows a window keeps at the most.
        begin, end: see ``Bound``.
        reduce: sends moments in the place of most rows (``model.moments.suffice``).
    """

    def __init__(
        self,
        schema: Schema,
        cadence: Cadence,
        sample_rows: int = 1_000_000,
        *,
        begin: int | None = None,
        end: StreamEnd = NO_END,
        reduce: bool = False,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.cadence = cadence
        self.sample_rows = min(sample_rows, SAMPLE_ROWS) if reduce else sample_rows
        self.reduce = reduce
        self.begin = begin
        self.end = end

    def expand(self, accepted: Any) -> Any:
        every, lag = self.cadence.every, self.cadence.lag
        summarize = (
            SummarizeLessons(self.schema, self.cadence, self.reduce)
            if self.schema.has_label_time
            else Summarize(self.schema, self.reduce)
        )
        windows = (
            accepted
            | "Summarize" >> beam.ParDo(summarize).with_output_types(pa.RecordBatch)
            | "Window" >> beam.WindowInto(training_windows(self.cadence))
            | "Key" >> beam.Map(keyed, every).with_output_types(tuple[int, pa.RecordBatch])
            | "Combine" >> beam.CombinePerKey(WindowData(self.sample_rows))
            | "Bound" >> beam.ParDo(Bound(self.begin, self.end)).with_output_types(pa.RecordBatch)
            | "Global" >> beam.WindowInto(GlobalWindows())
        )
        if lag == 1:
            return windows
        return (
            windows
            | "Delay" >> beam.Map(delayed, (lag - 1) * every).with_output_types(pa.RecordBatch)
            | "Spread" >> beam.Reshuffle()
        )


def delayed(batch: pa.RecordBatch, by: int) -> Any:
    """A window's data, stamped a millisecond before the refresh that its model serves."""
    return TimestampedValue(batch, beam_time(window_of(batch).end + by - 1))
