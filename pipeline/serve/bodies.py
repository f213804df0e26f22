"""Request bodies into rows, and predictions into answers, by media type."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import from_json, to_json

from model.artefact import Reference
from model.batch import ID, LATE, TIME, TIME_TYPE, Key, Tag, with_tag
from model.carried import carried, carried_fields
from model.learners import Matrix
from model.rows import from_dicts, scalars
from model.schema import Schema
from model.validation import validate
from pipeline.serve.columnar import MEDIA, PARQUET
from pipeline.serve.decoders import Decoders, Undecodable
from pipeline.serve.options import Options
from pipeline.serve.problems import SHOWN, Fault, Problem
from pipeline.serve.unpacking import JsonOrder, Order

JSON = "application/json"
NEVER = datetime(1970, 1, 1, tzinfo=timezone.utc)
"""The time of rows that are only predicted."""
ACCEPTED = (JSON, *MEDIA)
INLINE = 256 << 10
"""Maximum number of bytes of JSON that are read in this process: some milliseconds."""
ROW = re.compile(r"row (\d+): (.*)", re.DOTALL)
"""How a message begins that is about a row of JSON."""
ECHO = "\0"
"""How the name of a column begins that goes back as it came; no column of a schema does."""
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


class Asked(NamedTuple):
    """What a request asks.

    Attributes:
        rows: an accepted batch, whose time and target say nothing.
        carried: the columns that go back with the answer, by their names in it.
    """

    rows: pa.RecordBatch
    carried: dict[str, pa.Array]


def rows_of(media: str, body: bytes, schema: Schema, options: Options, decoders: Decoders) -> Asked:
    """The rows of a body, as the model takes them, and what goes back with the answer.

    Args:
        media: one of ``ACCEPTED``.
        body: JSON is one row, an object, or a list of rows.
        schema: the model's. What it does not name is ignored; so are time and target, which go
            back as text if they are kept.
        options: how many rows are allowed, and how long reading may take.
        decoders: read what is not JSON, or large.

    Raises:
        Problem: if it cannot be read, has too many rows, or a row that the schema refuses; then
            none is answered.
    """
    if media == JSON and len(body) <= INLINE:
        raw, echoed = parsed(body, schema, options.max_rows)
    else:
        raw, echoed = decoded(media, body, schema, options, decoders)
    return asked_of(checked(raw, schema), schema, echoed)


def decoded(
    media: str, body: bytes, schema: Schema, options: Options, decoders: Decoders
) -> tuple[pa.RecordBatch, dict[str, pa.Array]]:
    """The raw batch of a body that another process reads, and what goes back as it came.

    Raises:
        Problem: as ``rows_of``.
    """
    most, seconds = options.max_rows, options.timeout
    echo = echoes(schema)
    try:
        if media == JSON:
            return split(decoders.decode(JsonOrder(body, schema, most), seconds))
        carries = (*schema.carried, *echo)
        order = Order(media, body, schema.numeric, schema.categorical, most, carries)
        features = decoders.decode(order, seconds)
        echoed = {name: features.column(name) for name in echo}
        return completed(features.drop_columns(list(echo)), schema), echoed
    except Undecodable as error:
        row = ROW.match(str(error)) if error.code == "bad_rows" else None
        faults = [fault(int(row[1]), row[2])] if row else []
        message = str(error) if media == JSON else f"{media}: {error}"
        raise Problem(error.code, message, faults) from error
    except TimeoutError as error:
        raise Problem("took_too_long", f"{media}: reading it took too long") from error


def joined(raw: pa.RecordBatch, echoed: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """A raw batch and what goes back as it came, as one batch; ``split`` takes it apart."""
    for name, values in echoed.items():
        raw = raw.append_column(ECHO + name, values)
    return raw


def split(both: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[str, pa.Array]]:
    """What ``joined`` has put together."""
    names = [name for name in both.schema.names if name.startswith(ECHO)]
    echoed = {name.removeprefix(ECHO): both.column(name) for name in names}
    return both.drop_columns(names), echoed


def echoes(schema: Schema) -> tuple[str, ...]:
    """The columns that go back as they came though nothing is asked of them: time and target."""
    return tuple(name for name in schema.keep if name in (schema.time, schema.target))


def asked_of(rows: pa.RecordBatch, schema: Schema, echoed: dict[str, pa.Array]) -> Asked:
    """What a request asks, of its accepted rows."""
    names = [field.name for field in carried_fields(schema)]
    return Asked(rows, {**dict(zip(names, carried(rows, schema), strict=True)), **echoed})


def parsed(body: bytes, schema: Schema, most: int) -> tuple[pa.RecordBatch, dict[str, pa.Array]]:
    """The raw batch of a JSON body, and what goes back as it came."""
    try:
        read = from_json(body.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
    except ValueError as error:
        raise Problem("bad_body", f"the body is not JSON: {error}") from error
    rows: list[Any] = read if isinstance(read, list) else [read]
    if len(rows) > most:
        raise Problem("too_many_rows", f"{len(rows):,} rows: up to {most:,} are allowed")
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            told = f"{type(row).__name__}: an object with the features is allowed"
            raise Problem("bad_rows", f"row {number}: {told}", [fault(number, told)])
    echoed = {name: echo_of(rows, name) for name in echoes(schema)}
    for row in rows:
        row[schema.time] = NEVER  # whatever the schema's time_format
        row[schema.target] = None
    return from_dicts(rows, np.arange(len(rows)), schema), echoed


def echo_of(rows: list[dict[str, Any]], name: str) -> pa.Array:
    """A column of rows as text.

    Raises:
        Problem: if a value is no scalar.
    """
    try:
        return scalars([row.get(name) for row in rows])
    except ValueError as error:
        raise Problem("bad_rows", f"column {name!r}: {error}") from error


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


def answer(
    media: str,
    predictions: Matrix,
    reference: Reference,
    carried: Mapping[str, pa.Array] | None = None,
    unknown: Mapping[str, int] | None = None,
) -> bytes:
    """The body of an answer.

    Args:
        media: one of ``ACCEPTED``.
        predictions: shape (rows,).
        reference: of the model that made them.
        carried: columns that go back with them, a value a row: in JSON ``key`` as ``keys``, the
            others in ``keep`` by their names.
        unknown: how many values of each categorical feature the model has no column for; in
            Arrow and Parquet it is JSON in the schema's metadata. Left out if there is none.
    """
    told = {"model": reference.name, "sha256": reference.sha256}
    back = dict(carried or {})
    if media == JSON:
        values = {"predictions": predictions.tolist(), **as_lists(back)}
        more = {"unknown": unknown} if unknown else {}
        return to_json({**told, **values, **more}, inf_nan_mode="null")
    if unknown:
        told["unknown"] = to_json(unknown).decode()
    rows = pa.table({COLUMN: predictions, **back}).replace_schema_metadata(told)
    sink = io.BytesIO()
    if media == PARQUET:
        pq.write_table(rows, sink)
    else:
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
    return sink.getvalue()


def as_lists(carried: dict[str, pa.Array]) -> dict[str, Any]:
    """Carried columns as a JSON answer has them; nothing if there are none."""
    lists = {name: values.to_pylist() for name, values in carried.items()}
    keys = {"keys": lists.pop("key")} if "key" in lists else {}
    return {**keys, "keep": lists} if lists else keys
