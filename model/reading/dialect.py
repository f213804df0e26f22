"""How a CSV file is written: its marks, and its bytes with only those that matter left."""

from __future__ import annotations

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
        comment: with what a line begins that is no row; "" if there are none.
        numbers: how numbers are written.
        nulls: the texts that are nulls in a categorical column.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    escapes_plain: bool = False
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
    hidden = dialect.quote.encode() + escape
    if dialect.escapes_plain:
        hidden += dialect.delimiter.encode() + b"\r\n"
    escaped = escaped[np.isin(codes[escaped], np.frombuffer(hidden, np.uint8))]
    codes[escaped] = ord("x")
    return codes.tobytes()
