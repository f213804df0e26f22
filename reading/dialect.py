"""How a CSV file is written: its marks, and its bytes with only those that matter left."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from model.numbers import PLAIN, NumberFormat

NULLS = ("", r"\N")
"""Texts that are nulls in a categorical column, unless the schema has a list of its own."""


class Dialect(NamedTuple):
    """How a CSV file is written.

    Attributes:
        delimiter: what parts fields.
        quote: what stands around a field that holds a delimiter, a quote or a line end; "" if
            nothing does.
        escape: what stands before a quote (or itself) inside quotes; "" if quotes are doubled.
        escapes_plain: whether ``escape`` stands before delimiters and line ends in fields
            without quotes, too, as Python's csv module writes them. Spark does not.
        skipinitialspace: whether spaces behind a delimiter are no part of a field, so that a
            quote behind them opens one.
        comment: with what a line begins that is not a row; "" if there are none.
        numbers: how numbers are written.
        nulls: the texts that are nulls in a categorical column.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    escapes_plain: bool = False
    skipinitialspace: bool = False
    comment: str = ""
    numbers: NumberFormat = PLAIN
    nulls: tuple[str, ...] = NULLS


def hide_escaped(data: bytes, dialect: Dialect) -> bytes:
    r"""The bytes with ``x`` for each character that is escaped, so that it parts nothing.

    An escape that is escaped escapes nothing itself.

    Example:
        >>> hide_escaped(rb'"a\"b\\",c', Dialect(escape="\\"))
        b'"a\\xb\\x",c'
    """
    escape = dialect.escape.encode()
    if not escape or escape not in data:
        return data
    codes = np.frombuffer(data, np.uint8).copy()
    at = np.flatnonzero(codes == escape[0])
    # In a run of escapes every second one is escaped by the one before it.
    begins = np.append(True, np.diff(at) > 1)
    run = np.maximum.accumulate(np.where(begins, np.arange(len(at)), 0))
    escaped = at[(np.arange(len(at)) - run) % 2 == 0] + 1
    escaped = escaped[escaped < len(codes)]
    escaped = escaped[np.isin(codes[escaped], np.frombuffer(_escapable(dialect), np.uint8))]
    codes[escaped] = ord("x")
    return codes.tobytes()


def _escapable(dialect: Dialect) -> bytes:
    """The characters before which an escape is one."""
    marks = (dialect.quote + dialect.escape).encode()
    return marks + dialect.delimiter.encode() + b"\r\n" if dialect.escapes_plain else marks


def keep_backslashes(data: bytes, dialect: Dialect) -> bytes:
    r"""The bytes with each escape doubled that stands before what need not be escaped.

    So that a reader for which an escape escapes whatever comes next leaves it there.

    Example:
        >>> keep_backslashes(rb"a\,b,\N", Dialect(escape="\\", escapes_plain=True))
        b'a\\,b,\\\\N'
    """
    escape = dialect.escape.encode()
    pattern = b"%b([%b]?)" % (re.escape(escape), re.escape(_escapable(dialect)))
    return re.sub(pattern, lambda found: found[0] if found[1] else escape * 2, data)


def move_spaces(data: bytes, dialect: Dialect) -> bytes:
    """The bytes with the spaces before a quote that opens a field behind that quote.

    So the quote stands where the field begins, and every offset is as it was.

    Example:
        >>> move_spaces(b'1,  "a, b"', Dialect(skipinitialspace=True))
        b'1,"  a, b"'
    """
    quote = dialect.quote.encode()
    if not dialect.skipinitialspace or not quote or b" " + quote not in data:
        return data
    hidden = hide_escaped(data, dialect)
    pieces, done = [], 0
    for field in _match_quoted_after_spaces(dialect).finditer(hidden):
        start, opens = field.span(1)
        if opens > start:
            pieces += [data[done:start], quote, data[start:opens]]
            done = opens + 1
    return b"".join([*pieces, data[done:]])


@lru_cache(maxsize=8)
def _match_quoted_after_spaces(dialect: Dialect) -> re.Pattern[bytes]:
    quote, mark = re.escape(dialect.quote.encode()), re.escape(dialect.delimiter.encode())
    closed = b"%b[^%b]*(?:%b%b[^%b]*)*%b(?=%b|[\r\n]|\\Z)" % (*(quote,) * 6, mark)
    return re.compile(b"(?:(?<=[\r\n])|(?<=%b)|\\A)( *)(?:%b|%b)" % (mark, closed, quote))
