"""Columns of predictions where a class is predicted: the classes, the score, the probabilities."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from model.arrays import Matrix
from model.batch import column
from model.classes.decision import Classified, find_places, place_positive
from model.schema import Schema

PROBABILITIES = pa.map_(pa.string(), pa.float64())
"""The type of the column of probabilities: the probability of each of the model's classes."""


def predicted_fields(schema: Schema) -> list[pa.Field]:
    """The columns ``target`` and ``prediction``, and under classification two more.

    Example:
        >>> from model.schema import Features
        >>> schema = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
        >>> [field.name for field in predicted_fields(schema)]
        ['target', 'prediction']
    """
    kind = pa.string() if schema.classifies else pa.float64()
    return [pa.field("target", kind), pa.field("prediction", kind), *class_fields(schema)]


def class_fields(schema: Schema) -> list[pa.Field]:
    """The columns ``score`` and ``probabilities``, under classification."""
    if not schema.classifies:
        return []
    return [pa.field("score", pa.float64()), pa.field("probabilities", PROBABILITIES)]


def class_columns(classified: Classified | None, rows: int) -> list[pa.Array]:
    """Prediction, score and probabilities; nulls where no model predicted."""
    if classified is None:
        return [pa.nulls(rows, pa.string()), pa.nulls(rows, pa.float64()), no_maps(rows)]
    return [classified.names, pa.array(classified.score), as_maps(classified)]


def as_maps(classified: Classified) -> pa.Array:
    """The probabilities of each row by class, in the order of the classes."""
    probabilities = classified.probabilities
    rows, classes = probabilities.shape
    names = pa.array(classified.classes, pa.string())
    keys = names.take(pa.array(np.tile(np.arange(classes), rows)))
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * classes)
    return pa.MapArray.from_arrays(offsets, keys, pa.array(probabilities.ravel()))


def share_maps(classified: Classified | None, rows: int) -> pa.Array:
    """The class shares of the model's window, for each row; nulls where no model predicted."""
    if classified is None:
        return no_maps(rows)
    shares = np.tile(classified.shares, (rows, 1))
    return as_maps(classified._replace(probabilities=shares))


def keeps_raw(schema: Schema) -> bool:
    """Whether predictions keep the probabilities before calibration, until labels are known."""
    return schema.classifies and schema.has_later_labels and schema.calibration != "none"


def baseline_columns(classified: Classified | None, rows: int, schema: Schema) -> list[pa.Array]:
    """What figures need of predictions whose labels come later: class shares, and ``raw``."""
    columns = [share_maps(classified, rows)]
    if keeps_raw(schema):
        raw = None if classified is None else classified.raw
        if classified is None or raw is None:
            return [*columns, no_maps(rows)]
        columns.append(as_maps(classified._replace(probabilities=raw)))
    return columns


def class_column_names(schema: Schema) -> list[str]:
    """The columns by which ``restore`` makes predictions again, beside those of regression."""
    return ["probabilities", *(["raw"] if keeps_raw(schema) else [])] if schema.classifies else []


def restore(table: pa.Table, schema: Schema) -> Classified:
    """What a model predicted, of the columns of predictions whose labels come later.

    Args:
        table: rows that one model predicted, one at least.
        schema: of them.
    """
    probabilities, classes = _matrix(table.column("probabilities"))
    shares, _ = _matrix(table.column("baseline").slice(0, 1))
    raw = None
    if keeps_raw(schema) and not table.column("raw").null_count:
        raw, _ = _matrix(table.column("raw"))
    named = table.column("prediction").combine_chunks().dictionary_encode()
    predicted = find_places(named, classes)
    positive = place_positive(classes, schema)
    return Classified(classes, positive, probabilities, predicted, shares[0], raw)


def _matrix(maps: pa.ChunkedArray) -> tuple[Matrix, tuple[str, ...]]:
    """Probabilities of shape (rows, classes) and the classes, of maps that have the same keys."""
    whole = maps.combine_chunks()
    classes = tuple(key for key, _ in whole[0].as_py())
    # The items of a slice are all that its column has: offsets say which are its own.
    first, last = whole.offsets[0].as_py(), whole.offsets[-1].as_py()
    numbers = whole.items.to_numpy(zero_copy_only=False)[first:last]
    return numbers.reshape(len(whole), len(classes)), classes


def no_maps(rows: int) -> pa.Array:
    """A column of probabilities without any."""
    return pa.nulls(rows, PROBABILITIES)


def target_column(batch: pa.RecordBatch, schema: Schema) -> pa.Array:
    """The target of an accepted batch as predictions have it: null where there is none."""
    if schema.classifies:
        return batch.column(schema.target).dictionary_decode()
    return pa.array(column(batch, schema.target), from_pandas=True)
