from __future__ import annotations

import time
from typing import Any, NamedTuple

import apache_beam as beam
import pytest
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import ID, PROBLEM, SECOND, TIME, event_times, tag_of
from tests.kit.streams import MINUTE, SCHEMA, row, stream
from transforms.sources.rows import FromRows, MakeBatchesFn, as_dict, row_id
from transforms.testing import Gather, embedded


class Named(NamedTuple):
    t: float
    y: float
    x: float
    z: float
    c: str


def make_batches(rows: list[Any], stamps: list[float] | None = None, **arguments: Any) -> list[Any]:
    """What ``FromRows`` makes of rows, stamped or not, in the order of batch stamps."""
    with embedded() as pipeline:
        created = pipeline | beam.Create(list(enumerate(rows)), reshuffle=False)
        if stamps is None:
            flow = created | beam.Map(lambda pair: pair[1])
        else:
            flow = created | beam.Map(lambda pair: TimestampedValue(pair[1], stamps[pair[0]]))
        seen = flow | FromRows(SCHEMA, MINUTE, **arguments) | Gather()
    return sorted(seen, key=lambda one: one.at)


def values_of(seen: list[Any], name: str) -> list[Any]:
    return [value for one in seen for value in one.value[name].to_pylist()]


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_each_row_is_in_one_batch_that_is_stamped_with_its_least_time(batch_rows: int) -> None:
    rows = stream(60, 300, shuffled=True)
    seen = make_batches(rows, batch_rows=batch_rows)
    key = lambda r: repr(sorted(r.items()))  # noqa: E731
    columns = [values_of(seen, name) for name in ("t", "y", "x", "z", "c")]
    found = [dict(zip("tyxzc", values, strict=True)) for values in zip(*columns, strict=True)]
    wanted = [{**r, "z": 7.0} for r in rows]
    assert sorted(map(key, found)) == sorted(map(key, wanted))
    for one in seen:
        times = event_times(one.value)
        assert one.at == tag_of(one.value).at == times.min()
        assert one.window is None
        assert len(set(times // MINUTE)) == 1
        assert one.value.num_rows <= batch_rows


def test_dicts_beam_rows_and_named_tuples_give_the_same_rows() -> None:
    values: dict[str, Any] = {"t": 1.0, "y": 2.0, "x": 3.0, "z": 4.0, "c": "a"}
    kinds = [values, beam.Row(**values), Named(**values)]
    assert [as_dict(kind) for kind in kinds] == [values] * 3
    found = [make_batches([kind])[0].value for kind in kinds]
    assert found[0].equals(found[1]) and found[1].equals(found[2])


def test_a_beam_timestamp_is_a_time() -> None:
    rest = {"y": 2.0, "x": 3.0, "z": 4.0, "c": "a"}
    [one] = make_batches([{"t": Timestamp(1_704_067_200.25), **rest}])
    assert event_times(one.value).tolist() == [1_704_067_200_250_000]
    [one] = make_batches([{"t": MIN_TIMESTAMP, **rest}])
    assert PROBLEM in one.value.schema.names


def test_something_else_than_a_row_is_refused_by_its_type() -> None:
    with pytest.raises(TypeError, match=r"a row is a list; must be a dict, beam\.Row"):
        as_dict([1, 2])


def test_a_row_has_the_same_id_on_every_retry_and_another_row_another() -> None:
    rows = stream(200, 300)
    first = [row_id(r) for r in rows]
    assert first == [row_id(dict(reversed(r.items()))) for r in rows]
    assert all(0 <= i < 2**63 for i in first)
    assert len(set(first)) == len({repr(r) for r in rows})


def test_a_column_may_name_the_rows() -> None:
    rows = [{**row(t), "number": 90 - t} for t in (0, 5)]
    seen = make_batches(rows, id_column="number")
    assert values_of(seen, ID) == [90, 85]
    assert tag_of(seen[0].value).key == (0, 85, 0)


def test_a_row_behind_its_stamp_is_late_and_counts_where_it_is_stamped() -> None:
    seen = make_batches([row(10), row(70), row(5)], stamps=[10, 70, 65])
    assert [(one.at // SECOND, one.value["t"].to_pylist()) for one in seen] == [
        (10, [10.0]),
        (65, [70.0, 5.0]),
    ]
    assert values_of(seen, "__late") == [False, False, True]


def test_a_row_without_a_time_counts_where_it_is_stamped_or_with_the_first_that_has_one() -> None:
    [one] = make_batches([row("soon"), row(10)], stamps=[20, 10])  # type: ignore[arg-type]
    assert one.at == 10 * SECOND and values_of([one], "__time").count(None) == 1
    [one] = make_batches([row("soon"), row(130)])  # type: ignore[arg-type]
    assert one.at == 130 * SECOND
    [one] = make_batches([row("soon")])  # type: ignore[arg-type]
    assert one.at == 0


def test_no_row_gives_no_batch() -> None:
    assert make_batches([]) == []


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=30), st.integers(1, 9))
@settings(deadline=None, max_examples=30)
def test_the_same_bundle_gives_the_same_batches(times: list[int], batch_rows: int) -> None:
    def run() -> list[Any]:
        fn = MakeBatchesFn(SCHEMA, MINUTE, None, batch_rows)
        fn.start_bundle()
        stamp = beam.utils.timestamp.MIN_TIMESTAMP
        found: list[Any] = [out for t in times for out in fn.process(row(t), stamp)]
        return [out.value for out in [*found, *fn.finish_bundle()]]

    first, again = run(), run()
    assert all(a.equals(b, check_metadata=True) for a, b in zip(first, again, strict=True))
    assert sorted(t for b in first for t in b["t"].to_pylist()) == sorted(times)


def test_a_row_without_a_usable_id_takes_the_hash_of_its_content() -> None:
    rows = [
        {**row(1), "number": 5},
        row(2),
        {**row(3), "number": "six"},
        {**row(4), "number": 2**63},
    ]
    seen = make_batches(rows, id_column="number")
    assert sorted(values_of(seen, ID)) == sorted([5, *map(row_id, rows[1:])])


YEAR_9999 = 253_402_214_400.0


@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize("batch_rows", [1, 1000])
def test_a_row_of_the_year_9999_is_rejected_where_its_neighbours_stand(
    stamped: bool, batch_rows: int
) -> None:
    rows = [row(1.0), row(YEAR_9999), row(2.0)]
    stamps = [r["t"] for r in rows] if stamped else None
    latest = 100 * SECOND
    seen = make_batches(rows, stamps, batch_rows=batch_rows, latest=latest)
    marked = [one for one in seen if PROBLEM in one.value.schema.names]
    [problem] = [found for found in values_of(marked, PROBLEM) if found is not None]
    assert problem == (
        "column 't' (the time): 253402214400.0: must be a time until "
        "1970-01-01T00:01:40Z (--latest)"
    )
    assert all(tag_of(one.value).at <= latest for one in seen)
    if batch_rows > 1:
        assert [tag_of(one.value).at for one in seen] == [SECOND]
    assert sorted(values_of(seen, TIME), key=str)[-1] is None


def test_rows_that_end_may_be_a_day_ahead_and_rows_that_do_not_may_be_of_any_time() -> None:
    assert PROBLEM in make_batches([row(YEAR_9999), row(1.0)])[0].value.schema.names
    now = time.time()
    assert PROBLEM not in make_batches([row(now), row(now + 86_400)])[0].value.schema.names
    with embedded() as pipeline:
        flow = pipeline | beam.Create([row(YEAR_9999)])
        flow.is_bounded = False
        seen = flow | FromRows(SCHEMA, MINUTE) | Gather()
    [one] = seen
    assert PROBLEM not in one.value.schema.names
