"""Parquet: a row group is a chunk, and only the schema's columns are read.

A row group's least and greatest event time are its statistics' where the time is a timestamp, a
date, a signed integer or a float and they are there; else the time's column is scanned.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from model.batch import concat
from model.blocks import BLOCK
from model.carried import KEYS, SCALARS, is_key, is_scalar
from model.categories import CATEGORIES, is_category
from model.epochs import PER_SECOND
from model.errors import UserError
from model.schema import Schema
from model.times import ALLOWED as TIMES
from model.times import is_time, read_times
from model.validation import NUMBERS, is_number
from model.wording import first_line
from reading.chunks import (
    Chunk,
    File,
    ScannedChunk,
    time_extent,
    union_extents,
    use_label_time,
    with_ids,
)
from reading.names import match_columns
from reading.streams import open_stream

_SCAN_ROWS = 65_536
_SAMPLE_ROWS = 10_000
_BUFFER = 1 << 20
"""Bytes of a column that are held at a time: without it, and with Arrow's ``pre_buffer``, a
row group is held whole."""
INT96 = "us"
"""The unit of the old timestamps of Hive and Spark: in nanoseconds, years before 1678 and after
2262 would wrap into others."""
_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}


def begin(file: File, schema: Schema) -> File:
    """The file, its footer read and its columns' types checked.

    Raises:
        UserError: if it is not a Parquet file or is cut off, lacks a column that the schema names
            or has it twice, or a column's type cannot serve.
    """
    try:
        _, columns = _footer(file)
    except pa.ArrowException as error:
        raise UserError(
            f"{file.path}: is not a Parquet file, or is cut off: {first_line(error)}"
        ) from error
    names = match_columns(file.path, columns.names, schema)
    pairs = zip(names, columns.names, strict=True)
    file = replace(file, renamed=tuple((name, own) for name, own in pairs if name != own))
    columns = pa.schema([f.with_name(n) for f, n in zip(columns, names, strict=True)])
    if schema.dated:
        time = columns.field(schema.time)
        _check_type(file, time, is_time(time.type), TIMES)
    if schema.has_label_time:
        known = columns.field(str(schema.label_time))
        _check_type(file, known, is_time(known.type), TIMES)
    for name in schema.calendar_sources:
        _check_type(file, columns.field(name), is_time(columns.field(name).type), TIMES)
    for name in schema.numbers:
        field, allowed = columns.field(name), NUMBERS
        if name == schema.target and is_category(field.type):
            allowed += '; if it is a class, set task = "classification" in the schema'
        _check_type(file, field, is_number(field.type), allowed)
    for name in schema.categories:
        _check_type(file, columns.field(name), is_category(columns.field(name).type), CATEGORIES)
    if schema.id is not None:
        _check_type(file, columns.field(schema.id), is_key(columns.field(schema.id).type), KEYS)
    for name in schema.passed:
        _check_type(file, columns.field(name), is_scalar(columns.field(name).type), SCALARS)
    return file


def _check_type(file: File, field: pa.Field, serves: bool, allowed: str) -> None:
    if not serves:
        raise UserError(f"{file.path}: column {field.name!r} is of type {field.type}: {allowed}")


def _footer(file: File) -> tuple[pq.FileMetaData, pa.Schema]:
    return _footer_at(file.path, file.size, file.updated)


# By size and time, too: a file that was written anew has another footer.
@lru_cache(maxsize=32)
def _footer_at(path: str, size: int, updated: float) -> tuple[pq.FileMetaData, pa.Schema]:
    """A file's footer and columns, read once: with many row groups the footer is large."""
    with (
        open_stream(File(path, "parquet", size, updated)) as stream,
        pq.ParquetFile(stream, coerce_int96_timestamp_unit=INT96) as parquet,
    ):
        return parquet.metadata, parquet.schema_arrow


def column_names(file: File) -> list[str]:
    """The names of a file's columns."""
    return list(_footer(file)[1].names)


def checksum(file: File) -> int:
    """The CRC-32 of a file's footer, which has the sizes, places and statistics of all columns."""
    with open_stream(file) as stream:
        stream.seek(max(0, file.size - 8))
        length = int.from_bytes(stream.read(4), "little")
        stream.seek(max(0, file.size - 8 - length))
        return zlib.crc32(stream.read(length))


def scan(file: File, schema: Schema) -> Iterator[ScannedChunk]:
    """The row groups that hold rows."""
    footer, columns = _footer(file)
    [time] = _names_in_file([schema.time], file)
    first = 0
    for index in range(footer.num_row_groups):
        group = footer.row_group(index)
        if group.num_rows:
            times: tuple[int, int] | None = (0, 0)
            if schema.dated:
                times = _extent(file, index, group, columns.field(time).type, schema)
            labels = None
            if schema.has_label_time:
                known = columns.field(_names_in_file([str(schema.label_time)], file)[0]).type
                labels = _extent(file, index, group, known, use_label_time(schema))
            yield ScannedChunk(index, index + 1, group.num_rows, first + 1, times, labels=labels)
        first += group.num_rows


