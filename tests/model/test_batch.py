"""Batches: cut at edges, ordered, joined, written as bytes; against plain Python on their rows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import (
    CATEGORY_TYPE,
    ID,
    LATE,
    PROBLEM,
    TIME,
    TIME_TYPE,
    Key,
    Tag,
    accepted_schema,
    column,
    concat,
    decode,
    encode,
    event_times,
    filter_rows,
    late_mask,
    row_ids,
    sort_by_time,
    split,
    tag_of,
    to_plain,
    with_tag,
)
from tests.kit.rows import NOON, RIDES, accept, rides

LEAST = -(2**63)
TAG = Tag(Key(3, 40, 0), 0, "gs://bucket/a,b=ç/rows.csv", 2)
times_of_rows = st.lists(st.none() | st.integers(-300, 300), max_size=40)


def raw(times: list[int | None]) -> pa.RecordBatch:
    rows = len(times)
    return pa.record_batch(
        {
            ID: pa.array(range(rows), pa.int64()),
            TIME: pa.array(times, pa.int64()).cast(TIME_TYPE),
            LATE: pa.array([False] * rows),
        }
    )


@given(times_of_rows, st.integers(1, 120), st.integers(-300, 300), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_no_piece_straddles_an_edge_and_every_row_stays_in_order(
    times: list[int | None], edge: int, at: int, first_part: int
) -> None:
    tag = TAG._replace(at=at, key=TAG.key._replace(part=first_part))
    pieces = list(split(raw(times), tag, edge))
    stamp_of = {row: at if t is None else max(t, at) for row, t in enumerate(times)}
    slots = []
    for piece in pieces:
        rows = piece.column(ID).to_pylist()
        assert rows == sorted(rows) != []
        stamps = [stamp_of[row] for row in rows]
        assert len({s // edge for s in stamps}) == 1
        assert tag_of(piece).at == min(stamps)
        assert event_times(piece).tolist() == [
            LEAST if times[r] is None else times[r] for r in rows
        ]
        slots.append(stamps[0] // edge)
    assert all(a < b for a, b in pairwise(slots))
    assert sorted(r for p in pieces for r in p.column(ID).to_pylist()) == list(range(len(times)))
    tags = [tag_of(piece) for piece in pieces]
    assert [t.key for t in tags] == [Key(3, 40, first_part + i) for i in range(len(pieces))]
    assert {(t.where, t.line) for t in tags} <= {(TAG.where, TAG.line)}


def test_stamps_that_are_given_decide_instead_of_event_times() -> None:
    stamps = np.array([130, 10, 70])
    pieces = list(split(raw([1, 2, None]), TAG, 60, stamps))
    assert [(p.column(ID).to_pylist(), tag_of(p).at) for p in pieces] == [
        ([1], 10),
        ([2], 70),
        ([0], 130),
    ]


def test_a_batch_within_one_slot_is_not_copied() -> None:
    batch = raw([61, 119, 60])
    [piece] = split(batch, TAG, 60)
    assert piece.column(ID).buffers()[1].address == batch.column(ID).buffers()[1].address
    assert tag_of(piece).at == 60


def test_no_row_gives_no_piece() -> None:
    assert list(split(raw([]), TAG, 60)) == []


def test_a_tag_comes_back_whole() -> None:
    for tag in (TAG, Tag(Key(-1, -(2**62), 2**40), -5, "", -3)):
        assert tag_of(with_tag(raw([1]), tag)) == tag


def test_a_batch_without_a_tag_is_refused() -> None:
    for batch in (raw([1]), raw([1]).replace_schema_metadata({"other": "x"})):
        with pytest.raises(ValueError, match="without a tag"):
            tag_of(batch)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1000)), unique_by=lambda r: r[1]))
@settings(max_examples=80, deadline=None)
def test_by_time_orders_by_event_time_then_row_id(rows: list[tuple[int, int]]) -> None:
    batch = accept(
        RIDES,
        {"y": [float(i) for _, i in rows], "x": [0.0] * len(rows), "z": [0.0] * len(rows)}
        | {"c": [str(i) for _, i in rows]},
        ids=[i for _, i in rows],
        times=[t for t, _ in rows],
    )
    ordered = sort_by_time(batch)
    assert list(
        zip(event_times(ordered).tolist(), row_ids(ordered).tolist(), strict=True)
    ) == sorted(rows)
    assert column(ordered, "y").tolist() == [float(i) for _, i in sorted(rows)]
    assert ordered.column("c").to_pylist() == [str(i) for _, i in sorted(rows)]


def test_rows_in_order_are_not_copied() -> None:
    batch = rides(10)
    assert sort_by_time(batch) is batch


@given(st.lists(st.sampled_from(["a", "b", "ç", "", None]), max_size=20), st.data())
@settings(max_examples=60, deadline=None)
def test_a_batch_or_a_slice_of_it_comes_back_from_bytes(
    values: list[str | None], data: st.DataObject
) -> None:
    rows = len(values)
    numbers = [float("nan") if v is None else len(v) / 3 for v in values]
    batch = accept(RIDES, {"y": numbers, "x": numbers, "z": numbers, "c": values})
    low = data.draw(st.integers(0, rows))
    part = with_tag(batch.slice(low, data.draw(st.integers(0, rows - low))), TAG)
    back = decode(encode(part))
    assert back.schema.equals(part.schema, check_metadata=True)
    assert tag_of(back) == TAG
    assert back.column("c").to_pylist() == part.column("c").to_pylist()
    assert column(back, "y").tobytes() == column(part, "y").tobytes()
    assert row_ids(back).tolist() == list(range(low, low + part.num_rows))


def test_bytes_of_a_slice_hold_its_rows_alone() -> None:
    batch = rides(100_000)
    assert len(encode(batch.slice(50_000, 100))) < len(encode(batch)) / 100


def test_concat_unites_different_dictionaries_and_keeps_the_first_metadata() -> None:
    parts: list[list[str | None]] = [["a", None], ["b", "a"], [], ["c"], [None]]
    batches = [
        with_tag(
            accept(RIDES, {n: [float(i)] * len(c) for n in ("y", "x", "z")} | {"c": c}),
            TAG._replace(line=i),
        )
        for i, c in enumerate(parts)
    ]
    whole = concat(batches)
    assert whole.column("c").to_pylist() == ["a", None, "b", "a", "c", None]
    assert whole.column("c").type == CATEGORY_TYPE
    assert column(whole, "x").tolist() == [0, 0, 1, 1, 3, 4]
    assert tag_of(whole).line == 0
    assert whole.schema.equals(accepted_schema(RIDES))


def test_concat_of_batches_without_rows_has_none() -> None:
    empty = rides(0)
    whole = concat([with_tag(empty, TAG), empty])
    assert (whole.num_rows, tag_of(whole)) == (0, TAG)
    assert whole.schema.equals(empty.schema)


def test_concat_of_one_is_that_one_and_of_none_is_refused() -> None:
    batch = rides(3)
    assert concat([batch]) is batch
    with pytest.raises(ValueError, match="no batch"):
        concat([])


def test_columns_are_read_without_a_copy_and_null_times_are_the_least_number() -> None:
    batch = rides(4)
    assert np.shares_memory(column(batch, "x"), column(batch, "x"))
    assert event_times(batch).tolist() == [NOON + i * 1_000_000 for i in range(4)]
    assert event_times(raw([5, None])).tolist() == [5, LEAST]
    marks = pa.record_batch({LATE: pa.array([True, False, True])})
    assert late_mask(marks).tolist() == [True, False, True]


def test_where_keeps_the_rows_of_a_mask_and_the_batch_itself_if_all_stay() -> None:
    batch = rides(3)
    assert filter_rows(batch, np.array([True] * 3)) is batch
    assert row_ids(filter_rows(batch, np.array([True, False, True]))).tolist() == [0, 2]
    assert filter_rows(batch, np.array([False] * 3)).num_rows == 0


def test_values_are_reported_as_plain_python_with_times_in_iso() -> None:
    times = pa.array([0, None, 1_500_000], pa.int64()).cast(TIME_TYPE)
    assert to_plain(times) == [
        "1970-01-01T00:00:00.000000Z",
        None,
        "1970-01-01T00:00:01.500000Z",
    ]
    assert to_plain(pa.array(["a", None]).dictionary_encode()) == ["a", None]
    assert to_plain(pa.array([1.5])) == [1.5]


def test_an_accepted_schema_has_no_nulls_but_in_categories() -> None:
    fields = {f.name: (f.type, f.nullable) for f in accepted_schema(RIDES)}
    assert fields == {
        ID: (pa.int64(), False),
        TIME: (TIME_TYPE, False),
        LATE: (pa.bool_(), False),
        "y": (pa.float64(), False),
        "x": (pa.float64(), False),
        "z": (pa.float64(), False),
        "c": (CATEGORY_TYPE, True),
    }
    assert PROBLEM not in fields
