"""WriteCohorts: batches' parts in, ``cohorts/`` out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.transforms.window import IntervalWindow, TimestampedValue

from model.cohorts import Clock, CohortPart, file_name, merge_cohort
from model.ending import StreamEnd
from transforms.elements import (
    WrittenFile,
)
from transforms.sinks.tables import Written
from transforms.stamps import last_time
from transforms.writing import WriteFn, write_file


class WriteCohorts(beam.PTransform[beam.PCollection[tuple[int, CohortPart]], Written]):
    """Batches' parts in; ``<refresh start>.json`` below a folder out.

    A cohort is written in the refresh in which it is final, or when the stream has ended.

    Attributes:
        folder: where.
        clock: when questions can be answered.
        end: where the stream ends.
    """

    def __init__(self, folder: str, clock: Clock, end: StreamEnd) -> None:
        super().__init__()
        self.folder = folder
        self.clock = clock
        self.end = end

    def expand(self, parts: beam.PCollection[tuple[int, CohortPart]]) -> Written:
        write = beam.ParDo(WriteFn(write_cohort, self.folder, self.clock, self.end))
        return (
            parts | "Cohort" >> beam.GroupByKey() | "Write" >> write.with_output_types(WrittenFile)
        )


def write_cohort(
    keyed: tuple[int, Iterable[CohortPart]],
    folder: str,
    clock: Clock,
    end: StreamEnd,
    window: IntervalWindow,
) -> Iterator[TimestampedValue[WrittenFile]]:
    """Writes a cohort; gives the file, stamped, if the cohort is final."""
    start = clock.start_of(window.start.micros)
    cohort = merge_cohort(keyed[1], start, clock, end.find())
    written = write_file(folder, (file_name(start),), cohort.as_json())
    if cohort.final:
        yield TimestampedValue(written, last_time(window))
