"""Which refreshes of a plan hold rows: what a resumed run has left, whatever gaps there are.

The work goes by the files' chunks and rows, never by the refreshes of a gap, of which there may
be billions.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from model.asof import floor_to
from model.batch import SECOND, TIME, Key, Tag, event_times, with_tag
from model.cohorts import Clock
from model.labels import find_events
from model.reading.chunks import Chunk, Plan
from model.reading.plans import read
from model.schema import Schema
from model.validation import validate

OPEN = 2**63 - 1
"""The end of a stream that has none."""
ROWS = 100_000
"""Rows that are read at once."""


class Refreshes(NamedTuple):
    """The refreshes of a plan.

    Attributes:
        plan: the files.
        schema: of the rows.
        every: a refresh's length, microseconds.
        until: where the stream ends, microseconds. It matters only where labels have a time: a
            refresh in which a question is answered or over then holds something, too.
    """

    plan: Plan
    schema: Schema
    every: int
    until: int = OPEN

    def first_missing(self, done: Collection[int], start: int) -> int | None:
        """The first refresh that holds a row and is not done; None if all are.

        A chunk is read only if it reaches over a refresh that is not done.

        Args:
            done: the starts of refreshes, microseconds.
            start: the start of the first one that may be found.
        """
        found: int | None = None
        for chunk in self.plan.chunks:  # sorted by their least times
            if found is not None and floor_to(chunk.least, self.every) >= found:
                break
            if not self._all_done(chunk, done):
                held = (refresh for refresh in self._held(chunk) if refresh not in done)
                mine = next((refresh for refresh in held if refresh >= start), None)
                found = min((one for one in (found, mine) if one is not None), default=None)
        return found

    def _all_done(self, chunk: Chunk, done: Collection[int]) -> bool:
        low, high = floor_to(chunk.least, self.every), floor_to(chunk.greatest, self.every)
        if self.schema.has_label_time:
            high = min(self._clock.final_at(high), self.until - self.every)
        many = (high - low) // self.every + 1
        return many <= len(done) and all(at in done for at in range(low, high + 1, self.every))

    def _held(self, chunk: Chunk) -> list[int]:
        """The refreshes of a chunk's rows; those without a time count at its least one."""
        starts = {floor_to(chunk.least, self.every)}
        for batch in read(self.plan.files[chunk.file], chunk, self.schema, ROWS):
            if self.schema.has_label_time:
                starts.update(self._followed(batch))
            times = event_times(batch)[batch.column(TIME).is_valid().to_numpy(zero_copy_only=False)]
            starts.update((np.unique(times // self.every) * self.every).tolist())
        return sorted(starts)

    @property
    def _clock(self) -> Clock:
        return Clock(self.every, (self.schema.wait or 0) * SECOND)

    def _followed(self, batch: pa.RecordBatch) -> set[int]:
        """The refreshes in which a raw batch's questions are answered or over, or cohorts final."""
        least = np.iinfo(np.int64).min
        tagged = with_tag(batch, Tag(Key(0, 0, 0), least, "", 0))
        accepted, _ = validate(tagged, self.schema)
        events = find_events(accepted, self.schema, least).at // self.every * self.every
        asked = np.unique(event_times(accepted) // self.every * self.every).tolist()
        found = {*np.unique(events).tolist(), *map(self._clock.final_at, asked)}
        return {refresh for refresh in found if refresh + self.every <= self.until}
