"""What a plan is made of: files, their chunks, and the rows' ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.batch import ID, LATE, TIME, TIME_TYPE
from model.schema import Schema
from model.times import read_times
from reading.dialect import Dialect

LINES, ARRAY, VALUES = "lines", "array", "values"


@dataclass(frozen=True)
class File:
    """A file of the input, and what reading a part of it needs to know.

    Attributes:
        path: where it is.
        format: ``csv``, ``ndjson`` or ``parquet``.
        size: bytes, as stored.
        updated: seconds since the epoch when it was last written, if the file system knows.
        compression: ``gzip``, ``bz2``, ``xz``, ``zstd`` or ``zip``; None if it is plain.
        first: the id of its first row: the number of rows in the files before it.
        columns: the names of its columns, in its order (CSV); those of the schema's columns
            that were seen in it (NDJSON).
        body: the byte offset at which its rows begin (text).
        line: the number of the line there (text).
        notes: lines for the user on what was taken for granted in reading it, as a delimiter.
        archive: the path of the zip archive that it lies in, with which its own path begins.
        encoding: how its text is encoded, as Python names it.
        layout: how its rows lie in text: ``LINES``, or, of JSON, in an ``ARRAY`` or as
            ``VALUES`` one after the other.
        time_format: how its times are written, where the schema does not say and the plan could
            guess it (``reading.guesses``).
        dialect: how it is written (CSV).
        latest: rows after it are rejected, and no chunk reaches for them; microseconds, or None.
        constants: the values of columns that the folders of its path name (``region=north``).
        renamed: the names of its columns that the schema writes otherwise (NDJSON, Parquet):
            the schema's, then the file's.
        rows: how many it has, those that cannot be read included.
        checksum: the CRC-32 of its text, or of its footer (Parquet), by which it is known again.
    """

    path: str
    format: str
    size: int
    updated: float = 0.0
    compression: str | None = None
    first: int = 0
    columns: tuple[str, ...] = ()
    body: int = 0
    line: int = 1
    notes: tuple[str, ...] = ()
    archive: str | None = None
    time_format: str | None = None
    encoding: str = "utf-8"
    layout: str = LINES
    dialect: Dialect | None = None
    latest: int | None = None
    constants: tuple[tuple[str, str | None], ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    rows: int = 0
    checksum: int = 0

    @property
    def stored(self) -> str:
        """The path of the file on its file system: its own, or its archive's."""
        return self.archive or self.path

    @property
    def is_seekable(self) -> bool:
        """Whether it is read from any offset on; else it is one chunk."""
        return self.compression is None and self.encoding == "utf-8"


class Chunk(NamedTuple):
    """A part of a file that is read by itself.

    Attributes:
        file: the file's index in the plan.
        start: a byte offset (text; if compressed, in the text), or a row group (Parquet).
        stop: where it ends, likewise; not part of it.
        first: the id of its first row.
        rows: how many rows it has, those that cannot be read included.
        line: the number of its first line (text) or row (Parquet), from 1. A row without
            ``__line`` stands at ``line`` plus its id minus ``first``.
        least: its least event time, microseconds. Without any readable time, the least of
            the chunk before it in the file, or else of one after it.
        greatest: its greatest event time, microseconds.
        sums: the CRC-32 of the text before it and of the text to its end, from ``file.body`` on;
            None if it is not checked when it is read.
        answered: its greatest label time, microseconds; None without any.
    """

    file: int
    start: int
    stop: int
    first: int
    rows: int
    line: int
    least: int
    greatest: int
    sums: tuple[int, int] | None = None
    answered: int | None = None

    @property
    def last(self) -> int:
        """Its greatest time of either clock, microseconds."""
        return self.greatest if self.answered is None else max(self.greatest, self.answered)


