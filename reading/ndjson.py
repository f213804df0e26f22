"""JSON: an object a line (NDJSON), an array of objects, or objects one after the other.

A line or a value that is not a JSON object stays in its place as a problem; a blank line is
skipped. JSON's null is a null, and so are NaN, which Python's reader allows, and an absent key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.batch import TIME
from model.errors import UserError
from model.rows import Row, RowError, from_dicts
from model.schema import Schema
from model.times import read_optional_times
from reading import documents
from reading.chunks import LINES, File
from reading.layout import line_ends
from reading.names import describe_alike, find_alike, match_columns, normalize_name
from reading.text import Format, Times, blocks, skip_bom


def begin(file: File, schema: Schema) -> File:
    """The file with its layout, its body, and which of the schema's columns some row has.

    Rows are looked at until each column was seen.

    Raises:
        UserError: if no line of the first block is a JSON object, or if no row has the time.
    """
    file = skip_bom(file)
    file = documents.begin(file)
    names: dict[str, None] = {}
    alike: dict[tuple[str, str], None] = {}
    for number, rows in enumerate(_blocks_of_rows(file, schema)):
        objects = [row for row in rows if not isinstance(row, RowError)]
        if not objects and not number:
            raise UserError(
                f"{file.path}: none of its first {len(rows)} lines is a JSON object: must be "
                "NDJSON, an object on each line, or an array of objects"
            )
        names |= dict.fromkeys(name for row in objects for name in row)
        alike |= dict.fromkeys(
            (column, name)
            for column, name in find_alike(list(names), schema)
            if any(name in row and column not in row for row in objects)
        )
        if names.keys() >= set(schema.columns):
            break
    needed = [schema.time] if schema.dated and names else []
    found = match_columns(file.path, list(names), schema, _hint(names), needed)
    pairs = tuple((name, own) for name, own in zip(found, names, strict=True) if name != own)
    seen = tuple(name for name in schema.columns if name in found)
    notes = tuple(
        f"{column!r} is null in rows that have {name!r} instead: {describe_alike(name, column)}"
        for column, name in alike
        if column in found
    )
    return replace(file, columns=seen, renamed=pairs, notes=(*file.notes, *notes))


def check_some_file_has(files: Sequence[File], schema: Schema) -> tuple[str, ...]:
    """Checks that each column that models need is in the rows of some file.

    Writers leave keys out whose value is null, so a column may be absent from a whole file.

    Args:
        files: those that have rows; of other formats they have all columns.
        schema: whose columns are looked for.

    Returns:
        A note for each column that is absent from some of the files.

    Raises:
        UserError: if a column is in no row of any file.
    """
    notes = []
    for column in schema.columns:
        lacking = [file for file in files if _lacks(file, column)]
        if files and len(lacking) == len(files):
            names = key_names(lacking[0], schema)
            match_columns(lacking[0].path, names, schema, _hint(names), [column])
        if lacking:
            what = "unlabelled" if column == schema.target else "null"
            notes.append(
                f"{len(lacking):,} of {len(files):,} files have no {column!r} in any row, which "
                f"is {what} there: {lacking[0].path}{', ...' if lacking[1:] else ''}"
            )
    return tuple(notes)


def _lacks(file: File, column: str) -> bool:
    return file.format == "ndjson" and column not in (*file.columns, *dict(file.constants))


def key_names(file: File, schema: Schema) -> list[str]:
    """The keys of a file's first rows, each once."""
    rows = next(_blocks_of_rows(file, schema), [])
    return list(dict.fromkeys(n for row in rows if not isinstance(row, RowError) for n in row))


def _blocks_of_rows(file: File, schema: Schema) -> Iterator[list[Row]]:
    for block in blocks(file, FORMAT, schema):
        if rows := _rows(block.data, file):
            yield rows


def _hint(names: Collection[str]) -> str:
    """What the file may be if it has a single key, as an object around the rows has."""
    if len(names) > 1:
        return ""
    return " (if the rows are an array within an object, write the array alone)"


def cut(data: bytes, file: File, schema: Schema) -> int:
    """The offset after the last line, or value, that ends in the data."""
    if file.layout != LINES:
        return documents.cut(data)
    return max(data.rfind(b"\n"), data.rfind(b"\r")) + 1


def lines(data: bytes, file: File, schema: Schema) -> npt.NDArray[np.int64]:
    """For each row the number of its first line, from 0."""
    if file.layout != LINES:
        starts = documents.starts(data, file)
        return np.searchsorted(line_ends(data), starts, side="right")
    numbers = [number for number, line in enumerate(data.splitlines()) if line.strip()]
    return np.array(numbers, np.int64)


def times(data: bytes, file: File, schema: Schema) -> Times:
    """The rows' times."""
    rows = batch(data, file, 0, schema)
    if schema.label_time is None:
        return Times(rows.column(TIME))
    labels = read_optional_times(rows.column(schema.label_time), schema)
    return Times(rows.column(TIME), labels)


def batch(data: bytes, file: File, first: int, schema: Schema) -> pa.RecordBatch:
    """The rows as a raw batch."""
    rows = _with_names(_rows(data, file), file, schema)
    return from_dicts(rows, np.arange(first, first + len(rows)), schema, absent_is_null=True)


def _rows(data: bytes, file: File) -> list[Row]:
    if file.layout != LINES:
        return documents.rows(data, file)
    lines = [line for line in data.splitlines() if line.strip()]
    return documents.read_rows(data, lines)


def _with_names(rows: list[Row], file: File, schema: Schema) -> list[Row]:
    """The rows with the schema's names as keys; each row may write them in a way of its own."""
    if not file.renamed and all(name.isascii() for name in schema.columns):
        return rows
    columns = {normalize_name(name): name for name in schema.columns}
    wanted = set(columns.values())
    return [row if isinstance(row, RowError) else _rename(row, columns, wanted) for row in rows]


def _rename(row: Mapping[str, object], columns: dict[str, str], wanted: set[str]) -> Row:
    if row.keys() >= wanted:
        return row
    names = {key: columns.get(normalize_name(key), key) for key in row}
    # A key that is the schema's to the letter goes before another way of writing it.
    return {key if names[key] in row else names[key]: value for key, value in row.items()}


FORMAT = Format(cut, lines, times, batch)
