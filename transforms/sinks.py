"""Sinks: predictions, samples, reports and rejects, as files that are whole or absent.

Every file's name follows from what it holds, so a retry writes the same file again.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.transforms.core import _BundleFinalizerParam
from apache_beam.transforms.window import IntervalWindow, TimestampedValue

from model import files, promotions
from model.answers import drop_label_time, hide_unknown
from model.asof import Cadence, format_name
from model.batch import ID, KEY, LATE, TIME, TIME_TYPE, concat, sort_by_time
from model.carried import carried_columns, carried_fields
from model.classes.columns import (
    PROBABILITIES,
    baseline_columns,
    class_columns,
    keeps_raw,
    predicted_fields,
    target_column,
)
from model.manifest import Reference
from model.metrics import Metrics
from model.questions import cut_by_key
from model.sample import bottom_k
from model.schema import Schema
from model.store import ModelCache, Store, model_cache
from transforms.assign_models import shard_of
from transforms.coders import SAMPLES
from transforms.counters import count
from transforms.elements import (
    PredictionRows,
    Rejects,
    SampleRows,
    ScoredBatch,
    Tagged,
    WrittenFile,
)
from transforms.stamps import FINALIZER, last_time
from transforms.windows import ALL_OF_TIME, refreshes
from transforms.writing import WriteFn, write_file

PLACES = pa.schema([("id", pa.int64()), ("time", TIME_TYPE)])
"""The first columns of predictions, before target and prediction."""
SERVED = pa.schema([("model", pa.string()), ("late", pa.bool_())])
"""Those behind them."""
SEASON = "season"
"""The column of what the baseline of that name predicted, where labels come later."""
SAMPLE_ROWS = 1_000
PREDICTION, NORMALIZED = "__prediction", "__normalized:"
"""Columns of a sample on its way; no schema names a column so."""


def parquet_bytes(rows: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()


def nullable(values: npt.NDArray[np.float64]) -> pa.Array:
    """Float64 values as Arrow's; NaN becomes null."""
    return pa.array(values, from_pandas=True)


def prediction_rows(scored: ScoredBatch, schema: Schema) -> PredictionRows:
    """A scored batch as its rows stand in the predictions."""
    batch, inference = hide_unknown(scored.batch.rows, schema), scored.inference
    rows = batch.num_rows
    predicted = [_predicted(scored, schema)]
    if schema.classifies:
        predicted = class_columns(None if inference is None else inference.classified, rows)
    columns = [
        batch.column(ID),
        batch.column(TIME),
        target_column(batch, schema),
        *predicted,
        pa.repeat(pa.scalar(scored.model, pa.string()), rows),
        batch.column(LATE),
        *_baseline(scored, schema),
        *carried_columns(batch, schema),
    ]
    layout = prediction_layout(schema)
    return PredictionRows(scored.batch.tag, pa.RecordBatch.from_arrays(columns, schema=layout))


def prediction_layout(schema: Schema) -> pa.Schema:
    """The columns of predictions."""
    kind = PROBABILITIES if schema.classifies else pa.float64()
    baseline = [pa.field(name, kind) for name in baseline_names(schema)]
    baseline += [pa.field("raw", kind)] if keeps_raw(schema) else []
    fixed = [*PLACES, *predicted_fields(schema), *SERVED]
    return pa.schema([*fixed, *baseline, *carried_fields(schema)])


def baseline_names(schema: Schema) -> list[str]:
    """The columns of what baselines predicted; there are some only if labels come later."""
    if not schema.has_later_labels:
        return []
    return ["baseline", *([SEASON] if schema.baseline.season else [])]


def _baseline(scored: ScoredBatch, schema: Schema) -> list[pa.Array]:
    """What the baseline predicts, kept for when the labels are known, if they come later."""
    if not schema.has_later_labels:
        return []
    rows, inference = scored.batch.rows.num_rows, scored.inference
    if schema.classifies:
        return baseline_columns(None if inference is None else inference.classified, rows, schema)
    baseline = None if inference is None else inference.baseline
    columns = [pa.repeat(pa.scalar(baseline, pa.float64()), rows)]
    if schema.baseline.season:
        season = None if inference is None else inference.season
        columns.append(nullable(np.full(rows, np.nan) if season is None else season))
    return columns


