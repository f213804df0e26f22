"""CompareLast: the baseline ``last`` where labels come later (``model.last_known``).

The targets that became known in a refresh are written to ``known/``; behind a shuffle, by which all
of the refreshes before have been written too, its answered questions are compared with what was
known when they were asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.transforms.window import IntervalWindow, TimestampedValue

from model.asof import Cadence
from model.batch import Tag
from model.cohorts import Clock
from model.ending import StreamEnd
from model.last_known import (
    KnownTargets,
    file_name,
    known_layout,
    newest_targets,
    sort_answered,
    sum_last,
    sums_key,
)
from model.schema import Schema
from transforms.elements import AnsweredTargets, KeyedSums
from transforms.stamps import WINDOW, last_time
from transforms.writing import WriteFn, write_file


def add_key(targets: AnsweredTargets) -> tuple[int, AnsweredTargets]:
    """Targets with the one key that a refresh has."""
    return 0, targets


def write_known(
    keyed: tuple[int, Iterable[AnsweredTargets]],
    folder: str,
    cadence: Cadence,
    end: StreamEnd,
    window: IntervalWindow,
) -> Iterator[tuple[int, AnsweredTargets]]:
    """Writes what became known in a refresh, and passes its answered questions on in order."""
    if not end.includes(window.end.micros):
        return
    start = window.start.micros
    answered = sort_answered([part.rows for part in keyed[1]])
    sink = pa.BufferOutputStream()
    pq.write_table(newest_targets(answered, cadence), sink)
    write_file(folder, (file_name(start),), sink.getvalue().to_pybytes())
    yield 0, AnsweredTargets(Tag(sums_key(start), start, "", 0), answered)


class CompareLastFn(beam.DoFn):
    """The error of the baseline over the questions that a refresh has answered.

    Attributes:
        folder: ``known/`` of the run's folder.
        clock: when questions can be answered.
        layout: the columns of its files.
    """

    def __init__(self, folder: str, clock: Clock, layout: pa.Schema) -> None:
        self.folder = folder
        self.clock = clock
        self.layout = layout

    def setup(self) -> None:
        self.known = KnownTargets(self.folder, self.clock, self.layout)

    def process(
        self, grouped: tuple[int, Iterable[AnsweredTargets]], window: IntervalWindow = WINDOW
    ) -> Iterator[TimestampedValue[tuple[int, KeyedSums]]]:
        [answered] = grouped[1]
        start = window.start.micros
        sums = sum_last(answered.rows, self.known.until(start), start)
        yield TimestampedValue((0, KeyedSums(answered.tag.key, sums)), last_time(window))


class CompareLast(
    beam.PTransform[beam.PCollection[AnsweredTargets], beam.PCollection[tuple[int, KeyedSums]]]
):
    """Answered questions in, each in the refresh of its label; the baseline's errors out.

    Attributes:
        folder: ``known/`` of the run's folder.
        cadence: how event time is divided.
        clock: when questions can be answered.
        end: where the stream ends: of a refresh that ends later there is nothing.
        schema: of the rows.
    """

    def __init__(
        self, folder: str, cadence: Cadence, clock: Clock, end: StreamEnd, schema: Schema
    ) -> None:
        super().__init__()
        self.schema = schema
        self.folder = folder
        self.cadence = cadence
        self.clock = clock
        self.end = end

    def expand(
        self, answered: beam.PCollection[AnsweredTargets]
    ) -> beam.PCollection[tuple[int, KeyedSums]]:
        keyed = tuple[int, AnsweredTargets]
        write = beam.ParDo(WriteFn(write_known, self.folder, self.cadence, self.end))
        compare = beam.ParDo(CompareLastFn(self.folder, self.clock, known_layout(self.schema)))
        return (
            answered
            | "Key" >> beam.Map(add_key).with_output_types(keyed)
            | "Group" >> beam.GroupByKey()
            | "Write" >> write.with_output_types(keyed)
            | "Before" >> beam.GroupByKey()
            | "Compare" >> compare.with_output_types(tuple[int, KeyedSums])
        )
