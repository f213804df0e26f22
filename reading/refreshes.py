"""Which refreshes of a plan hold rows: what a resumed run has left, whatever gaps there are.

The work goes by the files' chunks and rows, never by the refreshes of a gap, of which there may
be billions.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from model.asof import Cadence
from model.batch import SECOND, TIME, Key, Tag, event_times, with_tag
from model.cohorts import Clock
from model.labels import Ints, find_events
from model.schema import Schema
from model.validation import validate
from reading.chunks import Chunk, Plan
from reading.plans import read

OPEN = 2**63 - 1
"""The end of a stream that has none."""
ROWS = 100_000
"""Rows that are read at once."""


class Refreshes(NamedTuple):
    """The refreshes of a plan.

    Attributes:
        plan: the files.
        schema: of the rows.
        cadence: how event time is divided.
        until: where the stream ends, microseconds. It matters only where labels have a time: a
            refresh in which a question is answered or over then holds something, too.
    """

    plan: Plan
    schema: Schema
    cadence: Cadence
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
            if found is not None and self.cadence.refresh_of(chunk.least) >= found:
                break
            if not self._all_done(chunk, done):
                held = (refresh for refresh in self._find_held(chunk) if refresh not in done)
                mine = next((refresh for refresh in held if refresh >= start), None)
                found = min((one for one in (found, mine) if one is not None), default=None)
        return found

    def _all_done(self, chunk: Chunk, done: Collection[int]) -> bool:
        every, refresh_of = self.cadence.every, self.cadence.refresh_of
        low, high = refresh_of(chunk.least), refresh_of(chunk.greatest)
        if self.schema.has_label_time:
            high = min(self._clock.final_at(high), self.until - every)
        many = (high - low) // every + 1
        return many <= len(done) and all(at in done for at in range(low, high + 1, every))

    def _find_held(self, chunk: Chunk) -> list[int]:
        """The refreshes of a chunk's rows; those without a time count at its least one."""
        starts = {self.cadence.refresh_of(chunk.least)}
        for batch in read(self.plan.files[chunk.file], chunk, self.schema, ROWS):
            if self.schema.has_label_time:
                starts.update(self._find_followed(batch))
            times = event_times(batch)[batch.column(TIME).is_valid().to_numpy(zero_copy_only=False)]
            starts.update(self._refreshes_of(times))
        return sorted(starts)

    @property
    def _clock(self) -> Clock:
        wait = (self.schema.wait or 0) * SECOND
        return Clock(self.cadence.every, wait, self.cadence.offset)

    def _refreshes_of(self, times: Ints) -> list[int]:
        every, offset = self.cadence.every, self.cadence.offset
        found: list[int] = (np.unique((times - offset) // every) * every + offset).tolist()
        return found

    def _find_followed(self, batch: pa.RecordBatch) -> set[int]:
        """The refreshes in which a raw batch's questions are answered or over, or cohorts final."""
        least = np.iinfo(np.int64).min
        tagged = with_tag(batch, Tag(Key(0, 0, 0), least, "", 0))
        accepted, _ = validate(tagged, self.schema)
        events = self._refreshes_of(find_events(accepted, self.schema, least).at)
        asked = self._refreshes_of(event_times(accepted))
        found = {*events, *map(self._clock.final_at, asked)}
        return {refresh for refresh in found if refresh + self.cadence.every <= self.until}