Rows = TypeVar("Rows", bound=Tagged)


def add_file_shard(rows: Rows, shards: int) -> tuple[int, Rows]:
    """Rows with the shard that their file is called after as key."""
    return shard_of(rows.tag.key, shards), rows


Scored = beam.PCollection[ScoredBatch]
Written = beam.PCollection[WrittenFile]


def shard_predictions(
    predicted: PredictionRows, shards: int
) -> Iterator[tuple[int, PredictionRows]]:
    """Predictions by the shard of their key."""
    for shard, rows in cut_by_key(predicted.rows, shards, key="key"):
        yield shard, PredictionRows(predicted.tag, rows)


class WritePredictions(beam.PTransform[Scored, Written]):
    """Scored batches in; ``<refresh start>/<shard>.parquet`` below a folder out.

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

    def expand(self, scored: Scored) -> Written:
        shard = beam.Map(add_file_shard, self.shards)
        if self.schema.labels is not None:  # labels look for predictions by the key
            shard = beam.FlatMap(shard_predictions, self.shards)
        shard = shard.with_output_types(tuple[int, PredictionRows])
        write = beam.ParDo(WriteFn(write_predictions, self.folder)).with_output_types(WrittenFile)
        return (
            scored
            | "Predicted"
            >> beam.Map(prediction_rows, self.schema).with_output_types(PredictionRows)
            | "Shard" >> shard
            | "Refresh" >> beam.WindowInto(refreshes(self.cadence))
            | "Group" >> beam.GroupByKey()
            | "Write" >> write
        )


def write_predictions(
    keyed: tuple[int, Iterable[PredictionRows]], folder: str, window: IntervalWindow
) -> Iterator[TimestampedValue[WrittenFile]]:
    """Writes a shard of a refresh's predictions; gives the file (``WrittenFile``), stamped."""
    shard, predictions = keyed
    names = format_name(window.start.micros), f"{shard:05d}.parquet"
    table = pa.Table.from_batches([part.rows for part in predictions])
    ordered = table.sort_by([("time", "ascending"), ("id", "ascending")])
    yield TimestampedValue(write_file(folder, names, parquet_bytes(ordered)), last_time(window))


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
        rows = rows.append_column(PREDICTION, _predicted(scored, self.schema))
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


def _predicted(scored: ScoredBatch, schema: Schema) -> pa.Array:
    """What was predicted for each row: a number, or a class; null without a model."""
    inference, rows = scored.inference, scored.batch.rows.num_rows
    if schema.classifies:
        return class_columns(None if inference is None else inference.classified, rows)[0]
    return nullable(np.full(rows, np.nan) if inference is None else inference.prediction)


def bottom_rows(parts: list[SampleRows]) -> list[SampleRows]:
    """The parts with ``SAMPLE_ROWS`` rows in all, at most: those with the least hashes."""
    kept = bottom_k([part.rows for part in parts], SAMPLE_ROWS)
    return [SampleRows(part.tag, rows) for part, rows in zip(parts, kept, strict=True)]


class BottomRows(beam.CombineFn):
    """Combines candidates into a refresh's sample, in the order of (event time, row id)."""

    def create_accumulator(self) -> list[SampleRows]:
        return []

    def add_input(self, accumulator: list[SampleRows], rows: SampleRows) -> list[SampleRows]:
        return bottom_rows([*accumulator, rows])

    def merge_accumulators(self, accumulators: Iterable[list[SampleRows]]) -> list[SampleRows]:
        return bottom_rows([rows for part in accumulators for rows in part])

    def extract_output(self, accumulator: list[SampleRows]) -> SampleRows:
        parts = sorted(accumulator, key=lambda part: part.tag.key)
        return SampleRows(parts[0].tag, sort_by_time(concat([part.rows for part in parts])))

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


