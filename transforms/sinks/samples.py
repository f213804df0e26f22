"""WriteSample: scored batches in, a sample of each refresh's rows in ``sample/`` out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import IntervalWindow, TimestampedValue

from model.answers import drop_label_time, hide_unknown
from model.asof import Cadence, format_name
from model.batch import ID, KEY, LATE, TIME, concat, filter_rows, row_ids, sort_by_time
from model.manifest import Reference
from model.sample import bottom_k, splitmix64
from model.schema import Schema
from model.store import ModelCache, model_cache
from transforms.coders import SAMPLES
from transforms.elements import (
    SampleRows,
    ScoredBatch,
    WrittenFile,
)
from transforms.sinks.predictions import prediction_column
from transforms.sinks.tables import Scored, Written, nullable, parquet_bytes
from transforms.stamps import last_time
from transforms.windows import refreshes
from transforms.writing import WriteFn, write_file

SAMPLE_ROWS = 1_000
PREDICTION, NORMALIZED = "__prediction", "__normalized:"
"""Columns of a sample on its way; no schema names a column so."""


class SampleFn(beam.DoFn):
    """The rows of a scored batch that may be in its refresh's sample, raw and normalised."""

    def __init__(self, schema: Schema, store: str) -> None:
        self.schema = schema
        self.store = store

    def setup(self) -> None:
        self.cache: ModelCache = model_cache(self.store)

    def process(self, scored: ScoredBatch) -> Iterator[tuple[int, SampleRows]]:
        rows, inference = scored.batch.rows, scored.inference
        rows = drop_label_time(hide_unknown(rows, self.schema))
        rows = rows.append_column(PREDICTION, prediction_column(scored, self.schema))
        [rows] = bottom_k([rows], SAMPLE_ROWS)
        rows = self._add_normalized(rows, None if inference is None else inference.reference)
        yield 0, SampleRows(scored.batch.tag, rows)

    def _add_normalized(self, rows: pa.RecordBatch, reference: Reference | None) -> pa.RecordBatch:
        encoder = None if reference is None else self.cache.get(reference).encoder
        for name in self.schema.numeric:
            values = np.full(rows.num_rows, np.nan)
            if encoder is not None:
                values = encoder.standardize(rows, name)
            rows = rows.append_column(NORMALIZED + name, nullable(values))
        return rows


def bottom_rows(parts: list[SampleRows]) -> list[SampleRows]:
    """The parts with ``SAMPLE_ROWS`` rows in all, at most: those with the least hashes."""
    kept = bottom_k([part.rows for part in parts], SAMPLE_ROWS)
    return [SampleRows(part.tag, rows) for part, rows in zip(parts, kept, strict=True)]


def _cut(part: SampleRows, bound: np.uint64) -> SampleRows:
    """The part without the rows whose ids' hashes are above a bound."""
    return SampleRows(part.tag, filter_rows(part.rows, splitmix64(row_ids(part.rows)) <= bound))


class _Parts(list[SampleRows]):
    """Parts of a sample.

    Attributes:
        bound: the greatest hash of an id that may still be in the sample; None: not known.
    """

    bound: np.uint64 | None = None


class BottomRows(beam.CombineFn):
    """Combines candidates into a refresh's sample, in the order of (event time, row id).

    Serve windows of 100 ms make thousands of batches a refresh, so not all parts are gone through
    for each: only when there are twice the rows of a sample. From then on a part that comes is cut
    by the bound known, so the rows must double until they are gone through again. A part that has
    no row left stays, since the categories of the file are those of all parts, in their order.
    """

    def create_accumulator(self) -> list[SampleRows]:
        return _Parts()

    def add_input(self, accumulator: list[SampleRows], rows: SampleRows) -> list[SampleRows]:
        return self._add(accumulator, [rows])

    def merge_accumulators(self, accumulators: Iterable[list[SampleRows]]) -> list[SampleRows]:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged = self._add(merged, accumulator)
        return merged

    def compact(self, accumulator: list[SampleRows]) -> list[SampleRows]:
        return bottom_rows(accumulator)

    def extract_output(self, accumulator: list[SampleRows]) -> SampleRows:
        parts = sorted(bottom_rows(accumulator), key=lambda part: part.tag.key)
        return SampleRows(parts[0].tag, sort_by_time(concat([part.rows for part in parts])))

    def _add(self, accumulator: list[SampleRows], found: list[SampleRows]) -> list[SampleRows]:
        bound = accumulator.bound if isinstance(accumulator, _Parts) else None
        accumulator.extend(found if bound is None else [_cut(part, bound) for part in found])
        if sum(part.rows.num_rows for part in accumulator) <= 2 * SAMPLE_ROWS:
            return accumulator
        parts = _Parts(bottom_rows(accumulator))
        parts.bound = max(splitmix64(row_ids(p.rows)).max() for p in parts if p.rows.num_rows)
        return parts

    def get_accumulator_coder(self) -> beam.coders.Coder:
        return SAMPLES


class WriteSample(beam.PTransform[Scored, Written]):
    """Scored batches in; ``<refresh start>.parquet`` below a folder out.

    Each has up to 1,000 rows.

    Attributes:
        folder: where.
        schema: the meaning of the columns.
        cadence: how event time is divided.
        store: the path of the store, whose encoders normalise.
    """

    def __init__(self, folder: str, schema: Schema, cadence: Cadence, store: str) -> None:
        super().__init__()
        self.folder = folder
        self.schema = schema
        self.cadence = cadence
        self.store = store

    def expand(self, scored: Scored) -> Written:
        candidates = beam.ParDo(SampleFn(self.schema, self.store))
        write = beam.ParDo(WriteFn(write_sample, self.folder, self.schema))
        return (
            scored
            | "Sample" >> candidates.with_output_types(tuple[int, SampleRows])
            | "Refresh" >> beam.WindowInto(refreshes(self.cadence))
            | "Combine" >> beam.CombinePerKey(BottomRows())
            | "Write" >> write.with_output_types(WrittenFile)
        )


def sample_name(column: str, schema: Schema) -> str:
    """What a column of a sample is called in its file; the schema's own names go before ours."""
    names = {ID: "id", TIME: "time", LATE: "late", KEY: "key", PREDICTION: "prediction"}
    ours = names.get(column, column)
    if column.startswith(NORMALIZED):
        ours = f"{column.removeprefix(NORMALIZED)} (normalized)"
    return column if ours in (*schema.roles, *schema.keep) else ours


def write_sample(
    keyed: tuple[int, SampleRows], folder: str, schema: Schema, window: IntervalWindow
) -> Iterator[TimestampedValue[WrittenFile]]:
    """Writes a refresh's sample; gives the file (``WrittenFile``), stamped."""
    rows = pa.Table.from_batches([keyed[1].rows])
    for name in schema.numeric if schema.classifies else (schema.target, *schema.numeric):
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, name, nullable(rows.column(name).to_numpy()))
    if schema.classifies:
        at = rows.schema.get_field_index(schema.target)
        rows = rows.set_column(at, schema.target, rows.column(at).cast(pa.string()))
    if schema.time in schema.keep:
        rows = rows.append_column(schema.time, rows.column(TIME))
    rows = rows.rename_columns([sample_name(name, schema) for name in rows.column_names])
    names = (f"{format_name(window.start.micros)}.parquet",)
    yield TimestampedValue(write_file(folder, names, parquet_bytes(rows)), last_time(window))
