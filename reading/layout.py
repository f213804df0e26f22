"""Where the rows of a CSV text begin and end, and which of them a stray quote has damaged.

In a well-formed text (RFC 4180) a quote opens a field at its start, and one that closes it is
followed by a delimiter, a line end or the text's end. A quote that does not hold to that would
swallow the rows up to the next one. So the line on which such a field begins is a fault, and rows
go on with the next line. It is one, too, if a line within a field is a row by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reading.dialect import Dialect, hide_escaped, move_spaces

_NEWLINES = (10, 13)
_MALFORMED = (
    "a quoted field goes on after its closing quote: a quote inside quotes must be doubled, "
    "or escaped by [csv] escape"
)
_SWALLOWED = "a quoted field would hold the row on the next line: a quote is not closed"


class Layout(NamedTuple):
    """The rows of a text.

    Attributes:
        ends: the offsets after the rows (and blank lines) that end in the text.
        faults: why a row cannot be read, by the offset at which it begins.
    """

    ends: npt.NDArray[np.int64]
    faults: dict[int, str]


def line_ends(data: bytes) -> npt.NDArray[np.int64]:
    r"""The offsets after every ``\n``, ``\r\n`` and ``\r``.

    Example:
        >>> line_ends(b"a\nb\r\n\rc").tolist()
        [2, 5, 6]
    """
    codes = np.frombuffer(data, np.uint8)
    if b"\r" not in data:
        return np.flatnonzero(codes == 10) + 1
    following = np.append(codes[1:], 0)
    return np.flatnonzero((codes == 10) | ((codes == 13) & (following != 10))) + 1


class RowTest(NamedTuple):
    """A test whether a line is a row by itself.

    Attributes:
        fields: how many fields a row has.
        anchor: the place of a field without which there is no row, as the time.
        is_row: whether a line that has them is a row.
    """

    fields: int
    anchor: int
    is_row: Callable[[bytes], bool]


def find_rows(data: bytes, dialect: Dialect, test: RowTest | None = None) -> Layout:
    r"""Finds where rows end.

    Args:
        data: a text that begins with a row.
        dialect: how it is written.
        test: finds rows in the lines within a quoted field; without it none is looked for.

    Returns:
        The ends of rows, and the faults. What stands after the last end is an unfinished row.

    Example:
        >>> find_rows(b'a,"x\ny"\nb,c\n', Dialect()).ends.tolist()
        [8, 12]
        >>> list(find_rows(b'a,"x"y\nb,c\n', Dialect()).faults)
        [0]
    """
    data = hide_escaped(move_spaces(data, dialect), dialect)
    ends = line_ends(data)
    quote = dialect.quote.encode()
    if not quote or quote not in data:
        return Layout(ends, {})
    edges = _well_formed(data, dialect)
    if edges is None:
        return _row_by_row(data, dialect, test)
    inside = np.searchsorted(edges, ends) % 2 == 1  # after an odd number of quotes
    if (
        test
        and inside.any()
        and _swallows(data, ends, np.flatnonzero(inside), edges, dialect, test)
    ):
        return _row_by_row(data, dialect, test)
    return Layout(ends[~inside], {})


def longest_field(data: bytes, dialect: Dialect) -> tuple[int, int]:
    r"""How many lines and bytes the longest quoted field of a text has, and 0 without any.

    Example:
        >>> longest_field(b'a,"x\ny"\n"b",c\n', Dialect())
        (2, 5)
    """
    data = hide_escaped(move_spaces(data, dialect), dialect)
    quote = dialect.quote.encode()
    if not quote or quote not in data:
        return 0, 0
    edges = _well_formed(data, dialect)
    if edges is None:
        spans = [(m.start(), m.end() - 1) for m in _patterns(dialect).quoted.finditer(data)]
        edges = np.array(spans, np.int64).reshape(-1)
    edges = edges[: len(edges) // 2 * 2]
    if not len(edges):
        return 0, 0
    opens, closes = edges[::2], edges[1::2]
    newlines = np.searchsorted(line_ends(data), [opens, closes])
    return int((newlines[1] - newlines[0]).max()) + 1, int((closes - opens).max()) + 1


def without_quoted(data: bytes, dialect: Dialect) -> bytes:
    """A text without its quoted fields.

    Example:
        >>> without_quoted(b'a,"b",c', Dialect())
        b'a,,c'
    """
    data = move_spaces(data, dialect)
    found = _patterns(dialect).quoted.finditer(hide_escaped(data, dialect))
    edges = [0, *(edge for field in found for edge in field.span()), len(data)]
    return b"".join(data[low:high] for low, high in zip(edges[::2], edges[1::2], strict=True))


def _well_formed(data: bytes, dialect: Dialect) -> npt.NDArray[np.int64] | None:
    """Where quoted fields are entered and left, in turn; None if a quote stands elsewhere."""
    codes = np.frombuffer(data, np.uint8)
    quote = ord(dialect.quote)
    quotes = np.flatnonzero(codes == quote)
    allowed = (quote, ord(dialect.delimiter), *_NEWLINES)
    entering, leaving = quotes[::2], quotes[1::2]
    before = np.where(entering > 0, codes[entering - 1], 10)
    after = codes[np.minimum(leaving + 1, len(codes) - 1)]
    after = np.where(leaving + 1 < len(codes), after, 10)
    if np.isin(before, allowed).all() and np.isin(after, allowed).all():
        return quotes
    return None


def _swallows(
    data: bytes,
    lines: npt.NDArray[np.int64],
    within: npt.NDArray[np.intp],
    edges: npt.NDArray[np.int64],
    dialect: Dialect,
    test: RowTest,
) -> bool:
    """Whether a line is a row by itself, and has that column in a field of several lines.

    Args:
        data: a text.
        lines: the offsets after its lines.
        within: which of them are inside quotes.
        edges: where quoted fields are entered and left, in turn.
        dialect: how the text is written.
        test: finds rows.
    """
    touched = np.union1d(within, within[within + 1 < len(lines)] + 1)
    starts, stops = np.where(touched > 0, lines[touched - 1], 0), lines[touched]
    marks = np.flatnonzero(np.frombuffer(data, np.uint8) == ord(dialect.delimiter))
    first, behind = np.searchsorted(marks, starts), np.searchsorted(marks, stops)
    likely = behind - first == test.fields - 1
    starts, stops, first = starts[likely], stops[likely], first[likely]
    if not len(starts):
        return False
    at = first + test.anchor
    low = starts if test.anchor == 0 else marks[at - 1] + 1
    high = stops if test.anchor == test.fields - 1 else marks[at]
    edge = np.searchsorted(edges, low, "right")
    inside = (edge % 2 == 1) & (edge == np.searchsorted(edges, np.maximum(high - 1, low), "right"))
    return any(test.is_row(data[starts[i] : stops[i]]) for i in np.flatnonzero(inside).tolist())


class _Patterns(NamedTuple):
    row: re.Pattern[bytes]
    beginning: re.Pattern[bytes]
    closed: re.Pattern[bytes]
    quoted: re.Pattern[bytes]


@lru_cache(maxsize=8)
def _patterns(dialect: Dialect) -> _Patterns:
    quote, mark = re.escape(dialect.quote.encode()), re.escape(dialect.delimiter.encode())
    closed = b"%b[^%b]*(?:%b%b[^%b]*)*%b" % ((quote,) * 6)
    plain = b"(?!%b)[^%b\r\n]*" % (quote, mark)
    field = b"(?:%b(?=[%b\r\n]|\\Z)|%b)" % (closed, mark, plain)
    return _Patterns(
        re.compile(b"%b(?:%b%b)*(?:\r\n|\r|\n|\\Z)" % (field, mark, field)),
        re.compile(b"(?:%b%b)*" % (field, mark)),
        re.compile(b"%b(?!%b)" % (closed, quote)),
        re.compile(b"(?:(?<=[\r\n])|(?<=%b)|\\A)%b(?!%b)" % (mark, closed, quote)),
    )


def _row_by_row(data: bytes, dialect: Dialect, test: RowTest | None) -> Layout:
    """As ``find_rows``, for a text in which quotes stand anywhere."""
    patterns = _patterns(dialect)
    lines = line_ends(data)
    ends: list[int] = []
    faults: dict[int, str] = {}
    closed: dict[int, int] = {}  # what was read to find a fault, by the fault's offset
    at = 0
    while at < len(data):
        line = int(np.searchsorted(lines, at, side="right"))
        if line == len(lines):
            break  # the last line does not end
        row = patterns.row.match(data, at)
        if row is None:
            begins = patterns.beginning.match(data, at)
            assert begins is not None
            close = patterns.closed.match(data, begins.end())
            if close is None:
                break  # the quote may be closed by what comes
            faults[at], closed[at] = _MALFORMED, close.end() + 1
        elif row.end() > lines[-1]:
            break
        elif test and row.end() > lines[line] and _holds_row(data, lines, row, dialect, test):
            faults[at], closed[at] = _SWALLOWED, row.end()
        end = int(lines[line]) if at in faults or row is None else row.end()
        ends.append(end)
        at = end
    # A part of the text has to give the same rows by itself: it must hold what a fault hangs on.
    stop = ends[-1] if ends else 0
    for start in sorted(closed, reverse=True):
        if start < stop < closed[start]:
            stop = start
    faults = {start: why for start, why in faults.items() if start < stop}
    return Layout(np.array([end for end in ends if end <= stop], np.int64), faults)


def _holds_row(
    data: bytes,
    lines: npt.NDArray[np.int64],
    row: re.Match[bytes],
    dialect: Dialect,
    test: RowTest,
) -> bool:
    """Whether a row has another one in a field of several lines."""
    quoted = _patterns(dialect).quoted.finditer(data, row.start(), row.end())
    edges = np.array([(field.start(), field.end() - 1) for field in quoted], np.int64).reshape(-1)
    low, high = np.searchsorted(lines, [row.start(), row.end()], "right")
    within = low + np.flatnonzero(np.searchsorted(edges, lines[low:high]) % 2 == 1)
    return bool(len(within)) and _swallows(data, lines, within, edges, dialect, test)
