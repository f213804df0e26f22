"""Request bodies into rows, and predictions into answers, by media type."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import from_json, to_json

from model.artefact import Reference
from model.batch import ID, LATE, TIME, TIME_TYPE, Key, Tag, with_tag
from model.learners import Matrix
from model.rows import from_dicts
from model.schema import Schema
from model.validation import validate
from pipeline.serve.columnar import MEDIA, PARQUET
from pipeline.serve.decoders import Decoders, Undecodable
from pipeline.serve.options import Options
from pipeline.serve.problems import SHOWN, Fault, Problem
from pipeline.serve.unpacking import Order

JSON = "application/json"
ACCEPTED = (JSON, *MEDIA)
COLUMN = "prediction"
"""What the column of an answer in Arrow or Parquet is called."""


def media_of(header: str | None) -> str:
    """The media type that a Content-Type header names; JSON without one.

    Raises:
        Problem: if it is none that is taken.

    Example:
        >>> media_of("application/json; charset=utf-8")
        'application/json'
    """
    media = (header or JSON).partition(";")[0].strip().lower()
    if media not in ACCEPTED:
        told = f"Content-Type {media[:60]!r}: {', '.join(ACCEPTED)} are allowed"
        raise Problem("unsupported_media_type", told)
    return media


def wanted(header: str | None) -> str:
    """The media type of an answer: the first in an Accept header that can be given, or JSON.

    Example:
        >>> wanted("application/vnd.apache.parquet, */*"), wanted("text/html")
        ('application/vnd.apache.parquet', 'application/json')
    """
    asked = [part.partition(";")[0].strip().lower() for part in (header or "").split(",")]
    return next((media for media in asked if media in ACCEPTED), JSON)


def rows_of(
    media: str, body: bytes, schema: Schema, options: Options, decoders: Decoders
) -> pa.RecordBatch:
    """The rows of a body, as the model takes them.

    Args:
        media: one of ``ACCEPTED``.
        body: JSON is one row, an object, or a list of rows.
        schema: the model's; time, target, and what it does not name are ignored.
        options: how many rows are allowed, and how long reading may take.
        decoders: read what is not JSON.

    Raises:
        Problem: if it cannot be read, has too many rows, or a row that the schema refuses; then
            none is answered.
    """
    if media == JSON:
        return checked(parsed(body, schema, options.max_rows), schema)
    order = Order(media, body, schema.numeric, schema.categorical, options.max_rows)
    try:
        return checked(completed(decoders.decode(order, options.timeout), schema), schema)
    except Undecodable as error:
        raise Problem(error.code, f"{media}: {error}") from error
    except TimeoutError as error:
        raise Problem("took_too_long", f"{media}: reading it took too long") from error


def parsed(body: bytes, schema: Schema, most: int) -> pa.RecordBatch:
    """The raw batch of a JSON body."""
    try:
        read = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem("bad_body", f"the body is not JSON: {error}") from error
    rows: list[Any] = read if isinstance(read, list) else [read]
    if len(rows) > most:
        raise Problem("too_many_rows", f"{len(rows):,} rows: up to {most:,} are allowed")
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            told = f"{type(row).__name__}: an object with the features is allowed"
            raise Problem("bad_rows", f"row {number}: {told}", [fault(number, told)])
        row[schema.time] = 0
        row[schema.target] = None
    return from_dicts(rows, np.arange(len(rows)), schema)


def completed(features: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """The raw batch of columns: with ids, and without times and targets."""
    rows = features.num_rows
    ours = {
        ID: pa.array(np.arange(rows)),
        TIME: pa.array(np.zeros(rows, np.int64)).cast(TIME_TYPE),
        LATE: pa.array(np.zeros(rows, np.bool_)),
        schema.target: pa.nulls(rows),
    }
    return pa.record_batch({**ours, **dict(zip(features.schema.names, features, strict=True))})


def checked(raw: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """The accepted batch of a raw one, all of whose rows fit the schema.

    Raises:
        Problem: if one does not.
    """
    accepted, rejects = validate(with_tag(raw, Tag(Key(0, 0, 0), 0, "row", 0)), schema)
    if rejects:
        faults = [
            fault(int(reject.where.removeprefix("row:")), reject.reason)
            for reject in rejects[:SHOWN]
        ]
        told = f"{len(rejects):,} of {raw.num_rows:,} rows; {faults[0].where}: {faults[0].message}"
        raise Problem("bad_rows", told, faults)
    return accepted


def fault(number: int, message: str) -> Fault:
    """What is wrong with a row, by its place from 0 on."""
    return Fault(where=f"row {number}", message=message)


def answer(media: str, predictions: Matrix, reference: Reference) -> bytes:
    """The body of an answer.

    Args:
        media: one of ``ACCEPTED``.
        predictions: shape (rows,).
        reference: of the model that made them.
    """
    told = {"model": reference.name, "sha256": reference.sha256}
    if media == JSON:
        return to_json({**told, "predictions": predictions.tolist()}, inf_nan_mode="null")
    rows = pa.table({COLUMN: predictions}).replace_schema_metadata(told)
    sink = io.BytesIO()
    if media == PARQUET:
        pq.write_table(rows, sink)
    else:
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
    return sink.getvalue()
