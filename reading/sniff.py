"""A CSV file's dialect and header, found in its beginning.

What the schema sets is taken as it is. The rest is a pure function of the file's first bytes,
and the schema's columns are what it is judged by: a delimiter is the right one if it parts the
header into the names that the schema has. Every finding that is not the default is a note.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.errors import UserError
from model.numbers import PLAIN, NumberFormat, parse_numbers
from model.schema import Csv, Schema
from model.validation import show_value
from reading.dialect import NULLS, Dialect
from reading.fields import Parsed, end_line, parse
from reading.layout import find_rows, line_ends, without_quoted
from reading.names import count_columns, match_columns
from reading.numberformat import guess_numbers
from reading.rowtest import row_test, time_of
from reading.text import check_utf8

HEAD = 1 << 20
"""Bytes of a file that its dialect is judged by, about."""
_DELIMITERS = (",", ";", "\t", "|")
_QUOTES = ('"', "'")
_COMMA = NumberFormat(",", ".")
_MOST = 0.9
"""A share of rows that is the rule, not the exception."""


class Sniffed(NamedTuple):
    """What a file's beginning shows.

    Attributes:
        dialect: how the file is written.
        columns: the names of its columns, as the schema writes them; "" for those without.
        body: the offset after the header row.
        line: the number of the line there, from 0.
        notes: what was found, in lines for the user.
    """

    dialect: Dialect
    columns: tuple[str, ...]
    body: int
    line: int
    notes: tuple[str, ...]


class _Header(NamedTuple):
    """A header row: its names, where it ends, and with what lines before it begin, if any do."""

    dialect: Dialect
    names: list[str]
    end: int
    skipped: str = ""


def sniff(path: str, head: bytes, start: int, whole: bool, schema: Schema) -> Sniffed:
    """Finds how a CSV file is written.

    Args:
        path: the file, for messages.
        head: its first bytes, byte order marks aside; ``HEAD`` of them or more.
        start: the offset of these bytes.
        whole: whether that is the whole file.
        schema: of the rows.

    Raises:
        UserError: if there is no header row, it lacks a column that the schema names, or two
            readings of the numbers are plausible.
    """
    head = _drop_unfinished_line(head, whole)
    check_utf8(path, head, start)
    header = _find_header(path, head, schema)
    names = match_columns(path, header.names, schema, _hint(header.names, schema))
    rows = head[header.end :]
    dialect = _with_spaces(header.dialect, rows, tuple(names), schema)
    dialect = _with_escape(dialect, rows, tuple(names), schema)
    columns, notes = _fit_rows(path, rows, dialect, tuple(names), schema)
    texts = _texts(rows, dialect, columns, schema).rows
    numbers = {name: texts[name] for name in schema.numbers}
    guess = guess_numbers(path, numbers, schema.csv, dialect.delimiter)
    keys = [*_changes(dialect, schema.csv), *guess.keys]
    if keys:
        notes.insert(0, f"read as [csv] {', '.join(keys)} (found in the file; set it to fix it)")
    if guess.marks:
        marks = ", ".join(map(json.dumps, guess.marks))
        notes.append(f"{marks} in numeric columns is read as null ([csv] nulls can say otherwise)")
    if header.skipped:
        notes.append(f"lines before the header that begin with {header.skipped!r} are left out")
    line = len(line_ends(head[: header.end]))
    dialect = dialect._replace(numbers=guess.written)
    return Sniffed(dialect, columns, header.end, line, tuple(notes))


def _drop_unfinished_line(head: bytes, whole: bool) -> bytes:
    """The head without a line that does not end in it."""
    if whole or not head:
        return end_line(head)
    ends = line_ends(head)
    if head.endswith(b"\r"):
        ends = ends[:-1]  # the line end may go on
    return head[: ends[-1]] if len(ends) else end_line(head)


def _find_header(path: str, head: bytes, schema: Schema) -> _Header:
    """The first reading in which the header has the schema's columns; else the best."""
    best: _Header | None = None
    most = -1
    for dialect, start in _readings(head, schema.csv):
        header = _read_header(path, head, start, dialect)
        if header is None:
            continue
        count = count_columns(header.names, schema)
        if count == len(schema.columns) and _is_spaced(head[start : header.end], dialect, schema):
            skipped = head[:start].lstrip()[:1] == b"#" and not schema.csv.comment
            return header._replace(skipped="#" if skipped else "")
        if count > most and dialect.skipinitialspace is bool(schema.csv.skipinitialspace):
            best, most = header, count
    if best is None:
        raise UserError(f"{path}: has no header row: it holds blank lines only")
    return best


def _is_spaced(header: bytes, dialect: Dialect, schema: Schema) -> bool:
    """Whether a dialect with spaces behind delimiters has one behind each of a header's.

    A single one may belong to the name.
    """
    if not dialect.skipinitialspace or schema.csv.skipinitialspace:
        return True
    mark = dialect.delimiter.encode()
    return header.count(mark) == header.count(mark + b" ")