def _extent(
    file: File, index: int, group: pq.RowGroupMetaData, kind: pa.DataType, schema: Schema
) -> tuple[int, int] | None:
    """Least and greatest event time of a row group."""
    return _extent_of_statistics(file, group, kind, schema) or union_extents(
        [
            time_extent(read_times(batch.column(0), schema), file.latest)
            for batch in _batches(file, index, [schema.time], _SCAN_ROWS)
        ]
    )


def _extent_of_statistics(
    file: File, group: pq.RowGroupMetaData, kind: pa.DataType, schema: Schema
) -> tuple[int, int] | None:
    """Least and greatest event time by the statistics; None if they do not have it.

    None, too, if the greatest is after ``latest``: the greatest before that is not known.
    """
    [name] = _names_in_file([schema.time], file)
    bounds = _bounds(group, name, kind) if _is_ordered(kind, schema) else None
    if bounds is None:
        return None
    times = read_times(bounds, schema)
    found = None if times.null_count else time_extent(times)
    return None if found and file.latest is not None and found[1] > file.latest else found


def _is_ordered(kind: pa.DataType, schema: Schema) -> bool:
    """Whether a greater value is a later time: not across a clock change or digits of a date."""
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return schema.time_zone is None or getattr(kind, "tz", None) is not None
    return schema.time_format in PER_SECOND


def _bounds(group: pq.RowGroupMetaData, name: str, kind: pa.DataType) -> pa.Array | None:
    """The least and the greatest value of a column by the statistics; None if there are none."""
    leaves = [i for i in range(group.num_columns) if group.column(i).path_in_schema == name]
    if len(leaves) > 1:  # a field of a struct has the path a.t, as a column named so
        return None
    column = group.column(leaves[0])
    statistics = column.statistics if column.is_stats_set else None
    if statistics is None or not statistics.has_min_max:
        return None
    stored = _type_of_statistics(kind, statistics)
    if stored is None:
        return None
    return pa.array([statistics.min_raw, statistics.max_raw], stored)


def sample(file: File, schema: Schema) -> pa.Array:
    """Some values of the time's column, by which its format is guessed; none of a typed one.

    Numbers are the least and the greatest of each row group that has statistics.
    """
    footer, columns = _footer(file)
    [name] = _names_in_file([schema.time], file)
    kind = columns.field(name).type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.nulls(0)
    groups = [footer.row_group(index) for index in range(footer.num_row_groups)]
    bounds = [_bounds(group, name, kind) for group in groups]
    known = [each for each in bounds if each is not None]
    if known:
        return pa.concat_arrays(known)
    with open_stream(file) as stream:
        batches = pq.ParquetFile(stream, metadata=footer).iter_batches(
            _SAMPLE_ROWS, columns=[name], use_threads=False
        )
        for batch in batches:
            values = batch.column(name)
            if values.null_count < len(values):
                return values
    return pa.nulls(0)


def _type_of_statistics(kind: pa.DataType, statistics: pq.Statistics) -> pa.DataType | None:
    """The type of which the raw statistics are, if they order as times do."""
    types = pa.types
    if types.is_timestamp(kind):
        unit = json.loads(statistics.logical_type.to_json()).get("timeUnit")
        return pa.timestamp(_UNITS[unit], kind.tz) if unit in _UNITS else None
    if types.is_signed_integer(kind) or types.is_date32(kind):
        return kind
    return kind if types.is_float32(kind) or types.is_float64(kind) else None


def read(file: File, chunk: Chunk, schema: Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """A row group's rows as raw batches of at most so many rows.

    If these are whole blocks of rows (``model.blocks``), none is cut within the row group.
    """
    first = chunk.first
    found = _batches(file, chunk.start, list(schema.columns), batch_rows)
    if batch_rows % BLOCK == 0 and first % BLOCK:
        found = _cut_at_blocks(found, first)
    for batch in found:
        yield with_ids(batch, first, schema)
        first += batch.num_rows


def _cut_at_blocks(batches: Iterator[pa.RecordBatch], first: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that end with a block; a block that was cut comes by itself.

    Args:
        batches: of one kind.
        first: the id of the first row.
    """
    rest = None
    for batch in batches:
        if rest is not None:
            missing = -(first + rest.num_rows) % BLOCK
            rest = concat([rest, batch.slice(0, missing)])
            batch = batch.slice(missing)
            if (first + rest.num_rows) % BLOCK:
                continue
            first += rest.num_rows
            yield rest
        whole = max(0, (first + batch.num_rows) // BLOCK * BLOCK - first)
        if whole:
            yield batch.slice(0, whole)
        first += whole
        rest = batch.slice(whole) if whole < batch.num_rows else None
    if rest is not None:
        yield rest


def _batches(file: File, group: int, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    with open_stream(file) as stream:
        parquet = pq.ParquetFile(
            stream,
            metadata=_footer(file)[0],
            buffer_size=_BUFFER,
            pre_buffer=False,
            coerce_int96_timestamp_unit=INT96,
        )
        stored = _names_in_file(columns, file)
        for batch in parquet.iter_batches(rows, [group], stored, use_threads=False):
            batch = batch.select(stored)  # columns come in the file's order
            yield batch.rename_columns(columns) if file.renamed else batch


def _names_in_file(columns: list[str], file: File) -> list[str]:
    own = dict(file.renamed)
    return [own.get(name, name) for name in columns]
