"""Scoring files with a model, without a job: rows of files in, tables of predictions out.

Files are read as the job reads them, a part at a time, and rows are checked as it checks them.
Their time and target need not be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from model.artefact import Artefact
from model.batch import CATEGORY_TYPE, Key, Tag, row_ids, with_tag
from model.carried import carried_columns, carried_fields
from model.classes.columns import class_columns, predicted_fields
from model.errors import UserError
from model.schema import ScoringSchema
from model.validation import Reject, validate
from reading import File, Plan, plan, read

BATCH_ROWS = 10_000
"""Rows that are predicted at once, at most: as the job has them by default."""


class ScoredRows(NamedTuple):
    """Some rows of a file.

    Attributes:
        predictions: of the rows that fit the schema, in the file's order; see ``layout``.
        rejects: the other rows.
        unknown: how many values of each categorical feature the model has no column for.
    """

    predictions: pa.RecordBatch
    rejects: list[Reject]
    unknown: dict[str, int]


def layout(schema: ScoringSchema) -> pa.Schema:
    """The columns of predictions.

    ``file`` and ``row`` (from 1 on) say where the row stands; ``key`` is there if the schema has
    an id, then the columns that it keeps; ``prediction`` is null where it is not a finite number.
    Under classification ``score`` and ``probabilities`` are behind it.

    Example:
        >>> from model.schema import Features
        >>> features = Features(numeric=("x",))
        >>> schema = ScoringSchema(
        ...     name="s", time="t", target="y", features=features, id="k", keep=("gate",))
        >>> layout(schema).names
        ['file', 'row', 'key', 'gate', 'prediction', 'model']
    """
    place = [pa.field("file", pa.string()), pa.field("row", pa.int64())]
    predicted = [*predicted_fields(schema)[1:], pa.field("model", pa.string())]
    return pa.schema([*place, *carried_fields(schema), *predicted])


def find(
    pattern: str, schema: ScoringSchema, progress: Callable[[str], None] | None = None
) -> Plan:
    """Looks through the files that are to be scored; their parts in the order of the files.

    Raises:
        UserError: see ``reading.plan``.
    """
    planned = plan(pattern, schema, progress)
    # A plan is in the order of time; whoever scores a file wants its rows in their order.
    chunks = sorted(planned.chunks, key=lambda chunk: (chunk.file, chunk.start))
    return replace(planned, chunks=tuple(chunks))


def score_files(
    planned: Plan, schema: ScoringSchema, artefact: Artefact, model: str
) -> Iterator[ScoredRows]:
    """Predicts the rows of files, batch by batch.

    Args:
        planned: what ``find`` returned.
        schema: the artefact's, for scoring alone.
        artefact: the model.
        model: its name.

    Raises:
        UserError: if a file has changed since it was planned, or cannot be read any more.
    """
    for file, raw in _read(planned, schema):
        accepted, rejects = validate(_with_target(raw, schema), schema)
        predictions = _predict(accepted, file, schema, artefact, model)
        yield ScoredRows(predictions, rejects, artefact.unknown(accepted))


def _read(planned: Plan, schema: ScoringSchema) -> Iterator[tuple[File, pa.RecordBatch]]:
    """The raw batches of all files, with tags."""
    for chunk in planned.chunks:
        file = planned.files[chunk.file]
        tag = Tag(Key(chunk.file, chunk.start, 0), 0, file.path, chunk.line - chunk.first)
        try:
            for raw in read(file, chunk, schema, BATCH_ROWS):
                yield file, with_tag(raw, tag)
        except OSError as error:
            raise UserError(f"{file.path}: cannot be read any more: {error}") from error


def _with_target(raw: pa.RecordBatch, schema: ScoringSchema) -> pa.RecordBatch:
    """A raw batch with the target that an accepted batch has: null where it is not read."""
    if schema.target in schema.columns:
        return raw
    kind = CATEGORY_TYPE if schema.classifies else pa.float64()
    return raw.append_column(schema.target, pa.nulls(raw.num_rows, kind))


def _predict(
    rows: pa.RecordBatch, file: File, schema: ScoringSchema, artefact: Artefact, model: str
) -> pa.RecordBatch:
    number = rows.num_rows
    if schema.classifies:
        predicted = class_columns(artefact.classify(rows), number)
    else:
        prediction = artefact.predict(rows)
        finite = np.where(np.isfinite(prediction), prediction, np.nan)
        predicted = [pa.array(finite, from_pandas=True)]
    columns = [
        pa.repeat(pa.scalar(file.path, pa.string()), number),
        pa.array(row_ids(rows) - file.first + 1),
        *carried_columns(rows, schema),
        *predicted,
        pa.repeat(pa.scalar(model, pa.string()), number),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=layout(schema))
