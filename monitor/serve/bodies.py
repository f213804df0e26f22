"""Request bodies into rows, and predictions into answers, by media type."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import to_json

from model.arrays import Matrix
from model.batch import ID, LATE, TIME, TIME_TYPE, Key, Tag, with_tag
from model.carried import carried_columns, carried_fields, to_texts
from model.classes.columns import class_columns
from model.classes.decision import Classified
from model.manifest import Reference
from model.schema import Schema
from model.times import read_times
from model.validation import validate
from monitor.serve.columnar import MEDIA, PARQUET
from monitor.serve.decoders import Decoders, Undecodable
from monitor.serve.decoding import DecodeJsonRequest, DecodeRequest
from monitor.serve.jsonrows import Unreadable, echoes, read_rows, split
from monitor.serve.options import Options
from monitor.serve.problems import SHOWN, ErrorItem, Problem

JSON = "application/json"
ACCEPTED = (JSON, *MEDIA)
INLINE = 256 << 10
"""Maximum number of bytes of JSON that are read in this process: some milliseconds."""
ROW = re.compile(r"row (\d+): (.*)", re.DOTALL)
"""How a message begins that is about a row of JSON."""
COLUMN = "prediction"
"""What the column of an answer in Arrow or Parquet is called."""


def parse_content_type(header: str | None) -> str:
    """The media type that a Content-Type header names; JSON without one.

    Raises:
        Problem: if it is not one that is taken.

    Example:
        >>> parse_content_type("application/json; charset=utf-8")
        'application/json'
    """
    media = (header or JSON).partition(";")[0].strip().lower()
    if media not in ACCEPTED:
        detail = f"Content-Type {media[:60]!r}: must be one of {', '.join(ACCEPTED)}"
        raise Problem("unsupported_media_type", detail)
    return media


def choose_media_type(header: str | None) -> str:
    """The media type of an answer: the first in an Accept header that can be given, or JSON.

    Example:
        >>> choose_media_type("application/vnd.apache.parquet, */*"), choose_media_type("text/html")
        ('application/vnd.apache.parquet', 'application/json')
    """
    asked = [part.partition(";")[0].strip().lower() for part in (header or "").split(",")]
    return next((media for media in asked if media in ACCEPTED), JSON)


class ScoringRequest(NamedTuple):
    """What a request asks.

    Attributes:
        rows: an accepted batch, whose time and target say nothing.
        carried: the columns that go back with the answer, by their names in it.
    """

    rows: pa.RecordBatch
    carried: dict[str, pa.Array]


def decode_rows(
    media: str, body: bytes, schema: Schema, options: Options, decoders: Decoders
) -> ScoringRequest:
    """The rows of a body, as the model takes them, and what goes back with the answer.

    Args:
        media: one of ``ACCEPTED``.
        body: JSON is one row, an object, or a list of rows.
        schema: the model's. What it does not name is ignored; so are time and target, which go
            back as text if they are kept, unless calendar features are computed from the time.
        options: how many rows are allowed, and how long reading may take.
        decoders: read what is not JSON, or large.

    Raises:
        Problem: if it cannot be read, has too many rows, or a row that the schema refuses; then
            none is answered.
    """
    schema = schema.without_label_time()  # who asks does not know the label yet
    if media == JSON and len(body) <= INLINE:
        raw, echoed = parse_json(body, schema, options.max_rows)
    else:
        raw, echoed = decode(media, body, schema, options, decoders)
    return read_request(check_rows(raw, schema), schema, echoed)


def decode(
    media: str, body: bytes, schema: Schema, options: Options, decoders: Decoders
) -> tuple[pa.RecordBatch, dict[str, pa.Array]]:
    """The raw batch of a body that another process reads, and what goes back as it came.

    Raises:
        Problem: as ``decode_rows``.
    """
    most, seconds = options.max_rows, options.timeout
    echo = echoes(schema)
    try:
        if media == JSON:
            return split(decoders.decode(DecodeJsonRequest(body, schema, most), seconds))
        carries = (*schema.carried, *echo)
        columns = schema.read_numeric, schema.categorical, most, carries, schema.calendar_sources
        features = decoders.decode(DecodeRequest(media, body, *columns), seconds)
        echoed = {name: to_texts(features.column(name)) for name in echo}
        unused = [name for name in echo if name not in schema.inputs]
        return complete(features.drop_columns(unused), schema), echoed
    except Undecodable as error:
        if media == JSON:
            raise to_problem(error.code, str(error)) from error
        raise Problem(error.code, f"{media}: {error}") from error
    except TimeoutError as error:
        raise Problem("took_too_long", f"{media}: reading it took too long") from error


def read_request(
    rows: pa.RecordBatch, schema: Schema, echoed: dict[str, pa.Array]
) -> ScoringRequest:
    """What a request asks, of its accepted rows."""
    names = [field.name for field in carried_fields(schema)]
    return ScoringRequest(
        rows, {**dict(zip(names, carried_columns(rows, schema), strict=True)), **echoed}
    )


def parse_json(
    body: bytes, schema: Schema, most: int
) -> tuple[pa.RecordBatch, dict[str, pa.Array]]:
    """The raw batch of a JSON body, and what goes back as it came.

    Raises:
        Problem: if it cannot be read.
    """
    try:
        return read_rows(body, schema, most)
    except Unreadable as error:
        raise to_problem(error.code, str(error)) from error


def to_problem(code: str, message: str) -> Problem:
    """The problem of a body that cannot be read; it names the row if its message does."""
    row = ROW.match(message) if code == "bad_rows" else None
    return Problem(code, message, [make_error_item(int(row[1]), row[2])] if row else [])


def complete(features: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """The raw batch of columns: with ids, without targets, and without times if none is needed."""
    rows = features.num_rows
    times = pa.array(np.zeros(rows, np.int64)).cast(TIME_TYPE)
    if schema.time in schema.inputs:
        times = read_times(features.column(schema.time), schema)
    ours = {
        ID: pa.array(np.arange(rows)),
        TIME: times,
        LATE: pa.array(np.zeros(rows, np.bool_)),
        schema.target: pa.nulls(rows),
    }
    return pa.record_batch({**ours, **dict(zip(features.schema.names, features, strict=True))})


def check_rows(raw: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """The accepted batch of a raw one, all of whose rows fit the schema.

    Raises:
        Problem: if one does not.
    """
    accepted, rejects = validate(with_tag(raw, Tag(Key(0, 0, 0), 0, "row", 0)), schema)
    if rejects:
        faults = [
            make_error_item(int(reject.where.removeprefix("row:")), reject.reason)
            for reject in rejects[:SHOWN]
        ]
        detail = (
            f"{len(rejects):,} of {raw.num_rows:,} rows; {faults[0].where}: {faults[0].message}"
        )
        raise Problem("bad_rows", detail, faults)
    return accepted


def make_error_item(number: int, message: str) -> ErrorItem:
    """What is wrong with a row, by its place from 0 on."""
    return ErrorItem(where=f"row {number}", message=message)


def encode_answer(
    media: str,
    predictions: Matrix | Classified,
    reference: Reference,
    carried: Mapping[str, pa.Array] | None = None,
    unknown: Mapping[str, int] | None = None,
) -> bytes:
    """The body of an answer.

    Args:
        media: one of ``ACCEPTED``.
        predictions: numbers of shape (rows,), or classes with their probabilities.
        reference: of the model that made them.
        carried: columns that go back with them, a value a row: in JSON ``key`` as ``keys``, the
            others in ``keep`` by their names.
        unknown: how many values of each categorical feature the model has no column for; in
            Arrow and Parquet it is JSON in the schema's metadata. Left out if there is none.
    """
    fields = {"model": reference.name, "sha256": reference.sha256}
    back = dict(carried or {})
    if media == JSON:
        values = {**_as_json(predictions), **as_lists(back)}
        more = {"unknown": unknown} if unknown else {}
        return to_json({**fields, **values, **more}, inf_nan_mode="null")
    if unknown:
        fields["unknown"] = to_json(unknown).decode()
    rows = pa.table({**as_columns(predictions), **back}).replace_schema_metadata(fields)
    sink = io.BytesIO()
    if media == PARQUET:
        pq.write_table(rows, sink)
    else:
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
    return sink.getvalue()


def _as_json(predictions: Matrix | Classified) -> dict[str, Any]:
    if not isinstance(predictions, Classified):
        return {"predictions": predictions.tolist()}
    names = predictions.classes
    return {
        "predictions": [names[place] for place in predictions.predicted.tolist()],
        "scores": predictions.score.tolist(),
        "probabilities": [
            dict(zip(names, row, strict=True)) for row in predictions.probabilities.tolist()
        ],
    }


def as_columns(predictions: Matrix | Classified) -> dict[str, Any]:
    """Predictions as the columns of an answer."""
    if not isinstance(predictions, Classified):
        return {COLUMN: predictions}
    found = class_columns(predictions, len(predictions.predicted))
    return dict(zip((COLUMN, "score", "probabilities"), found, strict=True))


def as_lists(carried: dict[str, pa.Array]) -> dict[str, Any]:
    """Carried columns as a JSON answer has them; nothing if there are none."""
    lists = {name: values.to_pylist() for name, values in carried.items()}
    keys = {"keys": lists.pop("key")} if "key" in lists else {}
    return {**keys, "keep": lists} if lists else keys
