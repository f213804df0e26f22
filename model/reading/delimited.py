"""CSV: a header row, then rows of fields in RFC 4180 quotes.

A block is parsed by pyarrow straight into float64. Where that refuses a value, the block is
parsed again as text, and ``model.validation`` reads the numbers and names what is none. A row
with too few or too many fields stays in its place as a problem. An empty field is a null, in a
numeric column also NA, NaN, null and their like; a blank line is no row.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from model.batch import PROBLEM, TEXT, TIME_TYPE
from model.errors import UserError
from model.reading.chunks import File, no_times, with_ids
from model.reading.encodings import not_utf8
from model.reading.files import check_columns
from model.reading.text import Format, behind_bom, blocks, line_ends
from model.schema import Schema
from model.times import parse_times
from model.validation import NULL_WORDS

_QUOTE, _NEWLINES = ord('"'), (10, 13)


def row_ends(data: bytes, delimiter: str) -> npt.NDArray[np.int64]:
    r"""The offsets behind the line ends that are outside quotes.

    Example:
        >>> row_ends(b'a,"x\ny"\nb,c\n', ",").tolist()
        [8, 12]
    """
    ends = line_ends(data)
    if b'"' not in data:
        return ends
    edges = _edges(data, delimiter)
    outside: npt.NDArray[np.int64] = ends[np.searchsorted(edges, ends) % 2 == 0]
    return outside


def _edges(data: bytes, delimiter: str) -> npt.NDArray[np.int64]:
    """Where quoted fields are entered and left, in turn.

    Every quote is one if each that enters stands at a field's start, or right behind one that
    leaves (a doubled quote). Otherwise quotes stand inside plain fields, where they mean
    nothing, and a regular expression tells them apart.
    """
    codes = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(codes == _QUOTE)
    entering = quotes[::2]
    before = np.where(entering > 0, codes[entering - 1], 10)
    if np.isin(before, (_QUOTE, ord(delimiter), *_NEWLINES)).all():
        return quotes
    start = re.escape(delimiter.encode())
    quoted = re.compile(rb'(?:(?<=[\r\n])|(?<=%b)|\A)"[^"]*(?:""[^"]*)*("|\Z)' % start)
    spans = [(each.start(), each.start(1)) for each in quoted.finditer(data)]
    return np.array(spans, np.int64).reshape(-1)


def begin(file: File, schema: Schema) -> File:
    """The file with its column names, its body behind the header row.

    Raises:
        UserError: if there is no header row, it lacks a column that the schema names or has
            it twice, or the delimiter cannot be one.
    """
    delimiter = schema.csv.delimiter
    if not delimiter.isascii() or delimiter in '"\r\n':
        raise UserError(
            f"[csv] delimiter is {delimiter!r}: an ASCII character, no quote, is allowed"
        )
    file = behind_bom(file)
    for block in blocks(file, FORMAT, schema):
        ends = [0, *row_ends(block.data, delimiter).tolist(), len(block.data)]
        for start, end in pairwise(ends):
            if block.data[start:end].strip(b"\r\n"):
                names = _names(block.data[start:end], file, delimiter)
                check_columns(file.path, names, schema, _hint(names))
                line = block.line + len(line_ends(block.data[:end]))
                return replace(file, columns=names, body=block.start + end, line=line)
    raise UserError(f"{file.path}: has no header row: it holds blank lines only")


def _names(header: bytes, file: File, delimiter: str) -> tuple[str, ...]:
    try:
        text = io.StringIO(header.decode("utf-8"), newline="")
        return tuple(next(csv.reader(text, delimiter=delimiter)))
    except UnicodeDecodeError as error:
        raise not_utf8(file.path, header, file.body, error) from error
    except csv.Error as error:  # a name of more than 128 KiB, or a NUL
        raise UserError(f"{file.path}: its header row is none: {error}") from error


def _hint(names: tuple[str, ...]) -> str:
    """What to try if the header is a single name that another delimiter would part."""
    likely = [mark for mark in ",;\t|" if mark in names[0]]
    return (
        f" (is it [csv] delimiter = {json.dumps(likely[0])}?)" if names[1:] == () and likely else ""
    )


def cut(data: bytes, file: File, schema: Schema) -> int:
    """The offset behind the last row that ends in the data."""
    if b'"' not in data:
        return max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    ends = row_ends(data, schema.csv.delimiter)
    return int(ends[-1]) if len(ends) else 0


def lines(data: bytes, file: File, schema: Schema) -> npt.NDArray[np.int64]:
    """For each row the number of its first line, from 0."""
    codes = np.frombuffer(data, np.uint8)
    starts = np.append(0, row_ends(data, schema.csv.delimiter))
    starts = starts[starts < len(data)]
    starts = starts[~np.isin(codes[starts], _NEWLINES)]
    return np.searchsorted(line_ends(data), starts, side="right")


def times(data: bytes, file: File, schema: Schema) -> pa.Array:
    """The rows' event times; null for those with too few or too many fields, at the end."""
    rows, bad = _parse(
        data, file, schema, {schema.time if schema.dated else schema.columns[0]: pa.string()}
    )
    if not schema.dated:
        return no_times(rows.num_rows + len(bad))
    return pa.concat_arrays([parse_times(rows.column(0)), pa.nulls(len(bad), TIME_TYPE)])


