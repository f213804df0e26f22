"""Tables written batch by batch, to a file that is whole or absent, or to standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from pydantic_core import to_json

from model import files
from model.carried import to_texts
from model.errors import UserError
from model.remote import file_systems

STDOUT = "-"
SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
"""Formats by the suffix of a file."""
GROUP = 1 << 17
"""Rows of a Parquet row group, about."""


def format_of(path: str) -> str:
    """The format of a table by its path; CSV for standard output.

    Raises:
        UserError: if the suffix is of none.

    Example:
        >>> format_of("out.parquet"), format_of("-")
        ('parquet', 'csv')
    """
    if path == STDOUT:
        return "csv"
    form = SUFFIXES.get(os.path.splitext(path)[1].lower())
    if form is None:
        raise UserError(
            f"--output {path}: the format goes by the suffix: must be one of "
            f"{', '.join(SUFFIXES)}, "
            "or - for CSV on standard output"
        )
    return form


class Writer(Protocol):
    """What writes batches of one layout, one after another."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes a batch."""

    def close(self) -> None:
        """Writes what is left."""


class ParquetTable:
    """A Parquet file; small batches share a row group."""

    def __init__(self, stream: Any, layout: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(stream, layout, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes a batch, with those before it if they are many together."""
        self._waiting.append(batch)
        if sum(each.num_rows for each in self._waiting) >= GROUP:
            self._flush()

    def close(self) -> None:
        """Writes what is left, and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting), row_group_size=2 * GROUP)
        self._waiting = []


class CsvTable:
    """CSV with a header row; times are ISO 8601."""

    def __init__(self, stream: Any, layout: pa.Schema) -> None:
        options = arrow_csv.WriteOptions(quoting_style="needed")
        self._writer = arrow_csv.CSVWriter(stream, _plain_layout(layout), write_options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes a batch."""
        self._writer.write_batch(_plain(batch))

    def close(self) -> None:
        """Ends the text."""
        self._writer.close()


class NdjsonTable:
    """A JSON object a line; times are ISO 8601."""

    def __init__(self, stream: Any, layout: pa.Schema) -> None:
        self._stream = stream

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes a batch."""
        times = [pa.types.is_timestamp(kind) for kind in batch.schema.types]
        pairs = zip(batch.columns, times, strict=True)
        columns = [to_texts(column) if time else column for column, time in pairs]
        plain = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
        for row in plain.to_pylist(maps_as_pydicts="strict"):
            self._stream.write(to_json(row) + b"\n")

    def close(self) -> None:
        """Does nothing: each line is whole."""


WRITERS: dict[str, Callable[[Any, pa.Schema], Writer]] = {
    "parquet": ParquetTable,
    "csv": CsvTable,
    "ndjson": NdjsonTable,
}


@contextmanager
def table(path: str, layout: pa.Schema) -> Iterator[Writer]:
    """A table to write batches to; it is there, whole, when the context ends without an error.

    Args:
        path: whose suffix is that of the format; ``-`` is standard output.
        layout: the columns of all batches.

    Raises:
        UserError: if the suffix is of no format.
        OSError: if it cannot be written; what stood there before stands there still.
    """
    with whole_file(path) as stream:
        writer = WRITERS[format_of(path)](stream, layout)
        yield writer
        writer.close()


@contextmanager
def whole_file(path: str) -> Iterator[Any]:
    """A binary stream into a file that appears when the context ends without an error."""
    if path == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if not files.is_local(path):
        remote = file_systems().create(path, compression_type="uncompressed")
        yield remote
        remote.close()  # what failed before is not closed, thus not shown
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}{files.PART}")
    try:
        with part.open("wb") as stream:
            yield stream
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch whose times are text, and whose maps are JSON."""
    columns = [_plain_column(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=_plain_layout(batch.schema))


def _is_special(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_map(kind))


def _plain_column(values: pa.Array) -> pa.Array:
    if pa.types.is_map(values.type):
        rows = values.to_pylist(maps_as_pydicts="strict")
        return pa.array([None if row is None else to_json(row).decode() for row in rows])
    return to_texts(values) if pa.types.is_timestamp(values.type) else values


def _plain_layout(layout: pa.Schema) -> pa.Schema:
    return pa.schema(
        [pa.field(f.name, pa.string() if _is_special(f.type) else f.type) for f in layout]
    )
