"""Sinks: predictions, samples, reports and rejects, as files that are whole or absent.

Every file's name follows from what it holds, so a retry writes the same file again.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from model import files
from model.answers import drop_label_time, hide_unknown
from model.asof import Cadence, format_name
from model.batch import ID, KEY, LATE, TIME, TIME_TYPE, column, concat, sort_by_time, tag_of
from model.carried import carried_columns, carried_fields
from model.metrics import Metrics
from model.sample import bottom_k
from model.schema import Schema
from model.store import ModelCache, Store, model_cache
from transforms.coders import BATCHES
from transforms.handover import sharded
from transforms.sources.planner import last_time
from transforms.tally import count
from transforms.validate import Rejects
from transforms.windows import refreshes
from transforms.writing import WriteFn, WrittenFile, write_file

PREDICTIONS = pa.schema(
    [
        ("id", pa.int64()),
        ("time", TIME_TYPE),
        ("target", pa.float64()),
        ("prediction", pa.float64()),
        ("model", pa.string()),
        ("late", pa.bool_()),
    ]
)
SAMPLE_ROWS = 1_000
ALL_OF_TIME = FixedWindows(315_537_897_599, offset=-62_135_596_800)
"""One window of the years 1 to 9999. (Beam groups nothing of a stream in its global window
without a trigger, and the embedded runner takes none there.)"""
PREDICTION, NORMALIZED = "__prediction", "__normalized:"
"""Columns of a sample on its way; no schema names a column so."""


def parquet_bytes(rows: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()


def nullable(values: Any) -> pa.Array:
    """Float64 values as Arrow's; NaN becomes null."""
    return pa.array(values, from_pandas=True)


def predicted(result: Any, schema: Schema) -> pa.RecordBatch:
    """A scored batch as its rows stand in the predictions; its tag stays."""
    batch, inference = hide_unknown(result.example, schema), result.inference
    rows = batch.num_rows
    columns = [
        batch.column(ID),
        batch.column(TIME),
        nullable(column(batch, schema.target)),
        pa.nulls(rows, pa.float64()) if inference is None else nullable(inference.prediction),
        pa.repeat(pa.scalar(result.model_id, pa.string()), rows),
        batch.column(LATE),
        *_baseline(result, schema),
        *carried_columns(batch, schema),
    ]
    baseline = [pa.field("baseline", pa.float64())] if schema.has_label_time else []
    fields = [*PREDICTIONS, *baseline, *carried_fields(schema)]
    layout = pa.schema(fields, batch.schema.metadata)
    return pa.RecordBatch.from_arrays(columns, schema=layout)


def _baseline(result: Any, schema: Schema) -> list[pa.Array]:
    """What the baseline predicts, kept for when the labels are known, if they come later."""
    if not schema.has_label_time:
        return []
    baseline = None if result.inference is None else result.inference.baseline
    return [pa.repeat(pa.scalar(baseline, pa.float64()), result.example.num_rows)]


class WritePredictions(beam.PTransform[Any, Any]):
    """Scored batches in; ``<refresh start>/<shard>.parquet`` below a folder out (``WrittenFile``).

    Rows are in the order of (event time, row id).

    Attributes:
        folder: where.
        schema: the meaning of the columns.
        cadence: how event time is divided.
        shards: how many files a refresh has at the most.
    """

    def __init__(self, folder: str, schema: Schema, cadence: Cadence, shards: int) -> None:
        super().__init__()
        self.folder = folder
        self.schema = schema
        self.cadence = cadence
        self.shards = shards

    def expand(self, scored: Any) -> Any:
        return (
            scored
            | "Predicted" >> beam.Map(predicted, self.schema).with_output_types(pa.RecordBatch)
            | "Shard"
            >> beam.Map(sharded, self.shards).with_output_types(tuple[int, pa.RecordBatch])
            | "Refresh" >> beam.WindowInto(refreshes(self.cadence))
            | "Group" >> beam.GroupByKey()
            | "Write"
            >> beam.ParDo(WriteFn(write_predictions, self.folder)).with_output_types(WrittenFile)
        )


def write_predictions(
    keyed: tuple[int, Iterable[pa.RecordBatch]],
    folder: str,
    window: Any,
) -> Iterator[Any]:
    """Writes a shard of a refresh's predictions; gives the file, stamped."""
    shard, batches = keyed
    names = format_name(window.start.micros), f"{shard:05d}.parquet"
    table = pa.Table.from_batches([b.replace_schema_metadata(None) for b in batches])
    ordered = table.sort_by([("time", "ascending"), ("id", "ascending")])
    yield TimestampedValue(write_file(folder, names, parquet_bytes(ordered)), last_time(window))


