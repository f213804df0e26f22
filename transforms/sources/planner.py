"""The planner: one unbounded source of tickets, a few bytes each, that holds the watermark.

A ticket says which rows a batch is made of. One planner with one split emits them in the
order of their least stamps; a Reshuffle spreads them over the workers, and ``Read`` turns
each into its batches, the same bytes on every retry. (Several splits of one source fire
windows early on some runners, since a slower one does not hold the watermark there.)
"""

from __future__ import annotations

import struct
import time
from collections import deque
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
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Duration, Timestamp
from apache_beam.utils.windowed_value import WindowedValue
from typing_extensions import override

from model import files
from model.asof import floor_to
from model.batch import tag_of
from model.ending import StreamEnd, read_end, write_end
from transforms.tally import count, note

TICKETS_A_BUNDLE = 100
"""A bundle of the planner ends after so many tickets, or a second: the watermark moves only
between bundles, and what waits for it waits in memory."""


AHEAD = 2
"""So many tickets are begun to be read before their turn: to decode a row group's beginning
may take longer than what is done with the one before."""
OPEN = 2**63 - 1
"""The end of an extent that has none, as a ticket has it."""
DRAIN_SECONDS = 1.0
"""A planner looks so often whether it is asked to drain."""
_looked: dict[str, float] = {}


class Ticket(NamedTuple):
    """Which rows a source's next batches are made of.

    Attributes:
        partition, start, stop: what the source reads (its own units).
        first: the id of the first row.
        rows: how many there are.
        line: where the first row stands, from 1.
        at: no row of it is stamped before; microseconds.
        until: rows that are stamped from here on are left out; microseconds.
    """

    partition: int
    start: int
    stop: int
    first: int
    rows: int
    line: int
    at: int
    until: int = OPEN


