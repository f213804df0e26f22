from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from apache_beam.io.unbounded_source import UnboundedReader
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import ID, LATE, SECOND, TIME, TIME_TYPE, Key, Tag, encode, tag_of, with_tag
from transforms.elements import WorkItem
from transforms.sources.planner import DRAIN_SECONDS, ITEMS_A_BUNDLE, Drain, Planner
from transforms.sources.read import PlannedSource, ReadAheadFn, ReadFn
from transforms.sources.work_items import Extent
from transforms.stamps import beam_time
from transforms.testing import Gather, embedded
from transforms.versions import OtherVersion

stamps = st.lists(st.integers(-(10**15), 10**15), max_size=30).map(sorted)


def item(number: int, at: int) -> WorkItem:
    """A work item of one row."""
    return WorkItem(0, number, 0, number, 0, 0, at)


class Listed:
    """Work items from a list of stamps, each due at a given second."""

    def __init__(self, ats: list[int], dues: list[float] | None = None) -> None:
        self.work = [item(i, at) for i, at in enumerate(ats)]
        self.dues = dues or [0.0] * len(ats)

    def get(self, position: int) -> WorkItem | None:
        return self.work[position] if position < len(self.work) else None

    def due(self, position: int) -> float:
        return self.dues[position]

    def reach(self, position: int) -> int:
        return self.work[position - 1].at + 1 if position else 0

    def before(self, end: int) -> Listed:
        kept = [one._replace(until=min(one.until, end)) for one in self.work if one.at < end]
        shorter = Listed([], self.dues)
        shorter.work = kept
        return shorter


def read(reader: UnboundedReader, most: int | None = None) -> list[WorkItem]:
    """What a reader gives at once, up to so many work items."""
    found: list[WorkItem] = []
    ready = reader.start()
    while ready:
        found.append(reader.get_current())
        if len(found) == most:
            break
        ready = reader.advance()
    return found


def test_the_planner_has_one_split_whatever_is_asked_for() -> None:
    planner = Planner(Listed([1, 2]))
    for wanted in (1, 2, 100):
        assert planner.split(wanted) == [planner]


@given(stamps, st.data())
@settings(deadline=None, max_examples=60)
def test_a_reader_resumed_from_a_checkpoint_gives_just_the_tickets_that_are_left(
    ats: list[int], data: Any
) -> None:
    planner = Planner(Listed(ats))
    coder = planner.get_checkpoint_mark_coder()
    stops = data.draw(st.lists(st.integers(1, 7), max_size=10))
    found: list[WorkItem] = []
    mark = None
    for stop in stops:
        reader = planner.create_reader(None, mark)
        found += read(reader, stop)
        mark = coder.decode(coder.encode(reader.get_checkpoint_mark()))
    found += read(planner.create_reader(None, mark))
    assert found == Listed(ats).work


def test_a_checkpoint_is_twenty_bytes_and_its_coder_deterministic() -> None:
    planner = Planner(Listed([1]))
    coder = planner.get_checkpoint_mark_coder()
    mark = planner.create_reader(None, None).get_checkpoint_mark()
    assert len(coder.encode(mark)) == 20
    assert coder.is_deterministic()


@given(stamps)
@settings(deadline=None, max_examples=60)
def test_the_watermark_is_never_ahead_of_an_unread_ticket_nor_goes_back(ats: list[int]) -> None:
    reader = Planner(Listed(ats)).create_reader(None, None)
    before = reader.get_watermark()
    ready = reader.start()
    for position in range(1, len(ats) + 1):
        assert ready
        now = reader.get_watermark()
        assert before <= now
        assert all(now.micros <= at for at in ats[position:])
        assert before.micros <= reader.get_current_timestamp().micros <= ats[position - 1]
        before, ready = now, reader.advance()
    assert not ready
    assert reader.get_watermark() == MAX_TIMESTAMP


def test_without_any_ticket_time_is_over_at_once() -> None:
    reader = Planner(Listed([])).create_reader(None, None)
    assert reader.get_watermark() == MAX_TIMESTAMP
    assert not reader.start()


def test_a_live_ticket_leaves_when_it_is_due_and_holds_the_watermark_until_then() -> None:
    clock = [100.0]
    items = Listed([100 * SECOND, 102 * SECOND, 103 * SECOND], [101.0, 103.0, 103.5])
    reader = Planner(items, lambda: clock[0]).create_reader(None, None)
    left = []
    ready = reader.start()
    for now in (100.999, 101.0, 102.9, 103.0, 103.4, 104.0):
        clock[0] = now
        ready = reader.advance()
        left.append(reader.get_current().start if ready else None)
        if now < 103.5:
            assert (
                reader.get_watermark().micros == [100, 102, 102, 103, 103][len(left) - 1] * SECOND
            )
    assert left == [None, 0, None, 1, None, 2]
    assert reader.get_watermark() == MAX_TIMESTAMP


@given(st.integers(-(10**16), 10**16))
@settings(deadline=None, max_examples=60)
def test_a_stamp_is_rounded_down_to_whole_milliseconds(at: int) -> None:
    stamp = beam_time(at)
    assert stamp == Timestamp(micros=stamp.micros)
    assert stamp.micros % 1000 == 0 and 0 <= at - stamp.micros < 1000


class Reader:
    """Two batches a work item, a second apart, of one row each."""

    def __call__(self, item: WorkItem) -> Iterator[pa.RecordBatch]:
        for part in (0, 1):
            at = item.at + part * SECOND
            rows = pa.record_batch(
                {
                    ID: pa.array([2 * item.start + part]),
                    TIME: pa.array([at]).cast(TIME_TYPE),
                    LATE: pa.array([False]),
                }
            )
            yield with_tag(rows, Tag(Key(0, item.start, part), at, "here", 0))


