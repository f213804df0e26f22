"""What a source plans, and what turns that into batches.

A work item says which rows the next batches are made of. A ``WorkPlan`` has them, a ``Reader``
reads them. ``DeferredRows`` reads them once more, where they do not travel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from model.batch import tag_of
from transforms.elements import OPEN, AcceptedBatch, RawBatch, RowReference, WorkItem


class Extent(NamedTuple):
    """Which part of event time is read: from begin to before end, microseconds; None is open.

    Both are edges of serve windows, which no batch straddles.
    """

    begin: int | None = None
    end: int | None = None

    @property
    def until(self) -> int:
        """The end as a work item has it."""
        return OPEN if self.end is None else self.end

    def before(self, end: int) -> Extent:
        """The part of it before a time."""
        return Extent(self.begin, min(self.until, end))

    def within(self, batches: Iterator[RawBatch]) -> Iterator[RawBatch]:
        """The batches that are stamped within."""
        if self.begin is None and self.until == OPEN:
            yield from batches
            return
        for batch in batches:
            at = tag_of(batch).at
            if (self.begin is None or at >= self.begin) and (self.end is None or at < self.end):
                yield batch


class WorkPlan(Protocol):
    """What a source plans: items by position, in the order of their ``at``."""

    def get(self, position: int) -> WorkItem | None:
        """The work item at a position (from 0); None at the end."""

    def due(self, position: int) -> float:
        """When the work item at a position may leave, in seconds since the epoch; 0 at once."""

    def reach(self, position: int) -> int:
        """All rows of the items before a position are stamped before; microseconds."""

    def before(self, end: int) -> WorkPlan:
        """The same items, by position, without the rows that are stamped from ``end`` on."""


class Reader(Protocol):
    """What turns a work item into tagged raw batches, none straddling a serve window."""

    def __call__(self, item: WorkItem) -> Iterator[RawBatch]: ...


class DeferredRows(Protocol):
    """Rows that stay where they are and are read again when they are scored (a claim check).

    Hohpe and Woolf 2003, "Enterprise Integration Patterns".
    """

    def defer(self, batch: AcceptedBatch) -> AcceptedBatch | RowReference:
        """What travels in an accepted batch's place: a reference to its rows, or itself."""

    def prefetch(self, batch: AcceptedBatch | RowReference) -> None:
        """Begins to read the rows of a reference, which will be materialized soon."""

    def materialize(self, batch: AcceptedBatch | RowReference) -> AcceptedBatch:
        """The accepted batch of a reference; an accepted batch is returned as it is."""
