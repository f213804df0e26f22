"""WriteOutcomes: answered questions in, ``outcomes/`` out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import IntervalWindow, TimestampedValue

from model.asof import format_name
from model.ending import StreamEnd
from transforms.elements import (
    OutcomeRows,
    WrittenFile,
)
from transforms.sinks.tables import Written, cut_by_shard, parquet_bytes
from transforms.stamps import last_time
from transforms.writing import WriteFn, write_file


class WriteOutcomes(beam.PTransform[beam.PCollection[OutcomeRows], Written]):
    """Answered questions in; ``<refresh start of the label>/<shard>.parquet`` out.

    Rows are in the order of (label time, row id).

    Attributes:
        folder: where.
        shards: how many files a refresh has at the most.
        end: where the stream ends: what is answered from there on is left out.
    """

    def __init__(self, folder: str, shards: int, end: StreamEnd) -> None:
        super().__init__()
        self.folder = folder
        self.shards = shards
        self.end = end

    def expand(self, answered: beam.PCollection[OutcomeRows]) -> Written:
        keyed = tuple[int, OutcomeRows]
        write = beam.ParDo(WriteFn(write_outcomes, self.folder, self.end))
        return (
            answered
            | "Shard" >> beam.FlatMap(cut_by_shard, self.shards).with_output_types(keyed)
            | "Group" >> beam.GroupByKey()
            | "Write" >> write.with_output_types(WrittenFile)
        )


def write_outcomes(
    keyed: tuple[int, Iterable[OutcomeRows]], folder: str, end: StreamEnd, window: IntervalWindow
) -> Iterator[TimestampedValue[WrittenFile]]:
    """Writes a shard of what was answered in a refresh; gives the file, stamped."""
    if not end.includes(window.end.micros):
        return
    shard, parts = keyed
    names = format_name(window.start.micros), f"{shard:05d}.parquet"
    # no metadata: Arrow writes an empty one into a file, and what was encoded has none
    table = pa.Table.from_batches([part.rows.replace_schema_metadata(None) for part in parts])
    ordered = table.sort_by([("label_time", "ascending"), ("id", "ascending")])
    again = [
        f.name for f in ordered.schema if not pa.types.is_primitive(f.type) and f.name != "key"
    ]
    data = parquet_bytes(ordered, dictionary=again)
    yield TimestampedValue(write_file(folder, names, data), last_time(window))
