"""The features in an Arrow IPC stream or a Parquet file, as one plain record batch.

The bytes are hostile: columns that no feature names are not read, all lengths and indices are
checked, and only types that cannot grow when they are read are taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.carried import SCALARS, is_scalar, to_texts
from model.categories import CATEGORIES, is_category
from model.times import ALLOWED, is_text, is_time
from model.validation import NUMBERS, explain_missing

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
MEDIA = (ARROW, PARQUET)


LARGEST = 256 << 20
"""Bytes that the features of a body may have, each row's text written out."""


class TooLarge(Exception):
    """What is unpacked has too many bytes."""


class TooMany(Exception):
    """There are more rows than are allowed."""


class Wrong(Exception):
    """A column is missing, is there twice, or has a type that cannot serve."""


def read(
    media: str,
    body: bytes,
    numeric: tuple[str, ...],
    categorical: tuple[str, ...],
    most: int,
    carried: tuple[str, ...] = (),
    times: tuple[str, ...] = (),
) -> pa.RecordBatch:
    """Reads a body.

    Args:
        media: ``ARROW`` or ``PARQUET``.
        body: of that type.
        numeric: columns to read that hold numbers.
        categorical: columns to read that hold categories.
        most: so many rows are allowed.
        carried: columns to read that go back with the answer; they may be absent.
        times: columns to read that hold times, from which features are computed.

    Returns:
        These columns in this order, their values as they came: numbers, booleans, dates, times,
        text, or ``model.batch.CATEGORY_TYPE``; those that are carried as text.

    Raises:
        TooLarge, TooMany, Wrong: see there.
        pyarrow.ArrowException, OSError: if the body is not of that type.

    Example:
        >>> sink = pa.BufferOutputStream()
        >>> rows = pa.table({"x": [1, 2], "c": ["a", "b"], "other": [0.5, 0.5]})
        >>> with pa.ipc.new_stream(sink, rows.schema) as writer:
        ...     writer.write_table(rows)
        >>> read(ARROW, sink.getvalue().to_pybytes(), ("x",), ("c",), 2).to_pydict()
        {'x': [1, 2], 'c': ['a', 'b']}
    """
    kinds = {
        **dict.fromkeys(numeric, NUMBER),
        **dict.fromkeys(categorical, CATEGORY),
        **dict.fromkeys(carried, SCALAR),
        **dict.fromkeys(times, TIME),
    }
    unpack = _arrow if media == ARROW else _parquet
    table = unpack(pa.py_buffer(body), kinds, most)
    absent = pa.nulls(table.num_rows, pa.string())
    there = set(table.column_names)
    columns = [_plain(table, name) if name in there else absent for name in kinds]
    if sum(map(_size, columns)) > LARGEST:
        raise TooLarge(f"it unpacks to more than {LARGEST >> 20} MiB")
    back = [
        to_texts(c) if kind is SCALAR else c
        for c, kind in zip(columns, kinds.values(), strict=True)
    ]
    return pa.record_batch(back, names=list(kinds))


def _size(values: pa.Array) -> int:
    """A column's bytes, each row's text counted though a dictionary holds it once."""
    if not pa.types.is_dictionary(values.type):
        return int(values.nbytes)
    lengths = pc.binary_length(values.dictionary).cast(pa.int64())
    return int(values.nbytes) + (pc.sum(lengths.take(values.indices)).as_py() or 0)


def _arrow(body: pa.Buffer, kinds: dict[str, ColumnKind], most: int) -> pa.Table:
    schema = pa.ipc.open_stream(body).schema
    wanted = list(_places(schema, kinds).values())
    options = pa.ipc.IpcReadOptions(included_fields=wanted, use_threads=False)
    reader = pa.ipc.open_stream(body, options=options)
    batches = []
    rows = 0
    for batch in reader:
        rows += batch.num_rows
        _check_rows(rows, most)
        batch.validate(full=True)
        batches.append(batch)
    return pa.Table.from_batches(batches, reader.schema)


def _parquet(body: pa.Buffer, kinds: dict[str, ColumnKind], most: int) -> pa.Table:
    file = pq.ParquetFile(pa.BufferReader(body))
    _check_rows(file.metadata.num_rows, most)
    schema = file.schema_arrow
    names = list(_places(schema, kinds))
    repeated = [name for name in names if is_text(schema.field(name).type)]
    file = pq.ParquetFile(pa.BufferReader(body), read_dictionary=repeated)
    table = file.read(columns=names, use_threads=False)
    _check_rows(table.num_rows, most)
    table.validate(full=True)
    return table


def _places(schema: pa.Schema, kinds: dict[str, ColumnKind]) -> dict[str, int]:
    """Where the columns are, by name; those that may be absent, and are, are left out."""
    places = {name: _place(schema, name, kind) for name, kind in kinds.items()}
    return {name: place for name, place in places.items() if place is not None}


def _place(schema: pa.Schema, name: str, kind: ColumnKind) -> int | None:
    """Where a column is, if it is there once and has a type that can serve."""
    places = schema.get_all_field_indices(name)
    if not places and not kind.needed:
        return None
    if not places:
        raise Wrong(explain_missing(name))
    if len(places) > 1:
        raise Wrong(f"column {name!r} is there {len(places)} times: it must be there once")
    found = schema.field(places[0]).type
    if not kind.serves(found.value_type if pa.types.is_dictionary(found) else found):
        raise Wrong(f"column {name!r} is of type {found}: {kind.allowed}")
    return int(places[0])


def _check_rows(rows: int, most: int) -> None:
    if rows > most:
        raise TooMany(f"the body has {rows:,} rows or more: at most {most:,} are accepted")


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    tests = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null)
    return any(test(kind) for test in tests)


class ColumnKind(NamedTuple):
    """What a column is for: its types, what a message expects, whether it is needed."""

    serves: Callable[[pa.DataType], bool]
    allowed: str
    needed: bool = True


NUMBER, CATEGORY = ColumnKind(_is_number, NUMBERS), ColumnKind(is_category, CATEGORIES)
TIME = ColumnKind(is_time, f"{ALLOWED}, or null")
SCALAR = ColumnKind(is_scalar, SCALARS, needed=False)


def _plain(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece; a dictionary's numbers are written out a row, its texts are not."""
    kind = table.schema.field(name).type
    if not pa.types.is_dictionary(kind):
        values = table.column(name).combine_chunks()
        return values.cast(pa.string()) if pa.types.is_string_view(kind) else values
    whole = table.select([name]).unify_dictionaries().column(0).combine_chunks()
    if not is_text(kind.value_type):
        return whole.dictionary_decode()
    values = whole.dictionary.cast(pa.string())
    return pa.DictionaryArray.from_arrays(whole.indices.cast(pa.int32()), values)
