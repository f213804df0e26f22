"""Predictions and their labels: what is written and counted when a question is answered.

What a model predicted stays with its question until the label comes. A run that is resumed takes
predictions that were reported before from ``predictions/``; they are never made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.arrays import Matrix
from model.batch import (
    ID,
    KEY,
    LABEL,
    TIME,
    TIME_TYPE,
    column,
    event_times,
    label_times,
    row_ids,
)
from model.carried import carried_columns, carried_fields
from model.class_sums import sum_class_batch
from model.classes.columns import class_columns, predicted_fields, target_column
from model.classes.decision import Classified
from model.groups import name_rows
from model.labels import Delays, Events, Ints, LabelCounts, find_events, group_by_refresh
from model.metrics import Sums
from model.regression import sum_errors
from model.schema import Schema


class Asked(NamedTuple):
    """Questions and what was predicted for them.

    Attributes:
        rows: an accepted batch with the times of its labels.
        prediction: shape (rows,); None if no model scored them.
        baseline: what the baseline predicts for all of them.
        model: the name of the artefact that predicted; None without one.
        classified: of a classifier the classes and probabilities.
        season: what the baseline of that name predicts, shape (rows,); None if it is not asked for.
    """

    rows: pa.RecordBatch
    prediction: Matrix | None
    baseline: float
    model: str | None
    classified: Classified | None = None
    season: Matrix | None = None


class Outcome(NamedTuple):
    """What becomes of some questions of a batch in one refresh.

    Attributes:
        refresh: its start, microseconds.
        sums: of the errors of these questions, and counts of what became of them.
    """

    refresh: int
    sums: Sums


def find_outcomes(
    asked: Asked, schema: Schema, every: int, stamp: int, offset: int = 0
) -> Iterator[Outcome]:
    """What becomes of a batch's questions, one refresh after another.

    Args:
        asked: the questions and their predictions.
        schema: of them, with ``label_time``.
        every: a refresh's length, microseconds.
        stamp: the batch's, microseconds.
        offset: how long behind multiples of ``every`` refreshes begin, microseconds.
    """
    events = find_events(asked.rows, schema, stamp)
    all_rows = np.ones(asked.rows.num_rows, np.bool_)
    for refresh, places in group_by_refresh(events.at, all_rows, every, offset):
        yield Outcome(refresh, _sums(asked, events, schema, places))


def _sums(asked: Asked, events: Events, schema: Schema, places: Ints) -> Sums:
    answered = events.answered[places]
    known = places[answered]
    labels = LabelCounts(
        answered=len(known),
        expired=len(places) - len(known),
        label_late=int(np.count_nonzero(events.label_late[places])),
        delays=Delays.of(events.delay[known]),
    )
    if schema.classifies:
        classified = None if asked.classified is None else asked.classified.take(known)
        target = asked.rows.column(schema.target).take(pa.array(known))
        sums = sum_class_batch(target, 0, classified, None)
        return sums._replace(rows=0, scored=0, unlabelled=0, labels=labels)
    if asked.prediction is None:
        return Sums(labels=labels)
    split, target = schema.figures.by, column(asked.rows, schema.target)
    figures = sum_errors(
        target[known],
        asked.prediction[known],
        asked.baseline,
        None if asked.season is None else asked.season[known],
        None if split is None else name_rows(asked.rows, [split]).take(known),
        row_ids(asked.rows)[known],
    )
    return Sums(labels=labels, figures=figures)


def keep_question_sums(sums: Sums) -> Sums:
    """Of the sums of a scored batch those that are known when the questions are asked."""
    return Sums(
        rows=sums.rows,
        scored=sums.scored,
        unlabelled=sums.unlabelled,
        late=sums.late,
        model=sums.model,
        bins=sums.bins,
        sums=sums.sums,
        profile=sums.profile,
    )


def hide_unknown(rows: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """An accepted batch without the targets that were not known when the questions were asked."""
    if not schema.has_label_time:
        return rows
    known = label_times(rows) == event_times(rows)
    if known.all():
        return rows
    place = rows.schema.get_field_index(schema.target)
    field = rows.schema.field(place)
    if schema.classifies:
        classes = rows.column(place)
        indices = pc.if_else(pa.array(known), classes.indices, None)
        hidden = pa.DictionaryArray.from_arrays(indices, classes.dictionary)
        return rows.set_column(place, field, hidden)
    target = column(rows, schema.target)
    return rows.set_column(place, field, pa.array(np.where(known, target, np.nan)))


def drop_label_time(rows: pa.RecordBatch) -> pa.RecordBatch:
    """An accepted batch without the times of its labels, if it has them."""
    return rows.drop_columns([LABEL]) if LABEL in rows.schema.names else rows


def outcome_fields(schema: Schema) -> pa.Schema:
    """The columns of ``outcomes/``: those of the question, its label and its prediction."""
    key, kept = _split_key(carried_fields(schema), schema)
    return pa.schema(
        [
            *key,
            ("id", pa.int64()),
            ("time", TIME_TYPE),
            ("label_time", TIME_TYPE),
            *predicted_fields(schema),
            ("model", pa.string()),
            *kept,
        ]
    )


def cut_answered(
    asked: Asked, schema: Schema, every: int, stamp: int, offset: int = 0
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The answered questions of a batch, by the start of the refresh in which that is known.

    Args:
        asked: the questions and their predictions.
        schema: of them, with ``label_time``.
        every: a refresh's length, microseconds.
        stamp: the batch's, microseconds.
        offset: how long behind multiples of ``every`` refreshes begin, microseconds.
    """
    events = find_events(asked.rows, schema, stamp)
    if not events.answered.any():
        return
    whole = outcome_rows(asked, schema)
    for refresh, places in group_by_refresh(events.at, events.answered, every, offset):
        yield refresh, whole.take(pa.array(places))


