"""CSV: a header row, then rows of fields.

How a file is written is found in its beginning (``reading.sniff``), unless the schema sets
it. A block is parsed by pyarrow straight into float64. Where that refuses a value, the block is
parsed again as text, and ``model.validation`` reads the numbers and names what is not one. A row
with too few or too many fields, or damaged by a stray quote, stays in its place as a problem. An
empty field is a null, in a numeric column also NA, NaN, null and their like. A blank line is no
row.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.batch import CATEGORY_TYPE, PROBLEM, TEXT, TIME_TYPE
from model.errors import UserError
from model.numbers import is_number, with_format
from model.schema import Schema
from model.times import read_optional_times, read_times
from reading import sniff
from reading.chunks import File, no_times, with_ids
from reading.dialect import Dialect
from reading.fields import BadRow, Parsed, end_line, holds_quote, parse, row_starts
from reading.layout import Layout, find_rows, line_ends, longest_field
from reading.rowtest import row_test
from reading.text import Format, Times, read_head, skip_bom

LONG_LINES = 100
LONG_BYTES = 64 << 10
"""A quoted field of more lines or bytes is noted: its quote may not be closed."""


def begin(file: File, schema: Schema) -> File:
    """The file with its dialect and column names, its body after the header row.

    Raises:
        UserError: if there is no header row, it lacks a column that the schema names or has
            it twice, the delimiter cannot be one, or it is not clear how numbers are written.
    """
    delimiter = schema.csv.delimiter
    if not delimiter.isascii() or delimiter in '"\r\n':
        raise UserError(
            f"[csv] delimiter is {delimiter!r}: must be an ASCII character other than a quote"
        )
    file = skip_bom(file)
    head, whole = read_head(file, sniff.HEAD)
    marks = sniff.strip_marks(head)
    found = sniff.sniff(file.path, head[marks:], file.body + marks, whole, schema)
    return replace(
        file,
        columns=found.columns,
        dialect=found.dialect,
        body=file.body + marks + found.body,
        line=file.line + found.line,
        notes=(*file.notes, *found.notes),
    )


def cut(data: bytes, file: File, schema: Schema) -> int:
    """The offset after the last row that ends in the data."""
    dialect = _dialect(file, schema)
    if not holds_quote(data, dialect) and not dialect.escapes_plain:
        return max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    ends = _layout(data, file, schema).ends
    return int(ends[-1]) if len(ends) else 0


def lines(data: bytes, file: File, schema: Schema) -> npt.NDArray[np.int64]:
    """For each row the number of its first line, from 0."""
    layout = _layout(end_line(data), file, schema)
    starts = row_starts(data, layout, _dialect(file, schema))
    return np.searchsorted(line_ends(data), starts, side="right")


def times(data: bytes, file: File, schema: Schema) -> Times:
    """The rows' times; null for those with too few or too many fields, at the end."""
    name = schema.time if schema.dated else schema.columns[0]
    label = schema.label_time
    rows, bad = _parse(data, file, schema, dict.fromkeys(filter(None, (name, label)), pa.string()))
    lost = pa.nulls(len(bad), TIME_TYPE)
    if schema.dated:
        events = pa.concat_arrays([read_times(rows.column(name), schema), lost])
    else:
        events = no_times(rows.num_rows + len(bad))
    if label is None:
        return Times(events)
    return Times(events, pa.concat_arrays([read_optional_times(rows.column(label), schema), lost]))


