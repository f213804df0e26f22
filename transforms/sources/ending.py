"""Where a source of one's own ends, if labels have a time: at one time for both clocks.

Files and people say beforehand where they end, and their planner writes it. Of any other source it
is known when its last row has come. So its batches wait until then; what stays in memory is what a
replay holds there anyway.
"""

from __future__ import annotations

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import AsSingleton
from apache_beam.transforms.window import GlobalWindows

from model.asof import Cadence
from model.batch import LABEL, event_times, tag_of, to_micros
from model.ending import read_end, write_end
from model.schema import Schema
from reading.plans import add_times
from transforms.elements import RawBatch
from transforms.windows import ALL_OF_TIME

Batches = beam.PCollection[RawBatch]


def find_reach(batch: RawBatch, schema: Schema, cadence: Cadence, latest: int | None = None) -> int:
    """The end of the refresh that holds the greatest time of either clock, microseconds.

    Args:
        batch: a raw batch with its tag.
        schema: of its rows, with ``label_time``.
        cadence: how event time is divided.
        latest: labels after it do not count, as their rows are rejected; None: all do.
    """
    batch = add_times(batch, schema)
    times = [tag_of(batch).at, int(event_times(batch).max())]
    if LABEL in batch.schema.names:
        labels = to_micros(batch.column(LABEL))
        labels = labels if latest is None else labels[labels <= latest]
        times.append(int(labels.max(initial=np.iinfo(np.int64).min)))
    return cadence.refresh_of(max(times)) + cadence.every


class WriteStreamEnd(beam.PTransform[Batches, Batches]):
    """Raw batches of a source that ends in; the same out, once its end stands in a file.

    Attributes:
        path: the file, ``until.json``.
        schema: of the rows, with ``label_time``.
        cadence: how event time is divided.
        latest: rows and labels after it are rejected, microseconds; None: none are.
    """

    def __init__(
        self, path: str, schema: Schema, cadence: Cadence, latest: int | None = None
    ) -> None:
        super().__init__()
        self.path = path
        self.schema = schema
        self.cadence = cadence
        self.latest = latest

    def expand(self, batches: Batches) -> Batches:
        reach = beam.Map(find_reach, self.schema, self.cadence, self.latest)
        end = (
            batches
            | "Reach" >> reach.with_output_types(int)
            # Beam groups nothing in the global window of a stream, and side inputs are global
            | "WholeStream" >> beam.WindowInto(ALL_OF_TIME)
            | "Greatest" >> beam.CombineGlobally(max).without_defaults()
            | "Global" >> beam.WindowInto(GlobalWindows())
            | "Write" >> beam.Map(write_once, self.path).with_output_types(int)
        )
        wait = beam.Map(pass_on, AsSingleton(end)).with_output_types(RawBatch)
        return batches | "Wait" >> wait


def write_once(until: int, path: str) -> int:
    """Writes a stream's end, unless it is there: a retry finds the same."""
    if read_end(path) is None:
        write_end(path, until)
    return until


def pass_on(batch: RawBatch, end: int) -> RawBatch:
    """The batch; it waits for the end."""
    return batch
