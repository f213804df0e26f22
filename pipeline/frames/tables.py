"""Tables of pandas, Polars, Arrow and others as Arrow tables, and as a file that the job reads.

A table is written as Parquet into a temporary folder and read as the job reads files. So it is
checked by the same rules, is cut into the same batches and gives the same digits.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.errors import UserError
from model.schema import Schema
from model.wording import first_line

FRAME = "frame"
"""What messages call the table."""
ALLOWED = (
    "must be a table of pandas, Polars or Arrow, or another with the Arrow PyCapsule interface "
    "(__arrow_c_stream__)"
)


def as_table(frame: Any, index: str | None = None) -> pa.Table:
    """A table of any library as an Arrow table.

    Args:
        frame: a DataFrame of pandas or Polars, a table, batch or reader of Arrow, a dict of
            columns, or whatever has the Arrow PyCapsule interface.
        index: a level of a pandas index of this name becomes a column, as the time may be one.

    Raises:
        UserError: if it is not a table, or a column holds values of several types.

    Example:
        >>> as_table({"x": [1, 2]}).num_rows
        2
    """
    try:
        if isinstance(frame, pa.Table):
            return frame
        if isinstance(frame, pa.RecordBatch):
            return pa.Table.from_batches([frame])
        if _is_pandas(frame):
            if index is not None and index in frame.index.names and index not in frame.columns:
                frame = frame.reset_index(level=index)
            return pa.Table.from_pandas(frame, preserve_index=False)
        if isinstance(frame, Mapping):
            return pa.table(dict(frame))
        if hasattr(frame, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(frame).read_all()
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UserError(f"{FRAME}: cannot be read as an Arrow table: {_reason(error)}") from error
    raise UserError(f"{FRAME}: is a {type(frame).__name__}: {ALLOWED}")


def _is_pandas(frame: Any) -> bool:
    kind = type(frame)
    return kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "DataFrame"


def _reason(error: Exception) -> str:
    """An error's message; pyarrow's have the column's name in a second argument."""
    return ", ".join(first_line(Exception(str(part))) for part in error.args) or str(error)


def without_views(table: pa.Table) -> pa.Table:
    """A table whose text is of a type that Parquet files hold (Polars has another)."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            column = table.column(place).cast(pa.large_string())
            table = table.set_column(place, field.name, column)
    return table


@contextmanager
def as_file(table: pa.Table, schema: Schema) -> Iterator[str]:
    """The path of a Parquet file with a table's rows; it is removed behind the context.

    Errors of the user's that name the file name the frame in its place.

    Args:
        table: at least one row.
        schema: whose columns are written.

    Raises:
        UserError: if there is no row.
    """
    if not table.num_rows:
        raise UserError(f"{FRAME}: has no row: at least one is needed")
    if set(schema.columns) <= set(table.column_names):
        table = table.select(list(dict.fromkeys(schema.columns)))
    with tempfile.TemporaryDirectory(prefix="correnteza-") as folder:
        path = os.path.join(folder, f"{FRAME}.parquet")
        try:
            pq.write_table(without_views(table), path, compression="none", use_dictionary=False)
            yield path
        except UserError as error:
            raise UserError(hide_path(str(error), path)) from error
        except pa.ArrowException as error:
            raise UserError(f"{FRAME}: cannot be written as Parquet: {_reason(error)}") from error


def hide_path(text: str, path: str) -> str:
    """A message in which a temporary file is called the frame, and its size is left out.

    Example:
        >>> hide_path("1 file (26 kB), 9 rows from 2026", "/tmp/a/frame.parquet")
        '9 rows from 2026'
    """
    return re.sub(r"^1 file \([^)]*\), ", "", text.replace(path, FRAME))
