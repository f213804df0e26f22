"""The latest time that a row may have: one far in the future is a mistake, and is rejected.

A single row of the year 9999 (a sentinel for "open", a typing error) would be a window of its own,
and all that goes by the end of the data would reach for it. So such a row loses its event time at
the source, before anything goes by it, and is rejected with the reason. The bound is decided once,
when a run is launched, and kept with its settings: a retry and a resumed run decide the same.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from model.asof import floor_to, format_iso
from model.batch import PROBLEM, SECOND, TIME, TIME_TYPE, event_times
from model.schema import Schema
from model.validation import show_value

DAY = 86_400 * SECOND


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

    Args:
        batch: a raw batch (``model.batch``).
        schema: what its columns mean.
        latest: microseconds; None: any time may be.
    """
    if latest is None or not batch.num_rows:
        return batch
    times = event_times(batch)
    if times.max() <= latest:
        return batch
    later = times > latest
    dated = pa.array(times, mask=later | (times == np.iinfo(np.int64).min)).cast(TIME_TYPE)
    batch = batch.set_column(batch.schema.get_field_index(TIME), TIME, dated)
    place = batch.schema.get_field_index(PROBLEM)
    problems = [None] * batch.num_rows if place < 0 else batch.column(place).to_pylist()
    for row in np.flatnonzero(later).tolist():
        problems[row] = problems[row] or _problem(batch, row, int(times[row]), schema, latest)
    column = pa.array(problems, pa.string())
    if place < 0:
        return batch.append_column(PROBLEM, column)
    return batch.set_column(place, PROBLEM, column)


def _problem(batch: pa.RecordBatch, row: int, time: int, schema: Schema, latest: int) -> str:
    value: object = format_iso(time)
    if schema.time in batch.schema.names:
        read = batch.column(schema.time)
        value = value if pa.types.is_temporal(read.type) else read[row].as_py()
    allowed = f"a time until {format_iso(latest)} is allowed (--latest)"
    return f"column {schema.time!r} (the time): {show_value(value)}: {allowed}"