def test_a_ticket_that_is_read_twice_gives_the_same_bytes_and_stamps() -> None:
    first, again = (list(ReadFn(Reader()).process(item(3, 7_000_500))) for _ in range(2))
    assert all(isinstance(one, TimestampedValue) for one in first)
    assert [encode(one.value) for one in first] == [encode(one.value) for one in again]
    assert [one.timestamp.micros for one in first] == [7_000_000, 8_000_000]


def test_a_batch_is_stamped_with_its_own_time_and_not_its_tickets() -> None:
    ats = [minute * 60 * SECOND + 999 for minute in range(3 * ITEMS_A_BUNDLE)]
    with embedded() as pipeline:
        seen = pipeline | PlannedSource(Listed(ats), Reader()) | Gather()
    stamps = {one.value.column(ID)[0].as_py(): one.at for one in seen}
    assert len(seen) == len(stamps) == 2 * len(ats)
    assert stamps == {
        2 * i + part: at - 999 + part * SECOND for i, at in enumerate(ats) for part in (0, 1)
    }
    assert {one.window for one in seen} == {None}


class Begun(Reader):
    """A reader that notes which items it was asked for, and which it was asked of."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def __call__(self, item: WorkItem) -> Iterator[pa.RecordBatch]:
        self.log.append(f"begin {item.start}")
        return self._batches(item)

    def _batches(self, item: WorkItem) -> Iterator[pa.RecordBatch]:
        self.log.append(f"read {item.start}")
        yield from super().__call__(item)


def test_a_ticket_goes_out_when_two_behind_it_are_begun_or_its_bundle_ends() -> None:
    reader = Begun()
    read = ReadAheadFn(reader)
    read.start_bundle()
    out = [one for start in (1, 2, 3) for one in read.process(item(start, 0))]
    assert reader.log == ["begin 1", "begin 2", "begin 3", "read 1"]
    ended = list(read.finish_bundle())
    assert reader.log[4:] == ["read 2", "read 3"]
    assert [tag_of(one.value).key.start for one in out] == [1, 1]
    assert [tag_of(one.value).key.start for one in ended] == [2, 2, 3, 3]
    assert list(read.finish_bundle()) == []


def test_what_is_read_ahead_flows_through_beam_as_what_is_not() -> None:
    ats = [minute * 60 * SECOND + 999 for minute in range(3 * ITEMS_A_BUNDLE)]
    found = []
    for ahead in (False, True):
        with embedded() as pipeline:
            seen = pipeline | PlannedSource(Listed(ats), Reader(), ahead=ahead) | Gather()
        found.append(sorted((encode(one.value), one.at, one.window) for one in seen))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("extent", "kept"),
    [
        (Extent(), [0, 10, 20, 30]),
        (Extent(10), [10, 20, 30]),
        (Extent(None, 20), [0, 10]),
        (Extent(10, 30), [10, 20]),
        (Extent(30, 30), []),
    ],
)
def test_an_extent_holds_its_begin_and_not_its_end(extent: Extent, kept: list[int]) -> None:
    rows = pa.record_batch({ID: np.arange(1)})
    batches = [with_tag(rows, Tag(Key(0, at, 0), at, "", 0)) for at in (0, 10, 20, 30)]
    assert [tag_of(batch).at for batch in extent.within(iter(batches))] == kept


def drain(ats: list[int], path: Path, after: int, resumed: bool) -> list[WorkItem]:
    """What a planner gives that is asked to drain after so many work items; refreshes of 10 µs."""
    clock = [1000.0]
    planner = Planner(Listed(ats), lambda: clock[0], Drain(str(path), every=10))
    reader = planner.create_reader(None, None)
    found = read(reader, after) if after else []
    path.write_text("{}")
    clock[0] += 10 * DRAIN_SECONDS
    ready = reader.advance() if after else reader.start()
    while ready:
        found.append(reader.get_current())
        if resumed:  # from a checkpoint, as after a crash
            coder = planner.get_checkpoint_mark_coder()
            mark = coder.decode(coder.encode(reader.get_checkpoint_mark()))
            reader = planner.create_reader(None, mark)
            clock[0] += 10 * DRAIN_SECONDS
            ready = reader.start()
        else:
            ready = reader.advance()
    assert reader.get_watermark() == MAX_TIMESTAMP
    return found


@given(st.lists(st.integers(0, 200), min_size=1, max_size=30, unique=True).map(sorted), st.data())
@settings(deadline=None, max_examples=60)
def test_a_planner_asked_to_drain_ends_with_the_refresh_that_has_begun(
    ats: list[int], data: Any
) -> None:
    after = data.draw(st.integers(0, len(ats)))
    for resumed in (False, True):
        with TemporaryDirectory() as folder:
            found = drain(ats, Path(folder, "drain.json"), after, resumed)
        reach = ats[after - 1] + 1 if after else 0
        end = -(-reach // 10) * 10
        assert [one.at for one in found] == [at for at in ats if at < end]
        assert {one.until for one in found[after:]} <= {end}


def test_a_planner_that_nobody_asks_to_drain_goes_on(tmp_path: Path) -> None:
    planner = Planner(Listed([1, 2]), lambda: 1e9, Drain(str(tmp_path / "drain.json"), 10))
    assert len(read(planner.create_reader(None, None))) == 2


def test_a_planner_of_another_version_is_refused() -> None:
    planner = Planner(Listed([1]))
    planner.__setstate__(planner.__getstate__())
    with pytest.raises(OtherVersion, match="a source of version 7, where 1 is known"):
        planner.__setstate__({**planner.__getstate__(), "version": 7})
