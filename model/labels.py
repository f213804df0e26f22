"""Labels that come later: two clocks a row, the question's ``time`` and the label's ``label_time``.

A question is scored at its time, by the model that serves then. Its label counts when it is known:
the row enters the training window in which its label's time lies, and its error the figures of
that refresh. A label that has not come by ``time + wait`` is not waited for: the question has
expired then, and a label that comes later is neither learned from nor evaluated.

So each question has one *event*: its answer, or its expiry. A late question (one behind the
source's watermark) counts where that watermark stood, and so do labels that were known before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from model.asof import format_iso
from model.batch import SECOND, event_times, label_times, labelled_mask, late_mask
from model.schema import Schema

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
BITS = 6
"""A bin of delays has this many binary digits below its highest: 64 bins an octave."""


class LabelDelay(BaseModel):
    """How long labels took, in seconds: half of them, nine tenths, and all came within these."""

    model_config = ConfigDict(frozen=True)

    p50: float
    p90: float
    max: float


def find_bins(delays: Ints) -> Ints:
    """The bins of delays of 0 microseconds or more.

    There are 64 bins an octave, which lie evenly in it; below 128 microseconds each has its own.
    They are found by shifts alone, so they are the same on every processor.

    Example:
        >>> find_bins(np.array([0, 127, 128, 129, 130, 60_000_000])).tolist()
        [0, 127, 128, 128, 129, 1330]
    """
    exponents = np.maximum(np.frexp(delays.astype(np.float64))[1] - 1, BITS)
    # a delay that rounds up to the next power of two as a float is in the octave before it
    exponents -= (delays >> exponents) == 0
    exponents = np.maximum(exponents, BITS)
    found: Ints = (exponents - BITS << BITS) + (delays >> (exponents - BITS))
    return found


def greatest_in_bin(bin: int) -> int:
    """The greatest delay of a bin, microseconds.

    Example:
        >>> greatest_in_bin(127), greatest_in_bin(128), greatest_in_bin(1330)
        (127, 129, 60293119)
    """
    shift = max((bin >> BITS) - 1, 0)
    return ((bin - (shift << BITS) + 1) << shift) - 1


class Delays(NamedTuple):
    """Counts of delays in bins, which merge.

    Attributes:
        counts: (bin, how many), by bin.
        greatest: the greatest delay, microseconds; -1 without any.
    """

    counts: tuple[tuple[int, int], ...] = ()
    greatest: int = -1

    @classmethod
    def of(cls, delays: Ints) -> Delays:
        """The counts of some delays, microseconds."""
        if not len(delays):
            return cls()
        bins, counts = np.unique(find_bins(delays), return_counts=True)
        pairs = zip(bins.tolist(), counts.tolist(), strict=True)
        return cls(tuple(pairs), int(delays.max()))

    @classmethod
    def of_fields(cls, fields: Sequence[Any]) -> Delays:
        """The counts of their fields, as JSON has them."""
        counts, greatest = fields
        return cls(tuple((bin, count) for bin, count in counts), greatest)

    def merge(self, other: Delays) -> Delays:
        """The counts of both."""
        if not self.counts or not other.counts:
            return self if self.counts else other
        counts = dict(self.counts)
        for bin, count in other.counts:
            counts[bin] = counts.get(bin, 0) + count
        return Delays(tuple(sorted(counts.items())), max(self.greatest, other.greatest))

    def quantile(self, share: float) -> int:
        """The delay, microseconds, within which a share of the labels came: its bin's greatest.

        Raises:
            ValueError: if there is no delay.
        """
        if not self.counts:
            raise ValueError("no label: a quantile of delays needs one")
        bins, counts = np.array(self.counts).T
        place = int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
        return min(greatest_in_bin(int(bins[min(place, len(bins) - 1)])), self.greatest)

    def summary(self) -> LabelDelay | None:
        """Their figures; None without a label.

        Example:
            >>> Delays.of(np.array([0, 60, 60]) * SECOND).summary()
            LabelDelay(p50=60.0, p90=60.0, max=60.0)
        """
        if not self.counts:
            return None
        p50, p90 = (self.quantile(share) / SECOND for share in (0.5, 0.9))
        return LabelDelay(p50=p50, p90=p90, max=self.greatest / SECOND)


class LabelTimes(NamedTuple):
    """Figures of the labels of trained rows, for an artefact's manifest; they merge.

    Attributes:
        newest: the newest label time, microseconds.
        delays: from the questions to their labels.
    """

    newest: int
    delays: Delays

    @classmethod
    def of(cls, fields: Sequence[Any]) -> LabelTimes:
        """What its fields say, as JSON has them."""
        newest, delays = fields
        return cls(newest, Delays.of_fields(delays))

    def merge(self, other: LabelTimes) -> LabelTimes:
        """What holds of both parts' rows."""
        return LabelTimes(max(self.newest, other.newest), self.delays.merge(other.delays))

    def check(self, window_end: int) -> None:
        """Checks that nothing was learned that was not known when the window ended.

        Raises:
            ValueError: if a label's time is not before the window's end.
        """
        if self.newest >= window_end:
            raise ValueError(
                f"a label of {format_iso(self.newest)} in the window that ends at "
                f"{format_iso(window_end)}: it was not known then"
            )


def merge_label_times(parts: Iterable[LabelTimes]) -> LabelTimes:
    """What holds of all parts' rows; one part at least."""
    return reduce(LabelTimes.merge, parts)


class Events(NamedTuple):
    """What becomes of a batch's questions: each is answered, or expires.

    Attributes:
        at: when, microseconds; never before the batch's stamp.
        answered: whether the label came within the wait.
        label_late: whether it came later.
        delay: from the question to its label, microseconds; meaningless without one.
    """

    at: Ints
    answered: Mask
    label_late: Mask
    delay: Ints