def batch(data: bytes, file: File, first: int, schema: Schema) -> pa.RecordBatch:
    """The rows as a raw batch."""
    kinds = dict.fromkeys(schema.columns, pa.string())
    numbers = dict.fromkeys(schema.numbers, pa.float64())
    try:
        rows, bad = _parse(data, file, schema, kinds | numbers)
    except pa.ArrowInvalid:  # a value that is no number: validation finds it in the text
        rows, bad = _parse(data, file, schema, kinds)
    for name in schema.categorical:
        index, values = rows.schema.get_field_index(name), rows.column(name)
        empty = pc.equal(values, "")
        rows = rows.set_column(index, name, pc.if_else(empty, pa.scalar(None, pa.string()), values))
    return with_ids(_with_problems(rows, bad) if bad else rows, first, schema)


def _parse(
    data: bytes, file: File, schema: Schema, kinds: dict[str, pa.DataType]
) -> tuple[pa.RecordBatch, list[arrow_csv.InvalidRow]]:
    """The named columns of the rows that have every field, and the other rows."""
    bad: list[arrow_csv.InvalidRow] = []

    def put_aside(row: arrow_csv.InvalidRow) -> str:
        bad.append(row)
        return "skip"

    table = arrow_csv.read_csv(
        pa.py_buffer(data),
        arrow_csv.ReadOptions(
            use_threads=False, block_size=len(data) + 1, column_names=file.columns
        ),
        arrow_csv.ParseOptions(
            delimiter=schema.csv.delimiter,
            newlines_in_values=b'"' in data,
            invalid_row_handler=put_aside,
        ),
        arrow_csv.ConvertOptions(
            include_columns=list(kinds), column_types=kinds, null_values=NULL_WORDS
        ),
    )
    columns = [column.combine_chunks() for column in table.columns]
    return pa.record_batch(columns, schema=table.schema), bad


def _with_problems(rows: pa.RecordBatch, bad: list[arrow_csv.InvalidRow]) -> pa.RecordBatch:
    """The rows with the bad ones in their places."""
    total = rows.num_rows + len(bad)
    good = np.ones(total, np.bool_)
    problems: list[str | None] = [None] * total
    texts: list[str | None] = [None] * total
    for row in bad:
        at = row.number - 1
        good[at] = False
        problems[at] = f"expected {row.expected_columns} fields, found {row.actual_columns}"
        texts[at] = row.text
    rows = rows.take(pa.array(np.cumsum(good) - 1, mask=~good))
    rows = rows.append_column(PROBLEM, pa.array(problems, pa.string()))
    return rows.append_column(TEXT, pa.array(texts, pa.string()))


FORMAT = Format(cut, lines, times, batch)
