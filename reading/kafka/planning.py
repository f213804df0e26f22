"""Cuts a topic's partitions into ranges of offsets, by the timestamps of their records.

A partition's *clock* at an offset is the greatest record timestamp before it. A range ends behind
the first record whose timestamp has passed the serve window in which the clock stood. So the cuts
depend on the topic alone: a topic that is read live, a second time, or from the middle on is cut at
the same offsets. A row is late if its event time lies before its partition's clock, rounded down
to a serve window, less the disorder that is allowed; and the watermark is the least of these, over
the partitions that are not idle.

What depends on the wall clock is when a partition is taken for idle, and where it goes on when a
record comes again. Each such ``Decision`` is written down before it is acted on
(``reading.kafka.journal``); with them the same ranges are planned again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from model.asof import floor_to

IDLE, BACK = "idle", "back"


class Found(NamedTuple):
    """A record that was found by its time: its offset, and its timestamp in microseconds."""

    offset: int
    time: int


class TimeIndex(Protocol):
    """Finds a topic's records by their timestamps (``reading.kafka.client.Client``)."""

    def find(self, times: Mapping[int, int]) -> dict[int, Found | None]:
        """Each partition's first record that is not before a time; None where there is none."""


class Range(NamedTuple):
    """Records that are read together.

    Attributes:
        partition: of the topic.
        start: the first offset.
        stop: the offset behind the last one.
        bound: a row whose event time lies before is late; microseconds, None: no row is.
    """

    partition: int
    start: int
    stop: int
    bound: int | None


class Decision(NamedTuple):
    """A partition is idle from an offset on, or goes on there.

    Attributes:
        partition: of the topic.
        offset: the first one that is concerned.
        state: ``IDLE`` or ``BACK``.
        time: idle: the watermark then; back: the partition's clock from there on. Microseconds;
            None if there was none yet.
    """

    partition: int
    offset: int
    state: str
    time: int | None


@dataclass
class Position:
    """How far a partition has been planned.

    Attributes:
        next: the first offset that is not planned.
        clock: its clock there, rounded down to a serve window, microseconds; None: no record was
            before.
        idle: whether it is idle.
    """

    next: int
    clock: int | None = None
    idle: bool = False


@dataclass
class Rules:
    """How ranges are cut.

    Attributes:
        step: a serve window's length, microseconds.
        offset: how long behind multiples of ``step`` serve windows begin.
        disorder: how far a row's event time may lie behind its partition's clock.
        stops: by partition the offset at which it ends; a partition without one has no end.
    """

    step: int
    offset: int = 0
    disorder: int = 0
    stops: Mapping[int, int] = field(default_factory=dict)

    def floor(self, time: int) -> int:
        """The start of the serve window in which a time lies."""
        return floor_to(time, self.step, self.offset)

    def bound(self, clock: int | None) -> int | None:
        """The time before which a row is late, of a partition's clock."""
        return None if clock is None else clock - self.disorder