class WriteRejects(beam.PTransform[beam.PCollection[Rejects], Written]):
    """Rejects in; ``<refresh start or undated>/<part>.ndjson`` below a folder out.

    Attributes:
        folder: where.
        cadence: how event time is divided.
        prefix: what the names of parts begin with, if another source has rejects there.
    """

    def __init__(self, folder: str, cadence: Cadence, prefix: str = "") -> None:
        super().__init__()
        self.prefix = prefix
        self.folder = folder
        self.cadence = cadence

    def expand(self, rejected: beam.PCollection[Rejects]) -> Written:
        write = beam.ParDo(WriteFn(write_rejects, self.folder, self.cadence, self.prefix))
        return (
            rejected
            | "Write" >> write.with_output_types(WrittenFile)
            | "Refresh" >> beam.WindowInto(refreshes(self.cadence))
        )


def write_rejects(
    rejects: Rejects, folder: str, cadence: Cadence, prefix: str = "", window: object = None
) -> Iterator[WrittenFile]:
    """Writes a batch's rejects, those without a readable event time apart; gives the files."""
    refresh = format_name(cadence.refresh_of(rejects.tag.at))
    part = prefix + "-".join(map(str, rejects.tag.key)) + ".ndjson"
    for name, dated in ((refresh, True), ("undated", False)):
        lines = [reject.as_json() + "\n" for reject in rejects.items if reject.dated is dated]
        if lines:
            yield write_file(folder, (name, part), "".join(lines).encode())


class WriteEnd(beam.PTransform[beam.PCollection[object], beam.PCollection[None]]):
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

    def expand(self, last: beam.PCollection[object]) -> beam.PCollection[None]:
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
    promotions.tidy(files.join(files.parent(path), promotions.RECORD))
    files.flush()
    totals = {} if metrics is None else total_questions(metrics)
    text = json.dumps({"format": 1, **totals}, indent=2) + "\n"
    files.write_whole(path, text.encode())
    files.flush()


def total_questions(metrics: str) -> dict[str, int]:
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


class WriteReportsFn(beam.DoFn):
    """Writes each refresh's figures; then, once that is committed, old artefacts go.

    Attributes:
        folder: where.
        store: whose artefacts are pruned.
        cadence: how event time is divided.
        keep: how many of the artefacts whose window ended by a refresh's start stay; 0 keeps all.
        refused: the store of the models that the gate has refused, which is pruned likewise.
        behind: called with the start of the newest refresh whose report is committed.
    """

    def __init__(
        self,
        folder: str,
        store: Store,
        cadence: Cadence,
        keep: int,
        refused: Store | None = None,
        behind: Callable[[int], None] | None = None,
    ) -> None:
        self.refused = refused
        self.behind = behind
        self.folder = folder
        self.store = store
        self.cadence = cadence
        self.keep = keep

    def start_bundle(self) -> None:
        self.starts: list[int] = []

    def process(
        self,
        keyed: tuple[int, Metrics],
        finalizer: _BundleFinalizerParam = FINALIZER,
    ) -> Iterator[Metrics]:
        start, metrics = keyed
        write_file(self.folder, (f"{format_name(start)}.json",), metrics.as_json())
        count("refreshes reported")
        if self.keep and not self.starts:
            finalizer.register(
                partial(retain, self.store, self.starts, self.keep, self.cadence.lag, self.refused)
            )
        if self.behind is not None and not self.starts:
            finalizer.register(partial(_call_behind, self.behind, self.starts))
        self.starts.append(start)
        yield metrics

    def finish_bundle(self) -> None:
        files.flush()


def _call_behind(behind: Callable[[int], None], starts: list[int]) -> None:
    behind(max(starts))


def retain(
    store: Store, starts: list[int], keep: int, lag: int, refused: Store | None = None
) -> None:
    """Removes the artefacts that are too old to serve after the refreshes at ``starts``.

    Of those whose window ended by the last of them the newest stay: ``keep``, and with a lag
    no fewer than may still have to serve.
    """
    protected = promotions.find_protected(files.parent(store.path))
    for _ in store.prune(max(starts), max(keep, lag), protected):
        count("models pruned")
    if refused is not None:  # in a store of its own: none takes an accepted model's place
        for _ in refused.prune(max(starts), keep):
            count("models pruned")
