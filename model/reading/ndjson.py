"""NDJSON: a JSON object a line.

A line that is no JSON object stays in its place as a problem; a blank line is no row. JSON's
null is a null, and so is NaN, which Python's reader allows.
"""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.batch import TIME
from model.errors import UserError
from model.reading.chunks import File
from model.reading.files import check_columns
from model.reading.text import Format, behind_bom, blocks
from model.rows import Row, RowError, from_dicts
from model.schema import Schema


def begin(file: File, schema: Schema) -> File:
    """The file with its body behind a byte order mark.

    Raises:
        UserError: if no line of the first block is a JSON object, or none of them has a
            column that the schema names.
    """
    file = behind_bom(file)
    rows = next((found for each in blocks(file, FORMAT, schema) if (found := _rows(each.data))), [])
    objects = [row for row in rows if not isinstance(row, RowError)]
    if rows and not objects:
        raise UserError(
            f"{file.path}: none of its first {len(rows)} lines is a JSON object: "
            "NDJSON, an object on each line, is allowed"
        )
    if objects:
        names = list(dict.fromkeys(name for row in objects for name in row))
        check_columns(file.path, names, schema)
    return file


def cut(data: bytes, file: File, schema: Schema) -> int:
    """The offset behind the last line that ends in the data."""
    return max(data.rfind(b"\n"), data.rfind(b"\r")) + 1


def lines(data: bytes, file: File, schema: Schema) -> npt.NDArray[np.int64]:
    """For each row the number of its line, from 0."""
    numbers = [number for number, line in enumerate(data.splitlines()) if line.strip()]
    return np.array(numbers, np.int64)


def times(data: bytes, file: File, schema: Schema) -> pa.Array:
    """The rows' event times."""
    return batch(data, file, 0, schema).column(TIME)


def batch(data: bytes, file: File, first: int, schema: Schema) -> pa.RecordBatch:
    """The rows as a raw batch."""
    rows = _rows(data)
    return from_dicts(rows, np.arange(first, first + len(rows)), schema)


def _rows(data: bytes) -> list[Row]:
    return [_row(line) for line in data.splitlines() if line.strip()]


def _row(line: bytes) -> Row:
    text = line.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return RowError(text, f"is no JSON: {error}")
    return value if isinstance(value, dict) else RowError(text, "is no JSON object")


FORMAT = Format(cut, lines, times, batch)
