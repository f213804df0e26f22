"""The latest time that a row may have: one far in the future is a mistake, and is rejected.

A single row of the year 9999 (a sentinel for "open", a typing error) would be a window of its own,
and all that goes by the end of the data would reach for it. So such a row loses its event time at
the source, before anything goes by it, and is rejected with the reason. The bound is decided once,
when a run is launched, and kept with its settings: a retry and a resumed run decide the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.asof import floor_to, format_iso
from model.batch import LABEL, PROBLEM, SECOND, TIME, TIME_TYPE, event_times, to_micros
from model.schema import Schema
from model.validation import show_value

DAY = 86_400 * SECOND
AHEAD = "must be no more than a refresh after the timestamp of its record"


def default_latest(now: float) -> int:
    """The midnight (UTC) that is at least a day away, in microseconds: the same for all of a day.

    Args:
        now: seconds since the epoch.

    Example:
        >>> format_iso(default_latest(0.0)), format_iso(default_latest(86_399.9))
        ('1970-01-03T00:00:00Z', '1970-01-03T00:00:00Z')
    """
    return floor_to(int(now * SECOND), DAY) + 2 * DAY


def reject_later(batch: pa.RecordBatch, schema: Schema, latest: int | None) -> pa.RecordBatch:
    """A source's batch in which rows after ``latest`` have no event time, but a problem.

    A row whose label comes after it keeps its event time, and has a problem too.

    Args:
        batch: a raw batch (``model.batch``).
        schema: of the rows.
        latest: microseconds; None: any time may be.
    """
    if latest is None or not batch.num_rows:
        return batch
    times = event_times(batch)
    if times.max() > latest:
        later = times > latest
        allowed = _until(latest)
        batch = _undated(batch, later, times)
        batch = _with_problems(batch, later, times, schema.time, "the time", allowed)
    if LABEL in batch.schema.names:
        labels = to_micros(batch.column(LABEL))
        if labels.max() > latest:
            name = str(schema.label_time)
            later = labels > latest
            batch = _with_problems(batch, later, labels, name, "the label's time", _until(latest))
    return batch


def reject_ahead(
    batch: pa.RecordBatch, schema: Schema, latest: npt.NDArray[np.int64]
) -> pa.RecordBatch:
    """As ``reject_later``, with a bound of its own for each row's event time.

    Args:
        batch: a raw batch.
        schema: of the rows.
        latest: microseconds, of shape (rows,).
    """
    times = event_times(batch)
    later = times > latest
    if not later.any():
        return batch
    batch = _undated(batch, later, times)
    return _with_problems(batch, later, times, schema.time, "the time", AHEAD)


def _until(latest: int) -> str:
    return f"must be a time until {format_iso(latest)} (--latest)"


def _undated(
    batch: pa.RecordBatch, later: npt.NDArray[np.bool_], times: npt.NDArray[np.int64]
) -> pa.RecordBatch:
    undated = later | (times == np.iinfo(np.int64).min)
    dated = pa.array(times, mask=undated).cast(TIME_TYPE)
    return batch.set_column(batch.schema.get_field_index(TIME), TIME, dated)


def _with_problems(
    batch: pa.RecordBatch,
    later: npt.NDArray[np.bool_],
    times: npt.NDArray[np.int64],
    name: str,
    role: str,
    allowed: str,
) -> pa.RecordBatch:
    """The batch with a problem in the rows whose times are too late, if they have none yet."""
    place = batch.schema.get_field_index(PROBLEM)
    problems = [None] * batch.num_rows if place < 0 else batch.column(place).to_pylist()
    for row in np.flatnonzero(later).tolist():
        value = show_value(_as_read(batch, row, int(times[row]), name))
        problems[row] = problems[row] or f"column {name!r} ({role}): {value}: {allowed}"
    found = pa.array(problems, pa.string())
    if place < 0:
        return batch.append_column(PROBLEM, found)
    return batch.set_column(place, PROBLEM, found)


def _as_read(batch: pa.RecordBatch, row: int, time: int, name: str) -> object:
    if name not in batch.schema.names or pa.types.is_temporal(batch.column(name).type):
        return format_iso(time)
    return batch.column(name)[row].as_py()