class Sample(beam.DoFn):
    """The rows of a scored batch that may be in its refresh's sample, raw and normalised."""

    def __init__(self, schema: Schema, store: str) -> None:
        self.schema = schema
        self.store = store

    def setup(self) -> None:
        self.cache: ModelCache = model_cache(self.store)

    def process(self, result: Any) -> Iterator[tuple[int, pa.RecordBatch]]:
        inference = result.inference
        rows = drop_label_time(hide_unknown(result.example, self.schema))
        prediction = np.full(rows.num_rows, np.nan) if inference is None else inference.prediction
        rows = rows.append_column(PREDICTION, nullable(prediction))
        [rows] = bottom_k([rows], SAMPLE_ROWS)
        yield 0, self._normalized(rows, None if inference is None else inference.reference)

    def _normalized(self, rows: pa.RecordBatch, reference: Any) -> pa.RecordBatch:
        encoder = None if reference is None else self.cache.get(reference).encoder
        for name in self.schema.numeric:
            values = np.full(rows.num_rows, np.nan)
            if encoder is not None:
                values = encoder.standardize(rows, name)
            rows = rows.append_column(NORMALIZED + name, nullable(values))
        return rows


class BottomRows(beam.CombineFn):
    """Combines candidates into a refresh's sample."""

    def create_accumulator(self) -> list[pa.RecordBatch]:
        return []

    def add_input(
        self, accumulator: list[pa.RecordBatch], rows: pa.RecordBatch
    ) -> list[pa.RecordBatch]:
        return bottom_k([*accumulator, rows], SAMPLE_ROWS)

    def merge_accumulators(
        self, accumulators: Iterable[list[pa.RecordBatch]]
    ) -> list[pa.RecordBatch]:
        return bottom_k([rows for part in accumulators for rows in part], SAMPLE_ROWS)

    def extract_output(self, accumulator: list[pa.RecordBatch]) -> pa.RecordBatch:
        return sort_by_time(concat(sorted(accumulator, key=lambda rows: tag_of(rows).key)))

    def get_accumulator_coder(self) -> Any:
        return BATCHES


class WriteSample(beam.PTransform[Any, Any]):
    """Scored batches in; ``<refresh start>.parquet`` below a folder out (``WrittenFile``).

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

    def expand(self, scored: Any) -> Any:
        return (
            scored
            | "Sample"
            >> beam.ParDo(Sample(self.schema, self.store)).with_output_types(
                tuple[int, pa.RecordBatch]
            )
            | "Refresh" >> beam.WindowInto(refreshes(self.cadence))
            | "Combine" >> beam.CombinePerKey(BottomRows())
            | "Write"
            >> beam.ParDo(WriteFn(write_sample, self.folder, self.schema)).with_output_types(
                WrittenFile
            )
        )


def sample_name(column: str, schema: Schema) -> str:
    """What a column of a sample is called in its file; the schema's own names go before ours."""
    names = {ID: "id", TIME: "time", LATE: "late", KEY: "key", PREDICTION: "prediction"}
    ours = names.get(column, column)
    if column.startswith(NORMALIZED):
        ours = f"{column.removeprefix(NORMALIZED)} (normalized)"
    return column if ours in (*schema.roles, *schema.keep) else ours


def write_sample(
    keyed: tuple[int, pa.RecordBatch],
    folder: str,
    schema: Schema,
    window: Any,
) -> Iterator[Any]:
    """Writes a refresh's sample; gives the file, stamped."""
    rows = pa.Table.from_batches([keyed[1].replace_schema_metadata(None)])
    for name in (schema.target, *schema.numeric):
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, name, nullable(rows.column(name).to_numpy()))
    if schema.time in schema.keep:
        rows = rows.append_column(schema.time, rows.column(TIME))
    rows = rows.rename_columns([sample_name(name, schema) for name in rows.column_names])
    names = (f"{format_name(window.start.micros)}.parquet",)
    yield TimestampedValue(write_file(folder, names, parquet_bytes(rows)), last_time(window))


class WriteRejects(beam.PTransform[Any, Any]):
    """Rejects in; ``<refresh start or undated>/<part>.ndjson`` below a folder out.

    Attributes:
        folder: where.
        cadence: how event time is divided.
    """

    def __init__(self, folder: str, cadence: Cadence) -> None:
        super().__init__()
        self.folder = folder
        self.cadence = cadence

    def expand(self, rejected: Any) -> Any:
        return (
            rejected
            | "Write"
            >> beam.ParDo(WriteFn(write_rejects, self.folder, self.cadence)).with_output_types(
                WrittenFile
            )
            | "Refresh" >> beam.WindowInto(refreshes(self.cadence))
        )


