"""WritePredictions: scored batches in, ``predictions/`` out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import IntervalWindow, TimestampedValue

from model.answers import Asked, hide_unknown
from model.asof import Cadence, format_name
from model.batch import ID, LATE, TIME, TIME_TYPE
from model.carried import carried_columns, carried_fields
from model.classes.columns import (
    PROBABILITIES,
    baseline_columns,
    class_columns,
    keeps_raw,
    predicted_fields,
    target_column,
)
from model.questions import cut_by_key
from model.schema import Schema
from transforms.elements import (
    PredictionRows,
    ScoredBatch,
    WrittenFile,
)
from transforms.sinks.tables import Scored, Written, cut_by_shard, nullable, parquet_bytes
from transforms.stamps import last_time
from transforms.windows import refreshes
from transforms.writing import WriteFn, write_file

PLACES = pa.schema([("id", pa.int64()), ("time", TIME_TYPE)])
"""The first columns of predictions, before target and prediction."""
SERVED = pa.schema([("model", pa.string()), ("late", pa.bool_())])
"""Those behind them."""
SEASON = "season"
"""The column of what the baseline of that name predicted, where labels come later."""


def prediction_rows(scored: ScoredBatch, schema: Schema) -> PredictionRows:
    """A scored batch as its rows stand in the predictions."""
    return PredictionRows(scored.batch.tag, prediction_batch(scored.asked(), schema))


def prediction_batch(asked: Asked, schema: Schema) -> pa.RecordBatch:
    """Rows and what was predicted for them, in the columns of predictions."""
    batch = hide_unknown(asked.rows, schema)
    columns = [
        batch.column(ID),
        batch.column(TIME),
        target_column(batch, schema),
        *_predicted(asked, schema),
        pa.repeat(pa.scalar(asked.model, pa.string()), batch.num_rows),
        batch.column(LATE),
        *_baselines(asked, schema),
        *carried_columns(batch, schema),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=prediction_layout(schema))


def _predicted(asked: Asked, schema: Schema) -> list[pa.Array]:
    """What was predicted: a number, or a class and its probabilities; null without a model."""
    rows = asked.rows.num_rows
    if schema.classifies:
        return class_columns(asked.classified, rows)
    return [nullable(np.full(rows, np.nan) if asked.prediction is None else asked.prediction)]


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


def _baselines(asked: Asked, schema: Schema) -> list[pa.Array]:
    """What baselines predicted, kept for when the labels are known, if they come later."""
    if not schema.has_later_labels:
        return []
    rows = asked.rows.num_rows
    if schema.classifies:
        return baseline_columns(asked.classified, rows, schema)
    baseline = None if asked.model is None else asked.baseline
    columns = [pa.repeat(pa.scalar(baseline, pa.float64()), rows)]
    if schema.baseline.season:
        columns.append(nullable(np.full(rows, np.nan) if asked.season is None else asked.season))
    return columns


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
        shard = beam.FlatMap(cut_by_shard, self.shards)
        if self.schema.labels is not None:  # labels look for predictions by the key
            shard = beam.FlatMap(shard_predictions, self.shards)
        shard = shard.with_output_types(tuple[int, PredictionRows])
        again = None if self.schema.labels is None else _coming_again(self.schema)
        write = WriteFn(write_predictions, self.folder, again)
        return (
            scored
            | "Predicted"
            >> beam.Map(prediction_rows, self.schema).with_output_types(PredictionRows)
            | "Shard" >> shard
            | "Refresh" >> beam.WindowInto(refreshes(self.cadence))
            | "Group" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(write).with_output_types(WrittenFile)
        )


def _coming_again(schema: Schema) -> list[str]:
    """The columns of predictions whose values come again."""
    fields = (field for field in prediction_layout(schema) if field.name != "key")
    return [field.name for field in fields if not pa.types.is_primitive(field.type)]


def write_predictions(
    keyed: tuple[int, Iterable[PredictionRows]],
    folder: str,
    again: list[str] | None,
    window: IntervalWindow,
) -> Iterator[TimestampedValue[WrittenFile]]:
    """Writes a shard of a refresh's predictions; gives the file, stamped.

    Args:
        keyed: the shard and its predictions.
        folder: where.
        again: the columns whose values come again and are written once; None: all columns are
            written as if they did.
        window: the refresh.
    """
    shard, predictions = keyed
    names = format_name(window.start.micros), f"{shard:05d}.parquet"
    table = pa.Table.from_batches([part.rows for part in predictions])
    ordered = table.sort_by([("time", "ascending"), ("id", "ascending")])
    data = parquet_bytes(ordered, dictionary=True if again is None else again)
    yield TimestampedValue(write_file(folder, names, data), last_time(window))


def prediction_column(scored: ScoredBatch, schema: Schema) -> pa.Array:
    """What was predicted for each row: a number, or a class; null without a model."""
    return _predicted(scored.asked(), schema)[0]