def _readings(head: bytes, given: Csv) -> Iterator[tuple[Dialect, int]]:
    """Dialects that a header may have, and where it may begin; the likely ones first."""
    plain = Dialect(
        escape=given.escape or "",
        skipinitialspace=bool(given.skipinitialspace),
        comment=given.comment or "",
        nulls=NULLS if given.nulls is None else ("", *given.nulls),
    )
    starts, mark = _starts(head, given)
    delimiters: tuple[str, ...] = (mark, *_DELIMITERS) if mark else _DELIMITERS
    if "delimiter" in given.model_fields_set:
        delimiters = (given.delimiter,)
    spaces = (False, True) if given.skipinitialspace is None else (given.skipinitialspace,)
    quotes = _QUOTES if given.quote is None else (given.quote,)
    for start, skips, quote, delimiter in product(starts, spaces, quotes, delimiters):
        if delimiter not in (quote, given.escape, given.comment):
            written = plain._replace(delimiter=delimiter, quote=quote)
            yield written._replace(skipinitialspace=skips), start


def _starts(head: bytes, given: Csv) -> tuple[list[int], str]:
    """Where the header may begin: after Excel's ``sep=`` and comments; and Excel's mark."""
    comment = (given.comment or "#").encode()
    lines = [0, *line_ends(head).tolist()]
    texts = [(at, head[at:end].strip()) for at, end in pairwise(lines)]
    texts = [(at, text) for at, text in texts if text]
    mark = ""
    if texts and (sep := texts[0][1].strip(b'"')).lower().startswith(b"sep=") and len(sep) <= 5:
        mark = sep[4:].decode("ascii", "replace") or "\t"  # a tab was stripped
        texts = texts[1:]
    if not texts:
        return [], mark
    behind = next((at for at, text in texts if not text.startswith(comment)), None)
    first = [] if given.comment and behind != texts[0][0] else [texts[0][0]]
    return [*first, *([behind] if behind not in (None, *first) else [])], mark


def _read_header(path: str, head: bytes, start: int, dialect: Dialect) -> _Header | None:
    data = head[start:]
    ends = find_rows(data[:65_536], dialect).ends
    if not len(ends):
        ends = find_rows(data, dialect).ends
    end = int(ends[0]) if len(ends) else len(data)
    try:
        text = io.StringIO(data[:end].decode("utf-8"), newline="")
        reader = csv.reader(
            text,
            delimiter=dialect.delimiter,
            quotechar=dialect.quote or None,
            escapechar=dialect.escape or None,
            skipinitialspace=dialect.skipinitialspace,
            quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        )
        return _Header(dialect, next(reader), start + end)
    except StopIteration:
        return None
    except csv.Error as error:  # a name of more than 128 KiB, or a NUL
        raise UserError(f"{path}: its header row is not valid: {error}") from error


def _hint(names: list[str], schema: Schema) -> str:
    """What to try if the header lacks a column."""
    likely = [mark for mark in _DELIMITERS if mark in names[0]]
    if len(names) == 1 and likely:
        return f" (is it [csv] delimiter = {json.dumps(likely[0])}?)"
    if count_columns(names, schema) == 0 and any(map(_is_value, names)):
        return " (its first row looks like data: a header row with the names must come first)"
    return ""


def _is_value(name: str) -> bool:
    """Whether a header's field looks like a number or a time."""
    return name[:1].isdigit() or (name[:1] in "+-." and name[1:2].isdigit())


def _with_spaces(dialect: Dialect, rows: bytes, names: tuple[str, ...], schema: Schema) -> Dialect:
    """The dialect with spaces behind delimiters if quotes stand behind them in more whole rows."""
    if dialect.skipinitialspace or schema.csv.skipinitialspace is not None or not dialect.quote:
        return dialect
    if f"{dialect.delimiter} {dialect.quote}".encode() not in rows or dialect.delimiter == " ":
        return dialect
    spaced = dialect._replace(skipinitialspace=True)
    counts = [_texts(rows, each, names, schema).rows.num_rows for each in (dialect, spaced)]
    return spaced if counts[1] > counts[0] else dialect


def _with_escape(dialect: Dialect, rows: bytes, names: tuple[str, ...], schema: Schema) -> Dialect:
    """The dialect with a backslash as escape if more rows have all fields with it."""
    if schema.csv.escape is not None:
        return _escaping(rows, dialect, names, schema)[0] if dialect.escape else dialect
    marks = [dialect.delimiter, dialect.quote] if dialect.quote else [dialect.delimiter]
    if not any(f"\\{mark}".encode() in rows for mark in marks):
        return dialect
    escaped, more = _escaping(rows, dialect._replace(escape="\\"), names, schema)
    count = _texts(rows, dialect, names, schema).rows.num_rows
    # Outside quotes nothing but an escape puts a backslash before a quote.
    outside = dialect.quote and f"\\{dialect.quote}".encode() in without_quoted(rows, dialect)
    return escaped if more > count or (more == count and outside) else dialect


