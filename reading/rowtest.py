"""Whether a line that stands within a quoted field is a row by itself."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from model.numbers import parse_numbers
from model.schema import Schema
from model.times import parse_times, read_times
from reading.dialect import Dialect
from reading.layout import RowTest

_LEAST = 3
"""Minimum number of columns by which a row differs from other text."""


def time_of(texts: pa.Array, schema: Schema) -> pa.Array:
    """Event times of texts; where the schema names no format, of any that there is."""
    times = read_times(texts, schema)
    if schema.time_format is not None or times.null_count == texts.null_count:
        return times
    orders = (parse_times(texts, form, schema.time_zone) for form in ("dayfirst", "monthfirst"))
    return pc.coalesce(times, *orders)


@lru_cache(maxsize=8)
def row_test(dialect: Dialect, names: tuple[str, ...], schema: Schema) -> RowTest | None:
    """A test for rows with as many fields as the header has, a readable time and numbers.

    Returns:
        The test; None if a row has too few known columns to differ from other text.
    """
    numbers = [names.index(name) for name in schema.numbers if name in names]
    anchor = names.index(schema.time) if schema.dated else next(iter(numbers), None)
    if anchor is None or len(names) < _LEAST:
        return None
    delimiter, quote = dialect.delimiter.encode(), dialect.quote.encode()

    def is_row(line: bytes) -> bool:
        fields = line.rstrip(b"\r\n").split(delimiter)
        texts = pa.array([field.strip(quote).decode("utf-8", "replace") for field in fields])
        if schema.dated and time_of(texts.take(pa.array([anchor])), schema).null_count:
            return False
        found, bad = parse_numbers(texts.take(pa.array(numbers, pa.int64())), dialect.numbers)
        return not bad.any() and (schema.dated or not found.null_count)

    return RowTest(len(names), anchor, is_row)