def find_events(batch: pa.RecordBatch, schema: Schema, stamp: int) -> Events:
    """What becomes of the questions of an accepted batch.

    Args:
        batch: accepted rows with the times of their labels.
        schema: of them, with ``label_time``.
        stamp: the batch's, microseconds.
    """
    assert schema.wait is not None
    times, labels = event_times(batch), label_times(batch)
    latest = times + schema.wait * SECOND
    labelled = labelled_mask(batch, schema)
    answered = labelled & (labels <= latest)
    at = np.maximum(np.where(answered, labels, latest), stamp)
    return Events(at, answered, labelled & ~answered, np.where(answered, labels - times, 0))


def group_by_refresh(
    at: Ints, chosen: Mask, every: int, offset: int = 0
) -> Iterator[tuple[int, Ints]]:
    """The chosen rows of each refresh: its start, and where the rows stand, in their order.

    Example:
        >>> at, chosen = np.array([61, 5, 70, 130]), np.array([True, True, True, False])
        >>> rows = group_by_refresh(at, chosen, 60)
        >>> [(start, places.tolist()) for start, places in rows]
        [(0, [1]), (60, [0, 2])]
    """
    places = np.flatnonzero(chosen)
    if not len(places):
        return
    starts = (at[places] - offset) // every * every + offset
    if starts.min() < starts.max():
        order = np.argsort(starts, kind="stable")
        places, starts = places[order], starts[order]
    cuts = [0, *(np.flatnonzero(np.diff(starts)) + 1).tolist(), len(starts)]
    for low, high in pairwise(cuts):
        yield int(starts[low]), places[low:high]


class LabelledRows(NamedTuple):
    """Rows of a batch whose labels become known in one refresh: what is trained on.

    Attributes:
        stamp: the least time of a label, microseconds.
        rows: an accepted batch.
        known: of their labels.
    """

    stamp: int
    rows: pa.RecordBatch
    known: LabelTimes


def cut_labelled_rows(
    batch: pa.RecordBatch, schema: Schema, every: int, stamp: int, offset: int = 0
) -> Iterator[LabelledRows]:
    """Cuts an accepted batch by the refreshes in which its labels become known.

    Late questions, and those whose label comes after the wait or never, are in none.

    Args:
        batch: accepted rows with the times of their labels.
        schema: of them, with ``label_time``.
        every: a refresh's length, microseconds.
        stamp: the batch's, microseconds.
        offset: how long behind multiples of ``every`` refreshes begin, microseconds.
    """
    events = find_events(batch, schema, stamp)
    labels = label_times(batch)
    learned = events.answered & ~late_mask(batch)
    for _, places in group_by_refresh(events.at, learned, every, offset):
        known = LabelTimes(int(labels[places].max()), Delays.of(events.delay[places]))
        rows = batch if len(places) == batch.num_rows else batch.take(pa.array(places))
        yield LabelledRows(int(events.at[places].min()), rows, known)


class StreamCounts(NamedTuple):
    """Counts of what came in a stream of labels, beside the answers.

    Attributes:
        duplicates, conflicts: further labels of questions that have an answer, with the same target
            and with another.
        orphans: labels of no question.
        id_reused: questions that were open when a newer one of their id took a label.
        label_late: labels of questions whose wait was over.
        label_behind: labels that came when the watermark of their stream had passed their time.
        labels_rejected: rows of their stream that are no label.
        missing: questions that were answered by the value of ``missing``, since no label came.
        labels_read: all rows of their stream, also those that are no label.
        early: questions that were answered by a label from before they reached the stream.
    """

    duplicates: int = 0
    conflicts: int = 0
    orphans: int = 0
    id_reused: int = 0
    label_late: int = 0
    label_behind: int = 0
    labels_rejected: int = 0
    missing: int = 0
    labels_read: int = 0
    early: int = 0

    def merge(self, other: StreamCounts) -> StreamCounts:
        """The counts of both.

        Example:
            >>> StreamCounts(orphans=1).merge(StreamCounts(orphans=2)).orphans
            3
        """
        return StreamCounts(*map(add, self, other))

    def count_open(self, answered: int) -> int:
        """Of the labels that were read, those of which it is not certain yet what they are.

        A question may still come for them, or came too long before them: that is certain one
        refresh after them.

        Args:
            answered: questions that have an answer, also from ``missing``.

        Example:
            >>> StreamCounts(labels_read=10, orphans=2, missing=1).count_open(answered=8)
            1
        """
        further = self.duplicates + self.conflicts + self.orphans + self.label_late
        return self.labels_read - (answered - self.missing) - further - self.labels_rejected


class LabelCounts(NamedTuple):
    """Counts of what became of questions.

    Attributes:
        answered: labels that came within the wait.
        expired: questions whose wait was over without one.
        label_late: of these, those whose label came later.
        delays: of the answered.
        stream: further counts, where labels are a stream of their own.
    """

    answered: int = 0
    expired: int = 0
    label_late: int = 0
    delays: Delays = Delays()
    stream: StreamCounts | None = None

    @classmethod
    def of(cls, fields: Sequence[Any]) -> LabelCounts:
        """The counts of their fields, as JSON has them."""
        answered, expired, label_late, delays, *stream = fields
        counts = StreamCounts(*stream[0]) if stream and stream[0] is not None else None
        return cls(answered, expired, label_late, Delays.of_fields(delays), counts)

    def merge(self, other: LabelCounts) -> LabelCounts:
        """The counts of both."""
        return LabelCounts(
            self.answered + other.answered,
            self.expired + other.expired,
            self.label_late + other.label_late,
            self.delays.merge(other.delays),
            self.stream.merge(other.stream)
            if self.stream and other.stream
            else self.stream or other.stream,
        )
