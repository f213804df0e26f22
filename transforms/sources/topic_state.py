"""How far this process has read a topic: for the launcher's status, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from model.batch import SECOND
from model.topic_status import PartitionStatus, TopicStatus

MOST = 256
"""Maximum number of partitions that a status names, those that are furthest behind."""


@dataclass
class _Partition:
    read: int = 0
    end: int = 0
    time: int | None = None
    newest: int | None = None
    idle: bool = False
    undecoded: int = 0


class TopicState:
    """What is known of a topic's partitions; safe for many threads.

    Attributes:
        is_shown: whether this process shows it: that of a worker apart does not.
    """

    def __init__(self) -> None:
        self.is_shown = False
        self._lock = threading.Lock()
        self._partitions: dict[int, _Partition] = {}

    def note_ends(
        self,
        begins: Mapping[int, int],
        ends: Mapping[int, int],
        idle: Collection[int],
    ) -> None:
        """Notes what the planner has seen.

        Args:
            begins: by partition the offset from which it is read.
            ends: by partition the offset behind its last record.
            idle: the partitions that are idle.
        """
        with self._lock:
            for partition, end in ends.items():
                one = self._partitions.setdefault(partition, _Partition())
                one.read = max(one.read, begins.get(partition, 0))
                one.end = end
                one.idle = partition in idle

    def note_newest(self, newest: Mapping[int, int]) -> None:
        """Notes by partition the greatest timestamp of its records, microseconds."""
        with self._lock:
            for partition, time in newest.items():
                self._partitions.setdefault(partition, _Partition()).newest = time

    def note_read(
        self, partition: int, stop: int, time: int | None = None, undecoded: int = 0
    ) -> None:
        """Notes that a range has been read.

        Args:
            partition: of the topic.
            stop: the offset behind the range.
            time: the greatest timestamp of its records, microseconds; None: it has none.
            undecoded: how many of its records are no rows. (A bundle that is tried again counts
                them again.)
        """
        with self._lock:
            one = self._partitions.setdefault(partition, _Partition())
            one.read = max(one.read, stop)
            if time is not None:
                one.time = time if one.time is None else max(one.time, time)
            one.undecoded += undecoded

    def begin(self) -> None:
        """Begins anew, in a process that shows it."""
        self.is_shown = True
        with self._lock:
            self._partitions.clear()

    def status(self) -> TopicStatus | None:
        """What status.json has as ``topic``; None if no topic is read in this process."""
        with self._lock:
            known = {
                partition: PartitionStatus(
                    lag_rows=max(0, one.end - one.read),
                    lag_seconds=_seconds_behind(one),
                    undecoded=one.undecoded,
                    idle=one.idle,
                )
                for partition, one in sorted(self._partitions.items())
            }
        if not known:
            return None
        seconds = [one.lag_seconds for one in known.values() if one.lag_seconds is not None]
        worst = sorted(known, key=lambda partition: (-known[partition].lag_rows, partition))
        return TopicStatus(
            lag_rows=sum(one.lag_rows for one in known.values()),
            lag_seconds=max(seconds, default=None),
            undecoded=sum(one.undecoded for one in known.values()),
            idle=sum(one.idle for one in known.values()),
            partitions=len(known),
            by_partition={str(partition): known[partition] for partition in sorted(worst[:MOST])},
        )


def _seconds_behind(one: _Partition) -> float | None:
    """The time between the newest record and the newest that is read; None if it is not known."""
    if one.end <= one.read:
        return 0.0
    if one.newest is None or one.time is None:
        return None
    return round(max(0, one.newest - one.time) / SECOND, 3)


STATE = TopicState()
"""Of this process; the command line begins it before a run."""