def write_rejects(
    rejects: Rejects, folder: str, cadence: Cadence, window: object = None
) -> Iterator[WrittenFile]:
    """Writes a batch's rejects, those without a readable event time apart; gives the files."""
    refresh = format_name(cadence.refresh_of(rejects.tag.at))
    part = "-".join(map(str, rejects.tag.key)) + ".ndjson"
    for name, dated in ((refresh, True), ("undated", False)):
        lines = [reject.as_json() + "\n" for reject in rejects.items if reject.dated is dated]
        if lines:
            yield write_file(folder, (name, part), "".join(lines).encode())


class WriteEnd(beam.PTransform[Any, Any]):
    """Any input in; writes a file when that input, and so all it waited for, has ended.

    It is written without any input too. A stream that does not end never writes it.

    Attributes:
        path: the file: ``{"format": 1}``, and what became of all questions if labels have a time.
        metrics: the folder of the reports that say that; None: labels have no time.
    """

    def __init__(self, path: str, metrics: str | None = None) -> None:
        super().__init__()
        self.path = path
        self.metrics = metrics

    def expand(self, last: Any) -> Any:
        keyed = tuple[int, int]
        ended = (
            last
            | "Nothing" >> beam.Map(lambda element: (0, 0)).with_output_types(keyed)
            | "WholeStream" >> beam.WindowInto(ALL_OF_TIME)
        )
        one = (
            last.pipeline
            | "One" >> beam.Create([0], reshuffle=False)
            | "At" >> beam.Map(lambda at: TimestampedValue((at, 0), at)).with_output_types(keyed)
            | "WholeToo" >> beam.WindowInto(ALL_OF_TIME)
        )
        return (
            (ended, one)
            | "Both" >> beam.Flatten()
            | "AtTheEnd" >> beam.GroupByKey()
            | "Write"
            >> beam.Map(lambda keyed, *places: write_end(*places), self.path, self.metrics)
        )


def write_end(path: str, metrics: str | None = None) -> None:
    """Writes the file that says that a run has ended, once all else is on the disk."""
    files.flush()
    totals = {} if metrics is None else count_questions(metrics)
    text = json.dumps({"format": 1, **totals}, indent=2) + "\n"
    files.write_whole(path, text.encode())
    files.flush()


def count_questions(metrics: str) -> dict[str, int]:
    """What became of all questions of a run, by its reports.

    Questions = answered + open + expired.
    """
    paths = files.list_files(metrics, "*.json")
    reports = [Metrics.model_validate_json(files.read_whole(path)) for path in paths]
    questions = sum(report.rows for report in reports)
    answered = sum(report.answered or 0 for report in reports)
    expired = sum(report.expired or 0 for report in reports)
    still = questions - answered - expired
    late = sum(report.label_late or 0 for report in reports)
    return {
        **{"questions": questions, "answered": answered, "open": still, "expired": expired},
        "label_late": late,
    }


class WriteReports(beam.DoFn):
    """Writes each refresh's figures; then, once that is committed, old artefacts go.

    Attributes:
        folder: where.
        store: whose artefacts are pruned.
        cadence: how event time is divided.
        keep: how many of the artefacts whose window ended by a refresh's start stay; 0 keeps all.
    """

    def __init__(self, folder: str, store: Store, cadence: Cadence, keep: int) -> None:
        self.folder = folder
        self.store = store
        self.cadence = cadence
        self.keep = keep

    def start_bundle(self) -> None:
        self.starts: list[int] = []

    def process(
        self,
        keyed: tuple[int, Metrics],
        finalizer: Any = beam.DoFn.BundleFinalizerParam,
    ) -> Iterator[Metrics]:
        start, metrics = keyed
        write_file(self.folder, (f"{format_name(start)}.json",), metrics.as_json())
        count("refreshes reported")
        if self.keep and not self.starts:
            finalizer.register(
                partial(retain, self.store, self.starts, self.keep, self.cadence.lag)
            )
        self.starts.append(start)
        yield metrics

    def finish_bundle(self) -> None:
        files.flush()


def retain(store: Store, starts: list[int], keep: int, lag: int) -> None:
    """Removes the artefacts that are too old to serve after the refreshes at ``starts``.

    Of those whose window ended by the last of them the newest stay: ``keep``, and with a lag
    no fewer than may still have to serve.
    """
    for _ in store.prune(max(starts), max(keep, lag)):
        count("models pruned")
