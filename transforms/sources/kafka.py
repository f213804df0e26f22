"""A Kafka topic as a source: one planner, one split, ranges of offsets.

The planner asks the broker for offsets and decodes nothing; each range is read by a consumer that
is assigned to it, the same records on every retry. So nothing that correctness needs is committed
to Kafka. (A split a partition loses rows where the runner has one watermark a stage.)
"""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    UnboundedReader,
    UnboundedSource,
)
from apache_beam.pvalue import PBegin
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp
from typing_extensions import override

from model.asof import floor_to
from model.batch import PROBLEM, Key, Tag, split
from model.ending import StreamEnd, read_end, write_end
from model.label_stream import LabelSchema
from model.schema import Schema
from reading.kafka.address import Topic
from reading.kafka.client import Client, KafkaError, Record, read_range
from reading.kafka.decode import decode, first_id
from reading.kafka.journal import Journal
from reading.kafka.planning import Decision, Position, Range, RangePlanner, Rules
from reading.kafka.readers import reader_of
from transforms.elements import OPEN, RawBatch, WorkItem
from transforms.sources.planner import Drain, take_pin
from transforms.sources.read import ReadInOrderFn, read_planned
from transforms.sources.rows import mark_late
from transforms.sources.topic_state import STATE
from transforms.sources.work_items import Extent
from transforms.stamps import beam_time
from transforms.versions import OtherVersion, header, strip_header

NEVER = MIN_TIMESTAMP.micros
"""The stamp of a work item of which nothing is known before it is read."""
STATE_EVERY = 1.0
"""Seconds between two looks how far the topic has been read."""
PARTITIONS_EVERY = 10.0
"""Seconds between two looks whether partitions were added."""


@dataclass(frozen=True)
class Plan:
    """What of a topic is read.

    Attributes:
        topic: which.
        rules: how its ranges are cut.
        begin: where each partition begins, and its clock there (microseconds; None: none yet).
        extent: which part of event time is read.
        journal: where what is decided is kept; the decisions that stand in it are followed.
        idle: seconds without a record after which a partition no longer holds the watermark;
            None: none is decided to be idle.
        drain: how the source is asked to end early.
        live: whether partitions may grow: else all is there, up to ``rules.stops``.
        ending: where the stream ends, and the file that says so; None: labels have no time.
        follows: whether it is a stream of labels, which ends where ``drain.path`` says that the
            questions end, and asks for no pins.
    """

    topic: Topic
    rules: Rules
    begin: dict[int, tuple[int, int | None]]
    extent: Extent
    journal: Journal
    idle: float | None
    drain: Drain
    live: bool
    ending: StreamEnd | None = None
    follows: bool = False


class KafkaMark(CheckpointMark):
    """A planner's checkpoint.

    Attributes:
        positions: by partition its next offset and its clock.
        watermark: of what has been planned; None: nothing is known.
        until: where it ends since it was asked to drain; ``OPEN`` if it was not.
        refresh: the refresh in which the watermark stands, and by partition the first offset that
            was planned there; None: none yet.
    """

    def __init__(
        self,
        positions: dict[int, tuple[int, int | None]],
        watermark: int | None = None,
        until: int = OPEN,
        refresh: tuple[int, dict[int, int]] | None = None,
    ) -> None:
        self.positions = positions
        self.watermark = watermark
        self.until = until
        self.refresh = refresh


class KafkaMarkCoder(Coder):
    """A planner's checkpoint as JSON, with its version (``transforms.versions``)."""

    head = header(b"K", 1)

    def encode(self, value: KafkaMark) -> bytes:
        positions = sorted(value.positions.items())
        refresh = value.refresh and (value.refresh[0], sorted(value.refresh[1].items()))
        return self.head + json.dumps([positions, value.watermark, value.until, refresh]).encode()

    def decode(self, encoded: bytes) -> KafkaMark:
        positions, watermark, until, refresh = json.loads(strip_header(self.head, encoded))
        return KafkaMark(
            {partition: (offset, clock) for partition, (offset, clock) in positions},
            watermark,
            until,
            refresh and (refresh[0], dict(map(tuple, refresh[1]))),
        )

    def is_deterministic(self) -> bool:
        return True


