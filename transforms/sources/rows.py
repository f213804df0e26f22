"""Rows as a source: any PCollection of dicts or ``beam.Row`` becomes batches.

With it Beam's own sources can be used: read, parse into dicts, ``FromRows(schema, ...)``.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow, GlobalWindows, TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from model.batch import LATE, Key, Tag, event_times, split, tag_of
from model.latest import default_latest, reject_later
from model.rows import from_dicts
from model.schema import Schema
from reading.plans import add_times
from transforms.counters import count
from transforms.elements import RawBatch
from transforms.stamps import STAMP, beam_time


def as_dict(row: Any) -> dict[str, Any]:
    """A row's columns by name, of a dict, a ``beam.Row`` or a NamedTuple.

    Raises:
        TypeError: if it is something else.
    """
    if isinstance(row, Mapping):
        return dict(row)
    if hasattr(row, "_asdict"):
        return dict(row._asdict())
    if isinstance(row, pa.RecordBatch):
        raise TypeError(
            "a row is a RecordBatch: a source of batches must declare them, by "
            "with_output_types(pyarrow.RecordBatch)"
        )
    raise TypeError(f"a row is a {type(row).__name__}; must be a dict, beam.Row or NamedTuple")


def with_datetime(row: dict[str, Any], *times: str | None) -> dict[str, Any]:
    """The row with a ``datetime`` in the place of a Beam timestamp in some columns.

    Example:
        >>> with_datetime({"t": Timestamp(0)}, "t")["t"].isoformat()
        '1970-01-01T00:00:00+00:00'
    """
    for name in filter(None, times):
        value = row.get(name)
        if isinstance(value, Timestamp):
            with suppress(OverflowError, ValueError):  # of a year that datetime does not know
                row[name] = value.to_utc_datetime(has_tz=True)
    return row


def row_id(row: Mapping[str, Any]) -> int:
    """An id from a row's content alone, so that a retry gives the same: 63 bits of BLAKE2b."""
    text = json.dumps(row, sort_keys=True, default=str).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def digest_of(ids: npt.NDArray[np.int64]) -> int:
    """32 bits of all ids of a batch: rows that are equal may be in several, as their least id."""
    digest = hashlib.blake2b(np.sort(ids).tobytes(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


class FromRows(beam.PTransform[beam.PCollection[object], beam.PCollection[RawBatch]]):
    """Rows in (dicts, ``beam.Row`` or NamedTuples), tagged raw batches out.

    When to use: for a source of Beam's or your own. When not: for files and for tests of a
    whole job, where the planned sources give every row an ordinal as its id.

    A row's event time is its time column. A row whose event time is before its element's
    stamp is late: it counts where it is stamped, is scored and not trained on. What Beam
    itself drops as late (behind the runner's watermark) does not get here.

    Attributes:
        schema: the meaning of the columns.
        latency: a serve window's length, microseconds: no batch straddles two.
        id_column: a column of whole numbers that names each row. Without it, and for a row
            that has none there, the id is a hash of the row; rows that are equal share it.
        batch_rows: rows of a batch, at most; a bundle's end ends a batch too.
        latest: rows after it are rejected (``model.latest``), microseconds. None: where the rows
            end, a day after this is applied; where they do not, none is. A run that is to be
            resumed on another day gives its own (``Settings.latest_time``).
        offset: how long behind multiples of ``latency`` serve windows begin, microseconds.

    Example:
        ``rows | FromRows(schema, latency=60 * SECOND)``
    """

    def __init__(
        self,
        schema: Schema,
        latency: int,
        id_column: str | None = None,
        batch_rows: int = 10_000,
        latest: int | None = None,
        offset: int = 0,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.latency = latency
        self.id_column = id_column
        self.batch_rows = batch_rows
        self.latest = latest
        self.offset = offset

    def expand(self, rows: beam.PCollection[object]) -> beam.PCollection[RawBatch]:
        latest = self.latest
        if latest is None and rows.is_bounded:
            latest = default_latest(time.time())
        made = MakeBatchesFn(
            self.schema, self.latency, self.id_column, self.batch_rows, latest, self.offset
        )
        return (
            rows
            | "Global" >> beam.WindowInto(GlobalWindows())
            | "Batch" >> beam.ParDo(made).with_output_types(RawBatch)
        )


class MakeBatchesFn(beam.DoFn):
    """Collects a bundle's rows into batches."""

    def __init__(
        self,
        schema: Schema,
        latency: int,
        id_column: str | None,
        batch_rows: int,
        latest: int | None = None,
        offset: int = 0,
    ) -> None:
        self.schema = schema
        self.latency = latency
        self.id_column = id_column
        self.batch_rows = batch_rows
        self.latest = latest
        self.offset = offset

    def start_bundle(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.stamps: list[int] = []

    def process(
        self, row: object, stamp: Timestamp = STAMP
    ) -> Iterator[TimestampedValue[RawBatch]]:
        schema = self.schema
        names = schema.time, schema.label_time, *schema.calendar_sources
        self.rows.append(with_datetime(as_dict(row), *names))
        self.stamps.append(stamp.micros)
        if len(self.rows) == self.batch_rows:
            for batch in self._flush():
                yield TimestampedValue(batch, beam_time(tag_of(batch).at))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for batch in self._flush():
            yield WindowedValue(batch, beam_time(tag_of(batch).at), (GlobalWindow(),))

    def _flush(self) -> Iterator[pa.RecordBatch]:
        if not self.rows:
            return
        ids = np.array([self._id(row) for row in self.rows], dtype=np.int64)
        made = add_times(from_dicts(self.rows, ids, self.schema), self.schema)
        read = reject_later(made, self.schema, self.latest)
        batch, stamps = mark_late(read, self.stamps, self.latest)
        part = 0 if self.id_column is not None else digest_of(ids)
        tag = Tag(Key(0, int(ids.min()), part), int(stamps.min()), "rows", 0)
        count("rows read", batch.num_rows)
        self.start_bundle()
        yield from split(batch, tag, self.latency, stamps, self.offset)

    def _id(self, row: dict[str, Any]) -> int:
        given = None if self.id_column is None else row.get(self.id_column)
        whole = isinstance(given, int) and -(2**63) <= given < 2**63
        return int(given) if whole and given is not None else row_id(row)


def mark_late(
    batch: pa.RecordBatch, stamps: list[int], latest: int | None = None
) -> tuple[pa.RecordBatch, Any]:
    """Marks late rows, by their elements' stamps; gives where each row counts in time.

    A row without a readable event time counts where its element is stamped, and if that says
    nothing, with the first row that has one (or in 1970). A stamp after ``latest`` says nothing
    either: it is that of a row that is rejected. Such a row alone counts at ``latest``, behind
    which no watermark stands.
    """
    times = event_times(batch)
    dated = times > np.iinfo(np.int64).min
    least = MIN_TIMESTAMP.micros
    stamped = np.array(stamps, dtype=np.int64)
    fallback = int(times[dated].min()) if dated.any() else Timestamp(0).micros
    silent = stamped <= least
    if latest is not None and (beyond := stamped > latest).any():
        stamped[beyond] = latest
        if dated.any():
            fallback = int(np.maximum(times, stamped)[dated].min())
            silent |= beyond
    stamped[~dated & silent] = fallback
    late = dated & (times < stamped)
    batch = batch.set_column(batch.schema.get_field_index(LATE), LATE, pa.array(late))
    return batch, np.where(dated, np.maximum(times, stamped), stamped)
