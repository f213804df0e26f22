"""Rows of a JSON body, as a raw batch; it loads little, since a process of its own may do it."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic_core import from_json

from model.rows import NEVER, from_dicts, scalars
from model.schema import Schema

ECHO = "\0"
"""How the name of a column begins that goes back as it came; no column of a schema does."""


class Unreadable(Exception):
    """A body that cannot be read.

    Attributes:
        code: of the problem that it is.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def echoes(schema: Schema) -> tuple[str, ...]:
    """The columns that go back as they came though nothing is asked of them: time and target."""
    return tuple(name for name in schema.keep if name in (schema.time, schema.target))


def join_columns(raw: pa.RecordBatch, echoed: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """A raw batch and what goes back as it came, as one batch; ``split`` takes it apart."""
    for name, values in echoed.items():
        raw = raw.append_column(ECHO + name, values)
    return raw


def split(both: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[str, pa.Array]]:
    """What ``join_columns`` has put together."""
    names = [name for name in both.schema.names if name.startswith(ECHO)]
    echoed = {name.removeprefix(ECHO): both.column(name) for name in names}
    return both.drop_columns(names), echoed


def read_rows(body: bytes, schema: Schema, most: int) -> tuple[pa.RecordBatch, dict[str, pa.Array]]:
    """The raw batch of a JSON body, and what goes back as it came.

    Raises:
        Unreadable: if it is not JSON, has more rows than allowed, or one that is not an object.
    """
    try:
        read = from_json(body.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
    except ValueError as error:
        raise Unreadable("bad_body", f"the body is not JSON: {_explain(body, error)}") from error
    rows: list[Any] = read if isinstance(read, list) else [read]
    if len(rows) > most:
        raise Unreadable("too_many_rows", f"{len(rows):,} rows: at most {most:,} are accepted")
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            message = f"{type(row).__name__}: must be an object with the features"
            raise Unreadable("bad_rows", f"row {number}: {message}")
    echoed = {name: echo_of(rows, name) for name in echoes(schema)}
    for row in rows:
        if schema.time not in schema.inputs:
            row[schema.time] = NEVER  # whatever the schema's time_format
        row[schema.target] = None
    return from_dicts(rows, np.arange(len(rows)), schema), echoed


def _explain(body: bytes, error: ValueError) -> str:
    """Why a body is not JSON; that it has numbers which JSON has not is no matter of a column."""
    try:
        from_json(body.removeprefix(codecs.BOM_UTF8), allow_inf_nan=True)
    except ValueError:
        return str(error)
    return "NaN and Infinity are no JSON: write null in the place of a missing number"


def echo_of(rows: list[dict[str, Any]], name: str) -> pa.Array:
    """A column of rows as text.

    Raises:
        Unreadable: if a value is not a scalar.
    """
    try:
        return scalars([row.get(name) for row in rows])
    except ValueError as error:
        raise Unreadable("bad_rows", f"column {name!r}: {error}") from error
