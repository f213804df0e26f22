"""The fields of CSV rows in columns, and the rows that have none.

pyarrow parses; what it does not know (lines that are comments, quotes that are escaped, rows that
a stray quote has damaged) is taken out of the text or written anew before.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as arrow_csv

from reading.dialect import Dialect, hide_escaped, keep_backslashes, move_spaces
from reading.layout import Layout, RowTest, find_rows

_NEWLINES = (10, 13)
_SPACE = 32
_BLANK_LINE = re.compile(rb"(?:\A|[\r\n]) +[\r\n]")


class BadRow(NamedTuple):
    """A row without the fields that it should have.

    Attributes:
        at: its place among the rows, from 0.
        reason: why it cannot be read.
        text: the row as it stood.
        fields: how many fields it has; 0 if that is not known.
    """

    at: int
    reason: str
    text: str
    fields: int = 0


class Parsed(NamedTuple):
    """Columns of the rows that have every field, and the other rows, in order."""

    rows: pa.RecordBatch
    bad: list[BadRow]


def parse(
    data: bytes,
    dialect: Dialect,
    names: tuple[str, ...],
    kinds: dict[str, pa.DataType],
    test: RowTest | None = None,
) -> Parsed:
    r"""Parses whole rows.

    Args:
        data: the text of the rows; the last line end may be missing.
        dialect: how it is written.
        names: the names of all columns; those that are not in ``kinds`` may repeat.
        kinds: the type of each column to read.
        test: see ``find_rows``.

    Raises:
        pyarrow.ArrowInvalid: if a value is not of its column's type.

    Example:
        >>> kinds = {"a": pa.float64(), "b": pa.string()}
        >>> rows, bad = parse(b'1,"x, y"\n2\n', Dialect(), ("a", "b"), kinds)
        >>> rows.to_pylist(), bad[0].reason
        ([{'a': 1.0, 'b': 'x, y'}], 'expected 2 fields, found 1')
    """
    text = end_line(data)
    data = move_spaces(text, dialect)
    layout = find_rows(data, dialect, test)
    kept: npt.NDArray[np.int64] | None = None
    bad: list[BadRow] = []
    commented = dialect.comment and dialect.comment.encode() in data
    if layout.faults or commented or (dialect.delimiter != " " and _holds_blank_line(data)):
        data, kept, bad = _take_out(data, text, layout, dialect)
    if dialect.escape and dialect.escape.encode() in data:
        data = (keep_backslashes if dialect.escapes_plain else _double_quotes)(data, dialect)
    invalid: list[arrow_csv.InvalidRow] = []

    def put_aside(row: arrow_csv.InvalidRow) -> str:
        invalid.append(row)
        return "skip"

    if not data.strip(b"\r\n"):  # pyarrow refuses a text without a row
        empty = pa.schema([pa.field(name, kind) for name, kind in kinds.items()])
        return Parsed(pa.RecordBatch.from_pylist([], schema=empty), bad)
    table = arrow_csv.read_csv(
        pa.py_buffer(data),
        arrow_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
        arrow_csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char=dialect.quote or False,
            escape_char=dialect.escape if dialect.escapes_plain else False,
            newlines_in_values=holds_quote(data, dialect) or dialect.escapes_plain,
            invalid_row_handler=put_aside,
        ),
        arrow_csv.ConvertOptions(
            include_columns=list(kinds),
            column_types=kinds,
            null_values=["", *dialect.numbers.nulls],
            decimal_point=dialect.numbers.decimal,
        ),
    )
    for row in invalid:
        at = row.number - 1 if kept is None else int(kept[row.number - 1])
        reason = f"expected {row.expected_columns} fields, found {row.actual_columns}"
        bad.append(BadRow(at, reason, row.text, row.actual_columns))
    columns = [column.combine_chunks() for column in table.columns]
    return Parsed(pa.record_batch(columns, schema=table.schema), sorted(bad))


def end_line(data: bytes) -> bytes:
    r"""The text with a line end at its end."""
    return data if data.endswith((b"\n", b"\r")) else data + b"\n"


def holds_quote(data: bytes, dialect: Dialect) -> bool:
    """Whether there is any quote in a text."""
    return bool(dialect.quote) and dialect.quote.encode() in data


def row_starts(data: bytes, layout: Layout, dialect: Dialect) -> npt.NDArray[np.int64]:
    """The offsets at which rows begin: neither blank lines nor comments."""
    starts = np.append(0, layout.ends)
    starts = starts[starts < len(data)]
    codes = np.frombuffer(data, np.uint8)
    first = codes[starts]
    no_rows = _NEWLINES if not dialect.comment else (*_NEWLINES, ord(dialect.comment))
    rows = ~np.isin(first, no_rows)
    # A line of spaces alone is blank, as pandas takes it.
    if dialect.delimiter != " " and (first == _SPACE).any():
        marks = np.flatnonzero((codes != _SPACE) & ~np.isin(codes, _NEWLINES))
        ends = np.append(starts[1:], len(data))
        rows &= np.searchsorted(marks, ends) > np.searchsorted(marks, starts)
    return starts[rows]


def _holds_blank_line(data: bytes) -> bool:
    """Whether there may be a line of spaces alone."""
    likely = data.startswith(b" ") or b"\n " in data or b"\r " in data
    return likely and _BLANK_LINE.search(data) is not None


def _take_out(
    data: bytes, text: bytes, layout: Layout, dialect: Dialect
) -> tuple[bytes, npt.NDArray[np.int64], list[BadRow]]:
    """The data without faults and comments, the places of the rows left in it, and the faults.

    These are shown as they stand in the text, each at the same offset as in the data.
    """
    starts = row_starts(data, layout, dialect).tolist()
    ends = layout.ends[np.searchsorted(layout.ends, starts, side="right")].tolist()
    kept, pieces, bad = [], [], []
    for at, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if start in layout.faults:
            row = text[start:end].decode("utf-8", "replace").rstrip("\r\n")
            bad.append(BadRow(at, layout.faults[start], row))
        else:
            kept.append(at)
            pieces.append(data[start:end])
    return b"".join(pieces), np.array(kept, np.int64), bad


def _double_quotes(data: bytes, dialect: Dialect) -> bytes:
    """The text with doubled quotes inside quotes, in the place of escaped ones."""
    quote, escape = dialect.quote.encode(), dialect.escape.encode()
    mark = re.escape(dialect.delimiter.encode())
    quoted = b"(?:(?<=[\r\n])|(?<=%b)|\\A)%b[^%b]*(?:%b%b[^%b]*)*%b"
    pieces, done = [], 0
    pattern = quoted % (mark, *(re.escape(quote),) * 6)
    for field in re.finditer(pattern, hide_escaped(data, dialect)):
        inside = data[field.start() : field.end()]
        if escape in inside:
            pieces += [data[done : field.start()], _unescape(inside, quote, escape)]
            done = field.end()
    return b"".join([*pieces, data[done:]])


def _unescape(field: bytes, quote: bytes, escape: bytes) -> bytes:
    pairs = {escape + quote: quote * 2, escape * 2: escape}
    pattern = b"|".join(map(re.escape, pairs))
    return re.sub(pattern, lambda pair: pairs[pair[0]], field)
