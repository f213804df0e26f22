"""The planner: one unbounded source of work items, a few bytes each, that holds the watermark.

A work item says which rows a batch is made of. One planner with one split emits them in the
order of their least stamps; a Reshuffle spreads them over the workers, and
``transforms.sources.read`` turns each into its batches, the same bytes on every retry. (Several
splits of one source fire windows early on some runners, since a slower one does not hold the
watermark there.)
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    UnboundedReader,
    UnboundedSource,
)
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from typing_extensions import override

from model import files, promotions
from model.asof import floor_to, from_datetime, to_datetime
from model.ending import StreamEnd, read_end, write_end
from transforms.elements import OPEN, WorkItem
from transforms.sources.work_items import (
    Extent,  # noqa: F401  # pickled by this name in savepoints of version 0.1
    WorkPlan,
)
from transforms.stamps import beam_time
from transforms.versions import OtherVersion, header, strip_header

ITEMS_A_BUNDLE = 100
"""A bundle of the planner ends after so many work items, or a second: the watermark moves only
between bundles, and what waits for it waits in memory."""
DRAIN_SECONDS = 1.0
"""Seconds between two looks whether a drain is asked for."""
_looked: dict[str, float] = {}


class Drain(NamedTuple):
    """How a source is asked to end early: by a file that appears.

    Attributes:
        path: the file. What it holds does not matter.
        every: the source ends where a refresh ends, so that each is whole; microseconds.
        offset: how long behind the multiples of ``every`` that is.
    """

    path: str
    every: int
    offset: int = 0

    def is_requested(self, now: float) -> bool:
        """Whether the file is there; it is looked for once in ``DRAIN_SECONDS``.

        A reader may live shorter than that, so this is known to the process.
        """
        if now >= _looked.get(self.path, 0.0) + DRAIN_SECONDS:
            _looked[self.path] = now
            return files.exists(self.path)
        return False


def take_pin(drain: Drain, watermark: int, now: float) -> None:
    """Appends an act that waits, for the first refresh that the watermark has not reached.

    Args:
        drain: of the source: the files of a pin are beside its own.
        watermark: microseconds; it goes on only when this has returned.
        now: seconds since the epoch.
    """
    folder = files.parent(drain.path)
    path = files.join(folder, promotions.ASKED)
    if not Drain(path, drain.every).is_requested(now):
        return
    asked = promotions.read_asked(path)
    if asked is not None:
        record = files.join(folder, promotions.RECORD)
        since = to_datetime(floor_to(watermark, drain.every, drain.offset) + drain.every)
        acts = promotions.read(record)
        known = {act.when for act in acts if act.what != "refused"}
        # the model of that refresh is not trained yet, unless one is pinned
        pinned = promotions.find_pin(acts, from_datetime(since))
        changes = {"since": since, "before": None if pinned is None else pinned.name}
        if asked.when not in known:  # else a retry: it was appended, and not yet removed
            promotions.append(record, asked.model_copy(update=changes))
    files.remove(path)
    files.flush()


class Mark(CheckpointMark):
    """A planner's checkpoint.

    Attributes:
        count: how many work items have left.
        until: where it ends since it was asked to drain; ``OPEN`` if it was not.
    """

    def __init__(self, count: int, until: int = OPEN) -> None:
        self.count = count
        self.until = until


class Planner(UnboundedSource):
    """The unbounded source of a plan's items: one split, checkpointed by position.

    Beam keeps it, pickled, in a savepoint, beside its checkpoint.
    """

    version = 1
    ending: StreamEnd | None = None
    follows: str | None = None

    def __init__(
        self,
        work: WorkPlan,
        clock: Callable[[], float] = time.time,
        drain: Drain | None = None,
        ending: StreamEnd | None = None,
        follows: str | None = None,
    ) -> None:
        self.work = work
        self.clock = clock
        self.drain = drain
        if follows is not None:
            self.follows = follows
        if ending is not None:  # else it is pickled as ever
            self.ending = ending

    def __getstate__(self) -> dict[str, Any]:
        return {"version": self.version, **self.__dict__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "tickets" in state:  # its name in savepoints of version 0.1
            state["work"] = state.pop("tickets")
        version = state.pop("version", 0)
        if version != self.version:
            raise OtherVersion(f"a source of version {version}, where {self.version} is known")
        self.__dict__.update(state)

    @override
    def split(self, desired_num_splits: int, options: Any = None) -> list[UnboundedSource]:
        return [self]

    @override
    def create_reader(
        self, options: Any, checkpoint_mark: CheckpointMark | None
    ) -> UnboundedReader:
        mark = checkpoint_mark if isinstance(checkpoint_mark, Mark) else Mark(0)
        return PlannerReader(self.work, mark, self.clock, self.drain, self.ending, self.follows)

    @override
    def get_checkpoint_mark_coder(self) -> Coder:
        return MarkCoder()


class PlannerReader(UnboundedReader):
    """Emits the items that are due; its watermark is the stamp of the next one.

    Asked to drain, it goes on to the end of the refresh that has begun, and ends there. Where
    labels have a time, the end is written (``model.ending``) before the watermark passes it. A
    stream of labels follows that of the questions: it ends where that has decided to.
    """

    def __init__(
        self,
        work: WorkPlan,
        mark: Mark,
        clock: Callable[[], float],
        drain: Drain | None = None,
        ending: StreamEnd | None = None,
        follows: str | None = None,
    ) -> None:
        self.follows = follows
        self.work = work if mark.until == OPEN else work.before(mark.until)
        self.until = mark.until
        self.clock = clock
        self.drain = drain
        self.ending = ending
        self.next = mark.count
        self.current: WorkItem | None = None
        self.written = False

    @override
    def start(self) -> bool:
        return self.advance()

    @override
    def advance(self) -> bool:
        self._mind_drain()
        self._mind_pin()
        item = self.work.get(self.next)
        if item is None or self.work.due(self.next) > self.clock():
            return False
        self.current = item
        self.next += 1
        return True

    def _mind_pin(self) -> None:
        following = self.work.get(self.next)
        if following is not None and self.drain is not None:
            take_pin(self.drain, following.at, self.clock())

    def _mind_drain(self) -> None:
        if self.until == OPEN and self.drain is not None and self.drain.is_requested(self.clock()):
            if self.follows is not None:
                self._follow(self.follows)
                return
            last = self.work.reach(self.next) - 1
            reached = floor_to(last, self.drain.every, self.drain.offset)
            self.until = reached + self.drain.every
            if self.ending is not None:
                self.until = self._decide_end(self.ending, self.drain)
            self.work = self.work.before(self.until)

    def _follow(self, path: str) -> None:
        """Ends where the questions do, as soon as that is decided."""
        until = read_end(path)
        if until is not None:
            self.until = until
            self.work = self.work.before(until)

    def _decide_end(self, ending: StreamEnd, drain: Drain) -> int:
        """The end of a stream that is drained, in its file; one that was decided before stands.

        The watermark may have passed refreshes without a row, up to the next item's stamp.
        """
        assert ending.path is not None
        until = read_end(ending.path)
        if until is None:
            following = self.work.get(self.next)
            passed = self.until
            if following is not None:
                passed = floor_to(following.at, drain.every, drain.offset)
            until = max(self.until, passed)
            if ending.until is not None:
                until = min(until, ending.until)
            write_end(ending.path, until)
        return until

    @override
    def get_current(self) -> WorkItem:
        assert self.current is not None
        return self.current

    @override
    def get_current_timestamp(self) -> Timestamp:
        return beam_time(self.get_current().at)

    @override
    def get_watermark(self) -> Timestamp:
        following = self.work.get(self.next)
        if following is not None:
            return beam_time(following.at)
        self._write_end()
        return MAX_TIMESTAMP

    def _write_end(self) -> None:
        """Writes where the stream ends, unless it was drained, where labels have a time."""
        ending = self.ending
        if ending is None or ending.until is None or self.written:
            return
        assert ending.path is not None
        if read_end(ending.path) is None:
            write_end(ending.path, ending.until)
        self.written = True

    @override
    def get_checkpoint_mark(self) -> CheckpointMark:
        return Mark(self.next, self.until)


class MarkCoder(Coder):
    """A planner's checkpoint as two numbers, with their version (``transforms.versions``)."""

    head = header(b"C", 1)
    layout = struct.Struct(">2q")

    def encode(self, value: Mark) -> bytes:
        return self.head + self.layout.pack(value.count, value.until)

    def decode(self, encoded: bytes) -> Mark:
        return Mark(*self.layout.unpack(strip_header(self.head, encoded)))

    def is_deterministic(self) -> bool:
        return True