class KafkaPlanner(UnboundedSource):
    """The unbounded source of a topic's ranges: one split, checkpointed by offsets.

    Beam keeps it, pickled, in a savepoint, beside its checkpoint.
    """

    version = 1

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __getstate__(self) -> dict[str, Any]:
        return {"version": self.version, **self.__dict__}

    def __setstate__(self, state: dict[str, Any]) -> None:
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
        mark = (
            checkpoint_mark
            if isinstance(checkpoint_mark, KafkaMark)
            else KafkaMark(self.plan.begin)
        )
        return KafkaPlannerReader(self.plan, mark)

    @override
    def get_checkpoint_mark_coder(self) -> Coder:
        return KafkaMarkCoder()


class _Watch:
    """What a process has seen of a live topic: a reader may live for a second.

    Attributes:
        client: asks the topic.
        ends: by partition the end of its log, and since when it is known.
        partitions_at: when to look next whether partitions were added.
        noted_at: when to note next how far the topic has been read.
    """

    def __init__(self, topic: Topic) -> None:
        self.client = Client(topic)
        self.ends: dict[int, tuple[int, float]] = {}
        self.partitions_at = 0.0
        self.noted_at = 0.0


@cache
def _watch_of(topic: Topic, journal: Journal) -> _Watch:
    return _Watch(topic)