def outcome_rows(asked: Asked, schema: Schema) -> pa.RecordBatch:
    """Answered questions as they stand in ``outcomes/``.

    Args:
        asked: the questions and their predictions; of their rows only ``answered_columns`` count.
        schema: of them, with ``label_time``.
    """
    rows = asked.rows
    key, kept = _split_key(carried_columns(rows, schema), schema)
    columns = [
        *key,
        rows.column(ID),
        rows.column(TIME),
        rows.column(LABEL),
        target_column(rows, schema),
        *_predicted(asked, schema),
        pa.repeat(pa.scalar(asked.model, pa.string()), rows.num_rows),
        *kept,
    ]
    return pa.RecordBatch.from_arrays(columns, schema=outcome_fields(schema))


def answered_columns(rows: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """Answered questions without the features that are not kept, nor name an entity."""
    kept = [name for name in schema.keep if name != schema.time]
    kept += [name for name in schema.baseline.by if name not in kept]
    key = [] if schema.id is None else [KEY]
    return rows.select([ID, TIME, LABEL, schema.target, *key, *kept])


def sum_answers(asked: Asked, schema: Schema) -> Sums:
    """The sums of questions that are all answered in one refresh, and counts of them.

    Args:
        asked: the questions and their predictions.
        schema: of them, with ``label_time``.
    """
    delays = Delays.of(label_times(asked.rows) - event_times(asked.rows))
    labels = LabelCounts(answered=asked.rows.num_rows, delays=delays)
    if schema.classifies:
        sums = sum_class_batch(asked.rows.column(schema.target), 0, asked.classified, None)
        return sums._replace(rows=0, scored=0, unlabelled=0, labels=labels)
    if asked.prediction is None:
        return Sums(labels=labels)
    target, split = column(asked.rows, schema.target), schema.figures.by
    named = None if split is None else name_rows(asked.rows, [split])
    predicted = asked.prediction, asked.baseline, asked.season
    figures = sum_errors(target, *predicted, named, row_ids(asked.rows))
    return Sums(labels=labels, figures=figures)


def _predicted(asked: Asked, schema: Schema) -> list[pa.Array]:
    if schema.classifies:
        return class_columns(asked.classified, asked.rows.num_rows)
    if asked.prediction is None:
        return [pa.nulls(asked.rows.num_rows, pa.float64())]
    return [pa.array(asked.prediction, from_pandas=True)]


def _split_key(columns: list[Any], schema: Schema) -> tuple[list[Any], list[Any]]:
    """What is carried as the key, if there is one, and the rest."""
    keys = 0 if schema.id is None else 1
    return columns[:keys], columns[keys:]
