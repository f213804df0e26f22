"""Columns that folders name: ``region=north/a.parquet``, as Hive, Spark and Arrow write them.

The value is text, and is read as a field of a CSV is. A column that the file has, too, must agree
with its folder in every row where it is not null.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.batch import CATEGORY_TYPE, ID, LATE, TIME
from model.categories import canonical_column
from model.errors import UserError
from model.numbers import parse_numbers
from model.schema import PartialSchema, Schema
from model.times import is_text, parse_times
from reading.chunks import File, ScannedChunk, time_extent, with_ids
from reading.names import normalize_name

_NULL = "__HIVE_DEFAULT_PARTITION__"


def with_constants(file: File, schema: Schema) -> File:
    """The file with the columns of the schema that its folders name.

    Raises:
        UserError: if its folders name a column twice.

    Example:
        >>> from model.schema import Features
        >>> features = Features(numeric=("x",), categorical=("region",))
        >>> schema = Schema(name="s", time="t", target="y", features=features)
        >>> with_constants(File("d/region=S%C3%A3o/a.csv", "csv", 1), schema).constants
        (('region', 'São'),)
    """
    wanted = {normalize_name(column): column for column in schema.columns}
    found: dict[str, str | None] = {}
    for part in file.path.split("/")[:-1]:
        name, mark, value = part.partition("=")
        column = wanted.get(normalize_name(unquote(name)))
        if not mark or column is None:
            continue
        if column in found:
            raise UserError(
                f"{file.path}: its folders name {column!r} twice: they must name it once"
            )
        found[column] = None if value in (_NULL, "") else unquote(value)
    return replace(file, constants=tuple(found.items()))


def schema_in_file(file: File, schema: Schema) -> Schema:
    """The schema of what is read in the file itself: without what its folders name."""
    if not file.constants:
        return schema
    return PartialSchema.of(schema, tuple(name for name, _ in file.constants))


def add_constants(batch: pa.RecordBatch, file: File, schema: Schema) -> pa.RecordBatch:
    """A raw batch of a file with the columns that its folders name."""
    if not file.constants:
        return batch
    rows = batch.num_rows
    pairs = zip(batch.schema, batch.columns, strict=True)
    fields = {field.name: (field, values) for field, values in pairs}
    for name, value in file.constants:
        values = pa.array([value], pa.string()).take(pa.array(np.zeros(rows, np.int64)))
        if name in schema.categories:
            values = values.dictionary_encode().cast(CATEGORY_TYPE)
        fields[name] = pa.field(name, values.type), values
        if name == schema.time:
            times = with_ids(pa.record_batch({name: values}), 0, schema).column(TIME)
            fields[TIME] = pa.field(TIME, times.type), times
    first = [ID, TIME, LATE, *schema.columns]
    order = [*first, *(name for name in fields if name not in first)]
    layout = pa.schema([fields[name][0] for name in order], metadata=batch.schema.metadata)
    return pa.RecordBatch.from_arrays([fields[name][1] for name in order], schema=layout)


def date_chunk(span: ScannedChunk, file: File, schema: Schema) -> ScannedChunk:
    """A span of a file whose folders may name its time."""
    value = next((value for name, value in file.constants if name == schema.time), None)
    if schema.time not in dict(file.constants) or not schema.dated:
        return span
    text = pa.record_batch({schema.time: pa.array([value], pa.string())})
    return span._replace(times=time_extent(with_ids(text, 0, schema).column(TIME), file.latest))


def check_agreement(batches: Iterator[pa.RecordBatch], name: str, file: File, role: str) -> None:
    """Checks that a file's column has the value that its folder names, wherever it has one.

    Args:
        batches: raw batches with that column.
        name: the column.
        file: whose folders name it.
        role: ``time``, ``number`` or ``category``: how values are compared.

    Raises:
        UserError: names a value that differs.
    """
    value = dict(file.constants)[name]
    want = _comparable(pa.array([value], pa.string()), role)
    for batch in batches:
        found = _comparable(batch.column(name), role)
        same = found.is_null() if want.null_count else pc.equal(found, want[0]).fill_null(True)
        if not pc.all(same, min_count=0).as_py():
            row = int(np.flatnonzero(~same.to_numpy(zero_copy_only=False))[0])
            other = batch.column(name)[row].as_py()
            raise UserError(
                f"{file.path}: column {name!r} is {other!r} in a row where its folder says "
                f"{value!r}: they must agree, or the column must have another name"
            )


def _comparable(values: pa.Array, role: str) -> pa.Array:
    if role == "time":
        return parse_times(values, "auto")
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if role == "number":
        return parse_numbers(values)[0] if is_text(values.type) else values.cast(pa.float64())
    return canonical_column(values).cast(pa.string())