class KafkaPlannerReader(UnboundedReader):
    """Emits ranges as they become complete; decides which partitions are idle.

    Asked to drain, it goes on to the end of the refresh that has begun, and ends there.
    """

    def __init__(self, plan: Plan, mark: KafkaMark, now: Callable[[], float] = time.time) -> None:
        self.plan = plan
        self.now = now
        self.watch = _watch_of(plan.topic, plan.journal)
        self.until = mark.until
        self.refresh = mark.refresh
        decisions = plan.journal.read_decisions()
        self.decisions = len(decisions)
        positions = {p: Position(offset, clock) for p, (offset, clock) in mark.positions.items()}
        self.ranges = RangePlanner(plan.rules, positions, decisions, mark.watermark)
        self.current: WorkItem | None = None

    @override
    def start(self) -> bool:
        return self.advance()

    @override
    def advance(self) -> bool:
        if self.ended:
            return False
        self._mind_drain()
        if self.ranges.watermark is not None and not self.plan.follows:
            take_pin(self.plan.drain, self.ranges.watermark, self.now())
        planned = self.ranges.next()
        if planned is None:
            try:
                self._look()
            except KafkaError:
                if not self.plan.live:
                    raise
                return False  # a broker that restarts; nothing is decided meanwhile
            planned = self.ranges.next()
        self._keep_ranges(planned)
        if planned is not None and self.ranges.is_idle:
            self.watch.noted_at = 0.0  # a drain ends here, and the last status counts all as idle
        self._note_state()
        if planned is None:
            return False
        self.current = self._work_item(planned)
        return True

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        end = min(self.until, self.plan.extent.until)
        watermark = self.ranges.watermark
        if self.until != OPEN and self.ranges.is_idle:  # nothing would bring it to its end
            return True
        return self.ranges.done or (watermark is not None and watermark >= end)

    def _look(self) -> None:
        """Asks the topic, and decides which partitions are idle, or go on."""
        self.ranges.look(self.watch.client)
        if not self.plan.live:
            return
        now = self.now()
        if now >= self.watch.partitions_at:
            self.watch.partitions_at = now + PARTITIONS_EVERY
            added = set(self.watch.client.partitions()) - set(self.ranges.positions)
            for partition, begin in self.watch.client.begins(sorted(added)).items():
                self._decide(self.ranges.decide_back(partition, begin))
        ends = self.watch.client.ends(sorted(self.ranges.positions))
        waiting, returning = self.ranges.waiting(ends)
        for partition in returning:
            self._decide(self.ranges.decide_back(partition))
        if self.plan.idle is None:
            return
        for partition in waiting:
            end, since = self.watch.ends.get(partition, (-1, now))
            if end != ends[partition]:
                self.watch.ends[partition] = ends[partition], now
            elif now - since >= self.plan.idle:
                self._decide(self.ranges.decide_idle(partition, end))

    def _note_state(self) -> None:
        """Notes, once a second, what there is to read: for the launcher's status alone."""
        now = self.now()
        # The status is of the questions' topic.
        if not STATE.is_shown or now < self.watch.noted_at or self.plan.follows:
            return
        self.watch.noted_at = now + STATE_EVERY
        positions = self.ranges.positions
        partitions = sorted(positions)
        with suppress(KafkaError):
            stops = self.plan.rules.stops
            ends = {**self.watch.client.ends(partitions), **stops}
            idle = {p for p, one in positions.items() if one.idle}
            STATE.note_ends({p: at for p, (at, _) in self.plan.begin.items()}, ends, idle)
            STATE.note_newest(self.watch.client.newest(partitions))

    def _decide(self, decision: Decision) -> None:
        """Keeps a decision, and then acts on it."""
        self.plan.journal.write_decision(self.decisions, decision)
        self.decisions += 1
        self.ranges.decide(decision)
        self.watch.noted_at = 0.0

    def _keep_ranges(self, planned: Range | None) -> None:
        """Keeps what was planned in a refresh when the watermark leaves it."""
        watermark = self.ranges.watermark
        if watermark is None:
            return
        stands = floor_to(watermark, self.plan.drain.every, self.plan.drain.offset)
        # What is planned now is emitted next: it is of the refresh that begins.
        offsets = {p: one.next for p, one in self.ranges.positions.items()}
        if planned is not None:
            offsets[planned.partition] = planned.start
        if self.refresh is None:
            begin = {p: offset for p, (offset, _) in self.plan.begin.items()}
            self.refresh = (stands, begin)
        refresh, begin = self.refresh
        if stands > refresh:
            pairs = {p: (begin.get(p, to), to) for p, to in offsets.items()}
            self.plan.journal.write_ranges(refresh, pairs)
            self.refresh = (stands, offsets)

    def _mind_drain(self) -> None:
        drain = self.plan.drain
        if self.until != OPEN or not drain.is_requested(self.now()):
            return
        if self.plan.follows:
            self.until = OPEN if (until := read_end(drain.path)) is None else until
            return
        clocks = [one.clock for one in self.ranges.positions.values() if one.clock is not None]
        # A row may lie up to a refresh after its partition's clock.
        reached = floor_to(max(clocks), drain.every, drain.offset) if clocks else None
        self.until = NEVER if reached is None else reached + 2 * drain.every
        ending = self.plan.ending
        if ending is not None and ending.path is not None:
            self.until = self._decide_end(ending, ending.path)

    def _decide_end(self, ending: StreamEnd, path: str) -> int:
        """The end of a stream that is drained, in its file; one that was decided before stands."""
        until = read_end(path)
        if until is None:
            until = max(self.until, 0)  # of a topic without a record, in which nothing was asked
            until = until if ending.until is None else min(until, ending.until)
            write_end(path, until)
        return until

    def _write_end(self) -> None:
        """Writes where the stream ends, if labels have a time, before the watermark passes it."""
        ending = self.plan.ending
        if ending is None or ending.path is None or ending.until is None:
            return
        if read_end(ending.path) is None:
            write_end(ending.path, ending.until)

    def _work_item(self, planned: Range) -> WorkItem:
        return WorkItem(
            partition=planned.partition,
            start=planned.start,
            stop=planned.stop,
            first=first_id(planned.partition) + planned.start,
            rows=planned.stop - planned.start,
            line=planned.start,
            at=NEVER if planned.bound is None else planned.bound,
            until=min(self.until, self.plan.extent.until),
        )

    @override
    def get_current(self) -> WorkItem:
        assert self.current is not None
        return self.current

    @override
    def get_current_timestamp(self) -> Timestamp:
        return beam_time(self.get_current().at)

    @override
    def get_watermark(self) -> Timestamp:
        if self.ended:
            self._write_end()
            return MAX_TIMESTAMP
        watermark = self.ranges.watermark
        return MIN_TIMESTAMP if watermark is None else beam_time(watermark)

    @override
    def get_checkpoint_mark(self) -> CheckpointMark:
        positions = {p: (one.next, one.clock) for p, one in self.ranges.positions.items()}
        return KafkaMark(positions, self.ranges.watermark, self.until, self.refresh)