class ScannedChunk(NamedTuple):
    """A chunk as the scan of one file finds it: times are None if none is readable.

    ``notes`` say what is suspicious in it, ``sums`` are the chunk's, ``labels`` are the least and
    the greatest label time.
    """

    start: int
    stop: int
    rows: int
    line: int
    times: tuple[int, int] | None
    notes: tuple[str, ...] = ()
    sums: tuple[int, int] | None = None
    labels: tuple[int, int] | None = None


@dataclass(frozen=True)
class Plan:
    """The input in the order of its replay.

    Attributes:
        files: sorted by path.
        chunks: sorted by least event time, then file, then place; each has a row.
        rows: how many rows the files have.
        notes: lines for the user on what was found or taken for granted in finding the files.
    """

    files: tuple[File, ...]
    chunks: tuple[Chunk, ...]
    rows: int
    notes: tuple[str, ...] = ()

    @property
    def messages(self) -> tuple[str, ...]:
        """All notes, of the plan and of its files, each once, with the first file that has it."""
        having: dict[str, list[str]] = {}
        for file in self.files:
            for note in file.notes:
                having.setdefault(note, []).append(file.path)
        return (*dict.fromkeys(self.notes), *(_message(*each) for each in having.items()))


def _message(note: str, paths: list[str]) -> str:
    """A note with the files that have it, unless it begins with one itself."""
    if note.startswith(paths[0]):
        return note
    more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
    return f"{paths[0]}{more}: {note}"


def time_extent(times: pa.Array, latest: int | None = None) -> tuple[int, int] | None:
    """Least and greatest of event times until ``latest``, microseconds; None if there is none.

    Example:
        >>> times = pa.array([3_000_000, None, 1_000_000]).cast(pa.timestamp("us"))
        >>> time_extent(times), time_extent(pa.nulls(2, pa.int64()))
        ((1000000, 3000000), None)
        >>> time_extent(pa.array([1, 9, 4]), latest=5)
        (1, 4)
    """
    counts = times.cast(pa.int64())
    span = pc.min_max(counts)
    if latest is not None and (span["max"].as_py() or 0) > latest:
        span = pc.min_max(counts.filter(pc.less_equal(counts, latest)))
    least, greatest = span["min"].as_py(), span["max"].as_py()
    return None if least is None else (least, greatest)


def union_extents(spans: list[tuple[int, int] | None]) -> tuple[int, int] | None:
    """The extent of several extents.

    Example:
        >>> union_extents([(3, 4), None, (1, 2)]), union_extents([])
        ((1, 4), None)
    """
    known = [span for span in spans if span is not None]
    if not known:
        return None
    return min(least for least, _ in known), max(greatest for _, greatest in known)


def use_label_time(schema: Schema) -> Schema:
    """The schema by which the times of labels are read as those of events are.

    Example:
        >>> from model.schema import Features
        >>> names = {"time": "asked", "label_time": "known", "wait": "2d"}
        >>> features = Features(numeric=("x",))
        >>> use_label_time(Schema(name="s", target="y", features=features, **names)).time
        'known'
    """
    return schema.model_copy(update={"time": schema.label_time, "label_time": None})


def no_times(rows: int) -> pa.Array:
    """Event times of rows whose own are not read: 1970."""
    return pa.array(np.zeros(rows, np.int64)).cast(TIME_TYPE)


def with_ids(columns: pa.RecordBatch, first: int, schema: Schema) -> pa.RecordBatch:
    """The columns of rows that follow one another, with id, event time and late mark."""
    rows = columns.num_rows
    mine = {
        ID: pa.array(np.arange(first, first + rows)),
        TIME: read_times(columns.column(schema.time), schema) if schema.dated else no_times(rows),
        LATE: pa.array(np.zeros(rows, np.bool_)),
    }
    fields = [pa.field(name, values.type) for name, values in mine.items()]
    layout = pa.schema([*fields, *columns.schema])  # which may say how numbers are written
    return pa.RecordBatch.from_arrays([*mine.values(), *columns.columns], schema=layout)
