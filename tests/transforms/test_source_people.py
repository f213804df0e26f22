from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import ID, SECOND, encode, event_times, late_mask, row_ids, tag_of
from model.people import SCHEMA, People
from transforms.elements import WorkItem
from transforms.sources.people import PeopleReader, PeopleWork, live_rows
from transforms.sources.read import PlannedSource
from transforms.sources.work_items import Extent
from transforms.testing import Gather, embedded

MINUTE = 60 * SECOND
START = 1_767_225_600 * SECOND


def people(rate: float = 5, disorder: int = 0) -> People:
    return People("learnable", 42, rate, START, disorder)


def all_items(work: PeopleWork) -> list[WorkItem]:
    """All items of a plan that ends."""
    found: list[WorkItem] = []
    while (item := work.get(len(found))) is not None:
        found.append(item)
    return found


def source(
    table: People, extent: Extent, batch_rows: int, latency: int = MINUTE
) -> tuple[PeopleWork, PeopleReader]:
    return PeopleWork(table, extent, batch_rows), PeopleReader(table, extent.begin, SCHEMA, latency)


def rows_read(table: People, extent: Extent, batch_rows: int) -> list[pa.RecordBatch]:
    work, reader = source(table, extent, batch_rows)
    return [batch for item in all_items(work) for batch in reader(item)]


@given(
    st.sampled_from([5, 64, 1000]),
    st.sampled_from([0.3, 5.0, 7.7]),
    st.sampled_from([0, 1, 3]),
    st.integers(1, 4),
    st.integers(0, 90),
)
@settings(deadline=None, max_examples=20)
def test_each_row_that_counts_within_the_extent_is_read_once_whatever_the_batch(
    batch_rows: int, rate: float, begin: int, length: int, disorder: int
) -> None:
    table = people(rate, disorder * SECOND)
    start, end = START + begin * MINUTE, START + (begin + length) * MINUTE
    extent = Extent(start, end)
    everyone, stamps = table.arrivals(0, int(rate * 60 * 16) + 10, SCHEMA.columns)
    inside = (stamps >= start) & (stamps < end)
    found = rows_read(table, extent, batch_rows)
    expected = everyone.filter(pa.array(inside)).to_pylist()
    result = sorted((row for batch in found for row in batch.to_pylist()), key=lambda r: r[ID])
    assert result == expected


@given(st.integers(3, 50), st.integers(0, 40), st.sampled_from([10, 30, 60]))
@settings(deadline=None, max_examples=15)
def test_no_batch_is_stamped_before_its_ticket_nor_straddles_a_serve_window(
    batch_rows: int, disorder: int, latency: int
) -> None:
    table = people(5, disorder * SECOND)
    work, reader = source(table, Extent(START, START + 3 * MINUTE), batch_rows, latency * SECOND)
    plan = all_items(work)
    assert [t.at for t in plan] == sorted(t.at for t in plan)
    for item in plan:
        for batch in reader(item):
            at = tag_of(batch).at
            on_time = event_times(batch)[~late_mask(batch)]
            assert at >= item.at
            assert {t // (latency * SECOND) for t in on_time} <= {at // (latency * SECOND)}
            assert on_time.min(initial=at) >= at


def test_a_ticket_gives_the_same_bytes_on_every_retry() -> None:
    work, reader = source(people(), Extent(START, START + 5 * MINUTE), 333)
    again = source(people(), Extent(START, START + 5 * MINUTE), 333)[1]
    for item in all_items(work):
        assert [encode(b) for b in reader(item)] == [encode(b) for b in again(item)]


def test_batch_keys_are_all_different() -> None:
    keys = [tag_of(b).key for b in rows_read(people(), Extent(START, START + 9 * MINUTE), 333)]
    assert len(keys) == len(set(keys)) > 9


def test_with_disorder_some_rows_are_late_and_count_where_the_watermark_stands() -> None:
    table = people(20, 10 * SECOND)
    found = rows_read(table, Extent(START, START + 10 * MINUTE), 1000)
    tardy = {i for b in found for i in row_ids(b)[late_mask(b)].tolist()}
    assert 20 < len(tardy) < 12_000 * 0.02
    for batch in found:
        for row, time, is_late in zip(
            row_ids(batch), event_times(batch), late_mask(batch), strict=True
        ):
            watermark = table.time(int(row)) - 10 * SECOND
            assert is_late == (time < watermark)


def test_a_plan_without_an_end_goes_on() -> None:
    work = PeopleWork(people(), Extent(), 10)
    item = work.get(10**9)
    assert item is not None and item.start == 10**10


def test_a_live_ticket_is_due_when_its_last_row_exists_and_a_replayed_one_at_once() -> None:
    table = people(rate=5)
    extent = Extent(START, START + MINUTE)
    live = PeopleWork(table, extent, 1, live=True)
    assert [live.due(i) for i in range(3)] == [START / SECOND + s for s in (0.2, 0.4, 0.6)]
    assert PeopleWork(table, extent, 1).due(2) == 0.0
    assert live.due(10**6) == 0.0


@pytest.mark.parametrize(
    ("rate", "batch_rows", "rows"), [(250, 10_000, 50), (1, 10_000, 1), (1e6, 10_000, 10_000)]
)
def test_a_live_batch_has_the_rows_of_200_ms(rate: float, batch_rows: int, rows: int) -> None:
    assert live_rows(rate, batch_rows, MINUTE) == rows
    assert live_rows(1_000, 500, 100_000) == 100


def test_people_flow_through_beam_whole() -> None:
    extent = Extent(START, START + 3 * MINUTE)
    work, reader = source(people(), extent, 70)
    with embedded() as pipeline:
        seen = pipeline | PlannedSource(work, reader) | Gather()
    assert sorted(i for one in seen for i in row_ids(one.value).tolist()) == list(range(900))
    assert all(one.at == tag_of(one.value).at // 1000 * 1000 for one in seen)


def test_only_the_columns_of_the_schema_are_made() -> None:
    [batch, *_] = rows_read(people(), Extent(START, START + MINUTE), 100)
    assert set(batch.schema.names) == {"__id", "__time", "__late", *SCHEMA.columns}
