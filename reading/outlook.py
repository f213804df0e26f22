"""How the rows of a plan will lie in windows: how many there are, and which length would fit.

A plan knows the bounds in time of each chunk. That is enough where rows are spread evenly. Where
it looks as if windows would be too short, the widest chunks are read for their times: one row of
the year 9999 stretches its chunk without filling a window of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.batch import SECOND, TIME
from model.schema import Schema
from reading.chunks import Chunk, Plan
from reading.plans import read

LENGTHS = (60, 300, 900, 3600, 6 * 3600, 86_400, 7 * 86_400, 28 * 86_400)
"""Lengths of windows that are proposed, in seconds."""
ENOUGH_ROWS = 100
"""Rows that a window should hold if there are as many as for ``FEWEST`` windows."""
FEWEST, MOST = 4, 400
"""Numbers of windows that a proposal should make."""
READ_CHUNKS, READ_ROWS = 32, 2_000_000
"""Maximum number of chunks, and about of rows, that are read for their times."""
POINTS = 2_000_000
"""Maximum number of times by which the chunks that are not read are represented."""


class WindowCounts(NamedTuple):
    """How rows lie in windows of one length.

    Attributes:
        number: how many windows hold a row.
        rows: the median of their rows.
        few: the share of the windows that hold fewer rows than a model needs.
    """

    number: int
    rows: int
    few: float


class RowTimes(NamedTuple):
    """Times of rows, each with the number of rows that it stands for.

    Attributes:
        times: microseconds.
        weights: rows.
    """

    times: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]

    def shift(self, seconds: int) -> RowTimes:
        """The same rows so much later: windows that begin at an offset become those at 0."""
        return self._replace(times=self.times + seconds * SECOND)

    def windows(self, length: int, least: int) -> WindowCounts:
        """How the rows lie in windows.

        Args:
            length: of a window, seconds.
            least: rows that a model needs.

        Example:
            >>> RowTimes(np.arange(0, 600) * SECOND, np.ones(600)).windows(60, 10)
            WindowCounts(number=10, rows=60, few=0.0)
        """
        if not len(self.times):
            return WindowCounts(0, 0, 0.0)
        _, place = np.unique(self.times // (length * SECOND), return_inverse=True)
        rows = np.bincount(place.ravel(), self.weights)
        return WindowCounts(len(rows), round(float(np.median(rows))), float((rows < least).mean()))

    def proposal(self, least: int, lengths: Sequence[int] = LENGTHS) -> int | None:
        """The shortest window that fits, seconds; None if the rows are too few for any.

        It holds ``ENOUGH_ROWS``, and there are ``FEWEST`` to ``MOST`` of it. If none does, it is
        the longest of which there are ``FEWEST``, with rows enough for a model.

        Args:
            least: rows that a model needs.
            lengths: of the windows to choose from, ascending.
        """
        found = {length: self.windows(length, least) for length in lengths}
        enough = max(ENOUGH_ROWS, least)
        long = {length: seen for length, seen in found.items() if seen.rows >= enough}
        for length, seen in long.items():
            if FEWEST <= seen.number <= MOST:
                return length
        many = [length for length, seen in long.items() if seen.number > MOST]
        if many:
            return many[-1]
        usable = [
            length
            for length, seen in found.items()
            if seen.number >= FEWEST and seen.rows >= least and seen.few < 0.5
        ]
        return usable[-1] if usable else None


def times_from_bounds(plan: Plan, latest: int | None = None) -> RowTimes:
    """The outlook as the chunks' bounds give it: their rows are taken as evenly spread.

    Args:
        plan: the input's.
        latest: rows after it, microseconds, are no rows of the job; None: all are.
    """
    return _spread_evenly([*plan.chunks], [], latest)


def times_from_rows(plan: Plan, schema: Schema, latest: int | None = None) -> RowTimes:
    """The outlook with the times of the widest chunks, which are read.

    Args:
        plan: the input's.
        schema: of the rows.
        latest: as for ``times_from_bounds``.

    Raises:
        UserError: if a file has changed since it was planned.
        OSError: if it cannot be read any more.
    """
    widest = sorted(plan.chunks, key=lambda chunk: chunk.least - chunk.greatest)
    rows = np.cumsum([chunk.rows for chunk in widest])
    count = min(READ_CHUNKS, max(1, int(np.searchsorted(rows, READ_ROWS))))
    times = [_times(plan, chunk, schema) for chunk in widest[:count]]
    return _spread_evenly(widest[count:], times, latest)


def _times(plan: Plan, chunk: Chunk, schema: Schema) -> npt.NDArray[np.int64]:
    batches = read(plan.files[chunk.file], chunk, schema, 100_000)
    columns = [batch.column(TIME).cast(pa.int64()).drop_null().to_numpy() for batch in batches]
    return np.concatenate([np.zeros(0, np.int64), *columns])


def _spread_evenly(
    chunks: Sequence[Chunk], known: Sequence[npt.NDArray[np.int64]], latest: int | None
) -> RowTimes:
    most = max(POINTS // max(len(chunks), 1), 2)
    times, weights = [*known], [np.ones(len(found)) for found in known]
    for chunk in chunks:
        points = min(chunk.rows, most)
        even = np.linspace(chunk.least, chunk.greatest, points)
        times.append(even.astype(np.int64))
        weights.append(np.full(points, chunk.rows / points))
    joined = np.concatenate([np.zeros(0, np.int64), *times])
    counted = np.concatenate([np.zeros(0), *weights])
    kept = joined <= latest if latest is not None else np.ones(len(joined), np.bool_)
    return RowTimes(joined[kept], counted[kept])