@dataclass(frozen=True)
class KafkaReader:
    """Reads a range's rows.

    Attributes:
        topic: which.
        begin: rows that are stamped before are left out; None: none are.
        schema: whose columns are read, no others.
        latency: a serve window's length, microseconds: no batch straddles two.
        batch_rows: rows of a batch, at most: whole blocks (``model.blocks``).
        ahead: how far a row's event time may lie after its record's timestamp, microseconds.
        offset: how long behind multiples of ``latency`` serve windows begin, microseconds.
    """

    topic: Topic
    begin: int | None
    schema: Schema
    latency: int
    batch_rows: int
    ahead: int
    offset: int = 0

    def __call__(self, item: WorkItem) -> Iterator[pa.RecordBatch]:
        """The work item's batches."""
        return Extent(self.begin, item.until).within(self._batches(item))

    def _batches(self, item: WorkItem) -> Iterator[pa.RecordBatch]:
        partition, part = item.partition, 0
        where = f"{self.topic.name}/{partition}/"
        line = -first_id(partition)
        found = read_range(self.topic, partition, item.start, item.stop)
        read = reader_of(self.schema, self.topic.config)
        are_labels = isinstance(self.schema, LabelSchema)
        # How many records come at once is chance: batches are cut by their offsets.
        for records in _cut_by_offset(found, self.batch_rows):
            raw = decode(records, partition, self.schema, self.ahead, read)
            undecoded = 0
            if PROBLEM in raw.schema.names:
                undecoded = raw.num_rows - raw.column(PROBLEM).null_count
            last = records[-1]
            if not are_labels:
                STATE.note_read(partition, last.offset + 1, last.time, undecoded)
            batch, stamps = mark_late(raw, [item.at] * raw.num_rows)
            tag = Tag(Key(partition, item.start, part), int(stamps.min()), where, line)
            for piece in split(batch, tag, self.latency, stamps, self.offset):
                yield piece
                part += 1
        if not are_labels:
            STATE.note_read(partition, item.stop)


def _cut_by_offset(found: Iterator[list[Record]], rows: int) -> Iterator[list[Record]]:
    """The same records, in lists that end before each multiple of ``rows`` among the offsets.

    Example:
        >>> read = [[Record(offset, 0, b"") for offset in some] for some in ((1, 2), (4, 7, 8))]
        >>> [[record.offset for record in part] for part in _cut_by_offset(iter(read), 4)]
        [[1, 2], [4, 7], [8]]
    """
    kept: list[Record] = []
    for records in found:
        kept += records
        while kept and kept[-1].offset >= (stop := (kept[0].offset // rows + 1) * rows):
            place = bisect_left(kept, stop, key=attrgetter("offset"))
            yield kept[:place]
            kept = kept[place:]
    if kept:
        yield kept


class KafkaSource(beam.PTransform[PBegin, beam.PCollection[RawBatch]]):
    """A topic as a source of batches.

    Attributes:
        plan: what of it is read.
        reader: what reads a range.
        labels: the source of the labels, if they are a stream of their own.
    """

    def __init__(self, plan: Plan, reader: KafkaReader, labels: KafkaSource | None = None) -> None:
        super().__init__()
        self.plan = plan
        self.reader = reader
        self.labels = labels

    @override
    def expand(self, root: PBegin) -> beam.PCollection[RawBatch]:
        read = ReadInOrderFn(self.reader)
        if self.plan.follows:
            read.counted = "labels read"
        return read_planned(root, KafkaPlanner(self.plan), read, poll=0.05)
