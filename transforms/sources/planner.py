"""The planner: one unbounded source of tickets, a few bytes each, that holds the watermark.

A ticket says which rows a batch is made of. One planner with one split emits them in the
order of their least stamps; a Reshuffle spreads them over the workers, and ``Read`` turns
each into its batches, the same bytes on every retry. (Several splits of one source fire
windows early on some runners, since a slower one does not hold the watermark there.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    ReadFromUnboundedSource,
    UnboundedReader,
    UnboundedSource,
)
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from typing_extensions import override

from model.batch import tag_of
from transforms.tally import count, note

TICKETS_A_BUNDLE = 100
"""A bundle of the planner ends after so many tickets, or a second: the watermark moves only
between bundles, and what waits for it waits in memory."""


class Ticket(NamedTuple):
    """Which rows a source's next batches are made of.

    Attributes:
        partition, start, stop: what the source reads (its own units).
        first: the id of the first row.
        rows: how many there are.
        line: where the first row stands, from 1.
        at: no row of it is stamped before; microseconds.
    """

    partition: int
    start: int
    stop: int
    first: int
    rows: int
    line: int
    at: int


class Extent(NamedTuple):
    """Which part of event time is read: from begin to before end, microseconds; None is open.

    Both are edges of serve windows, which no batch straddles.
    """

    begin: int | None = None
    end: int | None = None

    def within(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches that are stamped within."""
        for batch in batches:
            at = tag_of(batch).at
            if (self.begin is None or at >= self.begin) and (self.end is None or at < self.end):
                yield batch


class Tickets(Protocol):
    """What a source plans: tickets by position, in the order of their ``at``."""

    def get(self, position: int) -> Ticket | None:
        """The ticket at a position (from 0); None at the end."""

    def due(self, position: int) -> float:
        """When the ticket at a position may leave, in seconds since the epoch; 0 at once."""


class Reader(Protocol):
    """What turns a ticket into tagged raw batches, none straddling a serve window."""

    def __call__(self, ticket: Ticket) -> Iterator[pa.RecordBatch]: ...


class Mark(CheckpointMark):
    """A planner's checkpoint: how many tickets have left."""

    def __init__(self, count: int) -> None:
        self.count = count


def beam_time(micros: int) -> Timestamp:
    """A stamp as Beam has it: whole milliseconds, rounded down.

    Finer ones are cut off between the SDK and a runner, which must not put an element behind
    the watermark.
    """
    return Timestamp(micros=micros // 1000 * 1000)


class Planner(UnboundedSource):
    """The unbounded source of a plan's tickets: one split, checkpointed by position."""

    def __init__(self, tickets: Tickets, clock: Callable[[], float] = time.time) -> None:
        self.tickets = tickets
        self.clock = clock

    @override
    def split(self, desired_num_splits: int, options: Any = None) -> list[UnboundedSource]:
        return [self]

    @override
    def create_reader(
        self, options: Any, checkpoint_mark: CheckpointMark | None
    ) -> UnboundedReader:
        position = checkpoint_mark.count if isinstance(checkpoint_mark, Mark) else 0
        return PlannerReader(self.tickets, position, self.clock)

    @override
    def get_checkpoint_mark_coder(self) -> Coder:
        return MarkCoder()


class PlannerReader(UnboundedReader):
    """Emits the tickets that are due; its watermark is the stamp of the next one."""

    def __init__(self, tickets: Tickets, position: int, clock: Callable[[], float]) -> None:
        self.tickets = tickets
        self.clock = clock
        self.next = position
        self.current: Ticket | None = None

    @override
    def start(self) -> bool:
        return self.advance()

    @override
    def advance(self) -> bool:
        ticket = self.tickets.get(self.next)
        if ticket is None or self.tickets.due(self.next) > self.clock():
            return False
        self.current = ticket
        self.next += 1
        return True

    @override
    def get_current(self) -> Ticket:
        assert self.current is not None
        return self.current

    @override
    def get_current_timestamp(self) -> Timestamp:
        return beam_time(self.get_current().at)

    @override
    def get_watermark(self) -> Timestamp:
        following = self.tickets.get(self.next)
        return MAX_TIMESTAMP if following is None else beam_time(following.at)

    @override
    def get_checkpoint_mark(self) -> CheckpointMark:
        return Mark(self.next)


class MarkCoder(Coder):
    """A planner's checkpoint as eight bytes."""

    def encode(self, value: Mark) -> bytes:
        return value.count.to_bytes(8, "big")

    def decode(self, encoded: bytes) -> Mark:
        return Mark(int.from_bytes(encoded, "big"))

    def is_deterministic(self) -> bool:
        return True


class Read(beam.DoFn):
    """Turns a ticket into its raw batches, each stamped with its own least stamp."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def process(self, ticket: Ticket) -> Iterator[Any]:
        for batch in self.reader(ticket):
            count("rows read", batch.num_rows)
            note("watermark", ticket.at)
            yield TimestampedValue(batch, beam_time(tag_of(batch).at))


class ReadTickets(beam.PTransform[Any, Any]):
    """A source: plans tickets, spreads them, reads them into batches.

    Attributes:
        tickets: the plan.
        reader: what reads a ticket.
        poll: seconds until a planner that had no ticket due looks again.
    """

    def __init__(self, tickets: Tickets, reader: Reader, poll: float = 0.1) -> None:
        super().__init__()
        self.tickets = tickets
        self.reader = reader
        self.poll = poll

    def expand(self, root: Any) -> Any:
        return (
            root
            | "Plan"
            >> ReadFromUnboundedSource(
                Planner(self.tickets),
                poll_interval=self.poll,
                max_records_per_bundle=TICKETS_A_BUNDLE,
                max_read_time_seconds=1,
            )
            | "Ticket" >> beam.Map(lambda ticket: ticket).with_output_types(Ticket)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(Read(self.reader)).with_output_types(pa.RecordBatch)
        )