def _escaping(
    rows: bytes, dialect: Dialect, names: tuple[str, ...], schema: Schema
) -> tuple[Dialect, int]:
    """The dialect that escapes where more rows have all fields, and how many these are.

    Where that is the same, escaped quotes outside quotes decide: Spark, which escapes
    inside quotes alone, would put quotes around such a field.
    """
    everywhere = dialect._replace(escapes_plain=True)
    if dialect.escape.encode() not in rows:
        return dialect, _texts(rows, dialect, names, schema).rows.num_rows
    counts = [_texts(rows, each, names, schema).rows.num_rows for each in (dialect, everywhere)]
    outside = dialect.quote and f"{dialect.escape}{dialect.quote}".encode() in without_quoted(
        rows, dialect
    )
    if counts[1] > counts[0] or (counts[1] == counts[0] and outside):
        return everywhere, counts[1]
    return dialect, counts[0]


def _fit_rows(
    path: str, rows: bytes, dialect: Dialect, names: tuple[str, ...], schema: Schema
) -> tuple[tuple[str, ...], list[str]]:
    """The columns, one more at the beginning or end if every row has a field more."""
    parsed = _texts(rows, dialect, names, schema)
    wanted = len(names) + 1
    longer = sum(row.fields == wanted for row in parsed.bad)
    if longer <= _MOST * (parsed.rows.num_rows + len(parsed.bad)):
        _check_lengths(path, parsed, len(names))
        return names, []
    behind = _texts(rows, dialect, (*names, ""), schema, last=True)
    before = _texts(rows, dialect, ("", *names), schema)
    empty = pc.all(pc.equal(behind.rows.column(len(schema.columns)), "")).as_py()
    place = f"rows have {wanted} fields where the header has {len(names)}"
    if empty and _readable(behind, schema) >= _readable(before, schema):
        return (*names, ""), [f"{place}: the last one, which is empty, is left out"]
    if _readable(before, schema) > _MOST:
        return ("", *names), [f"{place}: the first one is taken for the row's name and left out"]
    _check_lengths(path, parsed, len(names))
    return names, []


def _check_lengths(path: str, parsed: Parsed, fields: int) -> None:
    """Checks that most rows have no more fields than the header.

    Of numbers with a decimal comma, without quotes, only the whole ones would be left.

    Raises:
        UserError: if not.
    """
    longer = [row for row in parsed.bad if row.fields > fields]
    if 2 * len(longer) > parsed.rows.num_rows + len(parsed.bad):
        raise UserError(
            f"{path}: most rows have more fields than the header: expected {fields} fields, found "
            f"{longer[0].fields} in {show_value(longer[0].text)}: a field that holds a "
            "delimiter, as a decimal comma, must be in quotes"
        )


def _readable(parsed: Parsed, schema: Schema) -> float:
    """The share of rows whose time and numbers can be read, whatever their decimal mark."""
    rows = parsed.rows
    if not rows.num_rows:
        return 0.0
    good = np.ones(rows.num_rows, np.bool_)
    if schema.dated:
        times = time_of(rows.column(schema.time), schema)
        good &= times.is_valid().to_numpy(zero_copy_only=False)
    for name in schema.numbers:
        bad = [parse_numbers(rows.column(name), each)[1] for each in (PLAIN, _COMMA)]
        good &= ~(bad[0] & bad[1])
    return float(good.mean())


def _texts(
    rows: bytes,
    dialect: Dialect,
    names: tuple[str, ...],
    schema: Schema,
    last: bool = False,
) -> Parsed:
    """The schema's columns as text, and, if asked for, the last one of the file."""
    if last:
        names = (*names[:-1], "__last")
    test = row_test(dialect, names, schema)
    kinds = dict.fromkeys([*schema.columns, *(["__last"] if last else [])], pa.string())
    whole = find_rows(end_line(rows), dialect, test).ends
    return parse(rows[: int(whole[-1])] if len(whole) else b"", dialect, names, kinds, test)


def _changes(dialect: Dialect, given: Csv) -> list[str]:
    """The parts of a dialect that were found, as keys of a schema."""
    found = []
    if "delimiter" not in given.model_fields_set and dialect.delimiter != ",":
        found.append(f"delimiter = {json.dumps(dialect.delimiter)}")
    if given.quote is None and dialect.quote != '"':
        found.append(f"quote = {json.dumps(dialect.quote)}")
    if given.escape is None and dialect.escape:
        found.append(f"escape = {json.dumps(dialect.escape)}")
    if given.skipinitialspace is None and dialect.skipinitialspace:
        found.append("skipinitialspace = true")
    return found


def strip_marks(head: bytes) -> int:
    """How many bytes of byte order marks stand at the beginning of a UTF-8 text."""
    mark = codecs.BOM_UTF8
    count = 0
    while head.startswith(mark, count):
        count += len(mark)
    return count