class Extent(NamedTuple):
    """Which part of event time is read: from begin to before end, microseconds; None is open.

    Both are edges of serve windows, which no batch straddles.
    """

    begin: int | None = None
    end: int | None = None

    @property
    def until(self) -> int:
        """The end as a ticket has it."""
        return OPEN if self.end is None else self.end

    def before(self, end: int) -> Extent:
        """The part of it before a time."""
        return Extent(self.begin, min(self.until, end))

    def within(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches that are stamped within."""
        if self.begin is None and self.until == OPEN:
            yield from batches
            return
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

    def reach(self, position: int) -> int:
        """All rows of the tickets before a position are stamped before; microseconds."""

    def before(self, end: int) -> Tickets:
        """The same tickets, by position, without the rows that are stamped from ``end`` on."""


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

    def refresh_of(self, time: int) -> int:
        """The start of the refresh in which a time lies."""
        return floor_to(time, self.every, self.offset)

    def asked(self, now: float) -> bool:
        """Whether the file is there; it is looked for once in ``DRAIN_SECONDS``.

        A reader may live shorter than that, so this is known to the process.
        """
        if now >= _looked.get(self.path, 0.0) + DRAIN_SECONDS:
            _looked[self.path] = now
            return files.exists(self.path)
        return False


class Reader(Protocol):
    """What turns a ticket into tagged raw batches, none straddling a serve window."""

    def __call__(self, ticket: Ticket) -> Iterator[pa.RecordBatch]: ...


class Mark(CheckpointMark):
    """A planner's checkpoint.

    Attributes:
        count: how many tickets have left.
        until: where it ends since it was asked to drain; ``OPEN`` if it was not.
    """

    def __init__(self, count: int, until: int = OPEN) -> None:
        self.count = count
        self.until = until


def beam_time(micros: int) -> Timestamp:
    """A stamp as Beam has it: whole milliseconds, rounded down.

    Finer ones are cut off between the SDK and a runner, which must not put an element behind
    the watermark.
    """
    return Timestamp(micros=micros // 1000 * 1000)


def last_time(window: Any) -> Timestamp:
    """A window's last millisecond.

    Beam stamps what it groups with the last microsecond, which its coders round into the next
    window if that is before 1970.
    """
    return window.end - Duration(micros=1000)


class Planner(UnboundedSource):
    """The unbounded source of a plan's tickets: one split, checkpointed by position.

    Beam keeps it, pickled, in a savepoint, beside its checkpoint.
    """

    version = 1
    ending: StreamEnd | None = None

    def __init__(
        self,
        tickets: Tickets,
        clock: Callable[[], float] = time.time,
        drain: Drain | None = None,
        ending: StreamEnd | None = None,
    ) -> None:
        self.tickets = tickets
        self.clock = clock
        self.drain = drain
        if ending is not None:  # else it is pickled as ever
            self.ending = ending

    def __getstate__(self) -> dict[str, Any]:
        return {"version": self.version, **self.__dict__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from transforms.coders import OtherVersion  # here, since that module imports this one

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
        return PlannerReader(self.tickets, mark, self.clock, self.drain, self.ending)

    @override
    def get_checkpoint_mark_coder(self) -> Coder:
        return MarkCoder()


class PlannerReader(UnboundedReader):
    """Emits the tickets that are due; its watermark is the stamp of the next one.

    Asked to drain, it goes on to the end of the refresh that has begun, and ends there. Where
    labels have a time, the end is written (``model.ending``) before the watermark passes it.
    """

    def __init__(
        self,
        tickets: Tickets,
        mark: Mark,
        clock: Callable[[], float],
        drain: Drain | None = None,
        ending: StreamEnd | None = None,
    ) -> None:
        self.tickets = tickets if mark.until == OPEN else tickets.before(mark.until)
        self.until = mark.until
        self.clock = clock
        self.drain = drain
        self.ending = ending
        self.next = mark.count
        self.current: Ticket | None = None
        self.written = False

    @override
    def start(self) -> bool:
        return self.advance()

    @override
    def advance(self) -> bool:
        self._mind_drain()
        ticket = self.tickets.get(self.next)
        if ticket is None or self.tickets.due(self.next) > self.clock():
            return False
        self.current = ticket
        self.next += 1
        return True

    def _mind_drain(self) -> None:
        if self.until == OPEN and self.drain is not None and self.drain.asked(self.clock()):
            reached = self.drain.refresh_of(self.tickets.reach(self.next) - 1)
            self.until = reached + self.drain.every
            if self.ending is not None:
                self.until = self._decide_end(self.ending, self.drain)
            self.tickets = self.tickets.before(self.until)

    def _decide_end(self, ending: StreamEnd, drain: Drain) -> int:
        """The end of a stream that is drained, in its file; one that was decided before stands.

        The watermark may have passed refreshes without a row, up to the next ticket's stamp.
        """
        assert ending.path is not None
        until = read_end(ending.path)
        if until is None:
            following = self.tickets.get(self.next)
            passed = self.until if following is None else drain.refresh_of(following.at)
            until = max(self.until, passed)
            if ending.until is not None:
                until = min(until, ending.until)
            write_end(ending.path, until)
        return until

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
    """A planner's checkpoint as two numbers, behind their version (``transforms.coders``)."""

    head = b"CzC\x01"
    layout = struct.Struct(">2q")

    def encode(self, value: Mark) -> bytes:
        return self.head + self.layout.pack(value.count, value.until)

    def decode(self, encoded: bytes) -> Mark:
        from transforms.coders import behind  # here, since that module imports this one

        return Mark(*self.layout.unpack(behind(self.head, encoded)))

    def is_deterministic(self) -> bool:
        return True


class Read(beam.DoFn):
    """Turns a ticket into its raw batches, each stamped with its own least stamp."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def process(self, ticket: Ticket) -> Iterator[Any]:
        return self.stamped(ticket, self.reader(ticket))

    def stamped(self, ticket: Ticket, batches: Iterator[pa.RecordBatch]) -> Iterator[Any]:
        """A ticket's batches, counted."""
        for batch in batches:
            count("rows read", batch.num_rows)
            note("watermark", ticket.at)
            yield TimestampedValue(batch, beam_time(tag_of(batch).at))


class ReadAhead(Read):
    """As ``Read``, for a reader that begins to read when it is asked: some tickets ahead.

    A ticket's batches go out when ``AHEAD`` more of its bundle have come, or its bundle ends: so
    they wait for that, which a live source's must not.
    """

    def start_bundle(self) -> None:
        self.begun: deque[tuple[Ticket, Iterator[pa.RecordBatch]]] = deque()

    def process(self, ticket: Ticket) -> Iterator[Any]:
        self.begun.append((ticket, self.reader(ticket)))
        if len(self.begun) > AHEAD:
            yield from self.stamped(*self.begun.popleft())

    def finish_bundle(self) -> Iterator[Any]:
        while self.begun:
            for one in self.stamped(*self.begun.popleft()):
                yield WindowedValue(one.value, one.timestamp, (GlobalWindow(),))


class ReadTickets(beam.PTransform[Any, Any]):
    """A source: plans tickets, spreads them, reads them into batches.

    Attributes:
        tickets: the plan.
        reader: what reads a ticket.
        poll: seconds until a planner that had no ticket due looks again.
        drain: how it is asked to end early; None: it is not.
        claims: what can read its rows again (``transforms.handover.Claims``); None: nothing.
        ahead: whether it is read some tickets ahead (``ReadAhead``): not if it is live.
        ending: where it ends, and the file that says so; None: labels have no time.
    """

    def __init__(
        self,
        tickets: Tickets,
        reader: Reader,
        poll: float = 0.1,
        drain: Drain | None = None,
        claims: Any = None,
        ahead: bool = False,
        ending: StreamEnd | None = None,
    ) -> None:
        super().__init__()
        self.ending = ending
        self.ahead = ahead
        self.claims = claims
        self.tickets = tickets
        self.reader = reader
        self.poll = poll
        self.drain = drain

    def expand(self, root: Any) -> Any:
        read = ReadAhead(self.reader) if self.ahead else Read(self.reader)
        return (
            root
            | "Plan"
            >> ReadFromUnboundedSource(
                Planner(self.tickets, drain=self.drain, ending=self.ending),
                poll_interval=self.poll,
                max_records_per_bundle=TICKETS_A_BUNDLE,
                max_read_time_seconds=1,
            )
            | "Ticket" >> beam.Map(lambda ticket: ticket).with_output_types(Ticket)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(read).with_output_types(pa.RecordBatch)
        )