class RangePlanner:
    """Plans ranges, one after the other.

    Attributes:
        rules: how they are cut.
        positions: how far each partition has been planned.
        watermark: no row of what follows counts before; microseconds, None: nothing is known.
    """

    def __init__(
        self,
        rules: Rules,
        positions: dict[int, Position],
        decisions: Sequence[Decision] = (),
        watermark: int | None = None,
    ) -> None:
        self.rules = rules
        self.positions = positions
        self.watermark = watermark
        self._found: dict[int, Found | None] = {}
        self._ahead: dict[int, list[Decision]] = {}
        for decision in decisions:
            self._ahead.setdefault(decision.partition, []).append(decision)
            if decision.partition not in positions:  # it was added to the topic later
                positions[decision.partition] = Position(decision.offset)
        for partition in positions:
            self._apply_known(partition)
        self._move()

    @property
    def done(self) -> bool:
        """Whether every partition has come to its end."""
        return all(self._is_done(partition) for partition in self.positions)

    @property
    def is_idle(self) -> bool:
        """Whether every partition is idle, or has come to its end."""
        return all(one.idle or self._is_done(p) for p, one in self.positions.items())

    def look(self, topic: TimeIndex) -> None:
        """Asks the topic where the clocks of the partitions will pass their serve windows."""
        rules = self.rules
        asked = {
            partition: 0 if one.clock is None else one.clock + rules.step
            for partition, one in self.positions.items()
            if self._found.get(partition) is None and not self._is_done(partition)
        }
        self._found.update(topic.find(asked))

    def next(self) -> Range | None:
        """The next range, of the partition with the least clock; None if none is complete.

        A range is complete when a record has passed its serve window, or when its partition ends
        there or is known to be idle.
        """
        ready = [
            (one.clock is not None, one.clock or 0, partition)
            for partition, one in self.positions.items()
            if not one.idle and self._stop_of(partition) is not None
        ]
        if not ready:
            return None
        partition = min(ready)[2]
        one = self.positions[partition]
        ending = self._stop_of(partition)
        assert ending is not None
        stop, clock = ending
        planned = Range(partition, one.next, stop, self.rules.bound(one.clock))
        one.next = stop
        if clock is not None:
            one.clock = clock if one.clock is None else max(one.clock, clock)
        self._found.pop(partition, None)
        self._apply_known(partition)
        self._move()
        return planned

    def _stop_of(self, partition: int) -> tuple[int, int | None] | None:
        """Where the next range of a partition ends, and its clock there; None if not yet."""
        one = self.positions[partition]
        if self._is_done(partition) or partition not in self._found:  # not asked yet
            return None
        known = self._ahead.get(partition)
        limit = self.rules.stops.get(partition)
        if known and (limit is None or known[0].offset < limit):
            limit = known[0].offset
        found = self._found[partition]
        if found is not None and (limit is None or found.offset < limit):
            return found.offset + 1, self.rules.floor(found.time)
        if limit is None or (known and limit == one.next):
            return None
        return limit, one.clock

    def _is_done(self, partition: int) -> bool:
        stop = self.rules.stops.get(partition)
        return stop is not None and self.positions[partition].next >= stop

    def waiting(self, ends: Mapping[int, int]) -> tuple[list[int], list[int]]:
        """The partitions whose next range is not complete, and the idle ones with new records.

        Args:
            ends: the offset behind each partition's last record.
        """
        open_ones = [p for p, one in self.positions.items() if not self._is_done(p)]
        return (
            [p for p in open_ones if not self.positions[p].idle and self._stop_of(p) is None],
            [p for p in open_ones if self.positions[p].idle and self.positions[p].next < ends[p]],
        )

    def decide_idle(self, partition: int, end: int) -> Decision:
        """The decision that a partition, whose log ends at an offset, is idle."""
        return Decision(partition, end, IDLE, self.watermark)

    def decide_back(self, partition: int, begin: int | None = None) -> Decision:
        """The decision where a partition goes on that was idle, or is new and begins."""
        one = self.positions.get(partition)
        clock = None if one is None else one.clock
        if self.watermark is not None:
            passed = self.watermark + self.rules.disorder
            clock = passed if clock is None else max(clock, passed)
        offset = begin if one is None else one.next
        assert offset is not None
        return Decision(partition, offset, BACK, clock)

    def decide(self, decision: Decision) -> None:
        """Acts on a decision, which has been written down."""
        partition = decision.partition
        self.positions.setdefault(partition, Position(decision.offset))
        self._ahead.setdefault(partition, []).append(decision)
        self._found.pop(partition, None)  # a record may have come since the topic was asked
        self._apply_known(partition)
        self._move()

    def _apply_known(self, partition: int) -> None:
        """Acts on a partition's decisions as soon as it has come to their offset."""
        one, known = self.positions[partition], self._ahead.get(partition, [])
        while known and known[0].offset <= one.next:
            decision = known.pop(0)
            one.idle = decision.state == IDLE
            if decision.state == BACK and decision.time is not None:
                passed = self.rules.floor(decision.time)
                one.clock = passed if one.clock is None else max(one.clock, passed)
                self._found.pop(partition, None)

    def _move(self) -> None:
        """Moves the watermark to the least clock of the partitions that hold it."""
        clocks = [
            self.rules.bound(one.clock)
            for partition, one in self.positions.items()
            if not one.idle and not self._is_done(partition)
        ]
        if not clocks:  # none holds it: the furthest clock has been reached
            reached = [one.clock for one in self.positions.values() if one.clock is not None]
            clocks = [self.rules.bound(max(reached))] if reached else []
        known = [clock for clock in clocks if clock is not None]
        if len(known) == len(clocks) and known:
            least = min(known)
            self.watermark = least if self.watermark is None else max(self.watermark, least)