def batch(data: bytes, file: File, first: int, schema: Schema) -> pa.RecordBatch:
    """The rows as a raw batch."""
    dialect = _dialect(file, schema)
    kinds = dict.fromkeys(schema.columns, pa.string())
    kinds |= dict.fromkeys(schema.categories, CATEGORY_TYPE)
    rows, bad = _parse_numbers(data, file, schema, kinds)
    categories, numbers = set(schema.categories), set(schema.numbers)
    nullable = {*schema.carried, *schema.calendar_sources, schema.label_time} - {schema.time}
    fields = []
    for field, values in zip(rows.schema, rows.columns, strict=True):
        if field.name in categories:
            values = _without_nulls(values, dialect)
        elif field.name in nullable:
            if dialect.skipinitialspace:
                values = pc.utf8_ltrim(values, " ")
            null = pc.is_in(values, value_set=pa.array(dialect.nulls, pa.string()))
            values = pc.if_else(null, pa.scalar(None, pa.string()), values)
        elif field.name in numbers and field.type == pa.string():
            field = with_format(field, dialect.numbers)
        fields.append((field, values))
    rows = pa.RecordBatch.from_arrays(
        [values for _, values in fields], schema=pa.schema([field for field, _ in fields])
    )
    return with_ids(_with_problems(rows, bad) if bad else rows, first, schema)


def notes(data: bytes, file: File, schema: Schema) -> tuple[str, ...]:
    """What is suspicious in a block of rows."""
    dialect = _dialect(file, schema)
    if not holds_quote(data, dialect):
        return ()
    count, size = longest_field(data, dialect)
    if count <= LONG_LINES and size <= LONG_BYTES:
        return ()
    return (
        f"a quoted field of more than {LONG_LINES} lines or {LONG_BYTES >> 10} KiB is read as one "
        "value: is a quote not closed?",
    )


def _dialect(file: File, schema: Schema) -> Dialect:
    return file.dialect or Dialect(schema.csv.delimiter)


def _layout(data: bytes, file: File, schema: Schema) -> Layout:
    dialect = _dialect(file, schema)
    return find_rows(data, dialect, row_test(dialect, file.columns, schema))


def _parse(data: bytes, file: File, schema: Schema, kinds: dict[str, pa.DataType]) -> Parsed:
    dialect = _dialect(file, schema)
    test = row_test(dialect, file.columns, schema) if holds_quote(data, dialect) else None
    return parse(data, dialect, file.columns, kinds, test)


def _parse_numbers(
    data: bytes,
    file: File,
    schema: Schema,
    kinds: dict[str, pa.DataType],
) -> Parsed:
    """Numeric columns as float64, or, if one holds what pyarrow does not read, as text."""
    written = _dialect(file, schema).numbers
    # pyarrow knows no thousands, and a null such as -999 only without spaces around it.
    quick = not written.thousands and not any(map(is_number, written.nulls))
    if quick:
        try:
            return _parse(data, file, schema, kinds | dict.fromkeys(schema.numbers, pa.float64()))
        except pa.ArrowInvalid:
            pass
    return _parse(data, file, schema, kinds)


def _without_nulls(values: pa.Array, dialect: Dialect) -> pa.Array:
    """A categorical column with nulls in the place of the texts that stand for them."""
    texts = values.dictionary
    if dialect.skipinitialspace:
        texts = pc.utf8_ltrim(texts, " ")
    null = pc.is_in(texts, value_set=pa.array(dialect.nulls, pa.string()))
    if not pc.any(null).as_py():
        return values
    texts = pc.if_else(null, pa.scalar(None, pa.string()), texts)
    return texts.take(values.indices).dictionary_encode()


def _with_problems(rows: pa.RecordBatch, bad: list[BadRow]) -> pa.RecordBatch:
    """The rows with the bad ones in their places."""
    total = rows.num_rows + len(bad)
    good = np.ones(total, np.bool_)
    problems: list[str | None] = [None] * total
    texts: list[str | None] = [None] * total
    for row in bad:
        good[row.at] = False
        problems[row.at] = row.reason
        texts[row.at] = row.text
    rows = rows.take(pa.array(np.cumsum(good) - 1, mask=~good))
    rows = rows.append_column(PROBLEM, pa.array(problems, pa.string()))
    return rows.append_column(TEXT, pa.array(texts, pa.string()))


FORMAT = Format(cut, lines, times, batch, notes)
