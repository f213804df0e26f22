from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import ID, SECOND, encode, event_times, late_mask, tag_of
from reading import Plan, plan
from tests.kit.streams import MINUTE, SCHEMA, stream
from transforms.elements import WorkItem
from transforms.sources.files import FileReader, FileWork
from transforms.sources.read import PlannedSource
from transforms.sources.work_items import Extent
from transforms.testing import Gather, embedded


def write_files(folder: Path, form: str, rows: list[dict[str, Any]], pieces: int = 3) -> str:
    """Writes rows into some files, in their order; returns their glob."""
    frame = pd.DataFrame(rows)
    size = -(-len(rows) // pieces)
    for i in range(pieces):
        part, path = frame[i * size : (i + 1) * size], folder / f"part{i}.{form}"
        if form == "csv":
            part.to_csv(path, index=False)
        elif form == "ndjson":
            part.to_json(path, orient="records", lines=True)
        else:
            pq.write_table(pa.Table.from_pandas(part), path, row_group_size=9)
    return str(folder / f"*.{form}")


def all_items(work: FileWork) -> list[WorkItem]:
    """All items of a plan."""
    found: list[WorkItem] = []
    while (item := work.get(len(found))) is not None:
        found.append(item)
    return found


def source(files: Plan, extent: Extent, batch_rows: int) -> tuple[FileWork, FileReader]:
    return FileWork(files, extent), FileReader(files, extent.begin, SCHEMA, MINUTE, batch_rows)


def times_by_id(batches: list[pa.RecordBatch]) -> dict[int, int]:
    ids = [i for batch in batches for i in batch[ID].to_pylist()]
    times = [int(t) for batch in batches for t in event_times(batch)]
    assert len(set(ids)) == len(ids)
    return dict(zip(ids, times, strict=True))


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_each_row_is_read_once_with_its_ordinal_as_its_id(
    tmp_path: Path, form: str, batch_rows: int
) -> None:
    rows = stream(100, 400, shuffled=True)
    files = plan(write_files(tmp_path, form, rows), SCHEMA)
    work, reader = source(files, Extent(), batch_rows)
    found = [batch for item in all_items(work) for batch in reader(item)]
    assert times_by_id(found) == {i: int(r["t"] * SECOND) for i, r in enumerate(rows)}
    assert max(batch.num_rows for batch in found) <= batch_rows
    assert not any(late_mask(batch).any() for batch in found)
    keys = [tag_of(batch).key for batch in found]
    assert len(keys) == len(set(keys))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, list[dict[str, Any]]]:
    """A plan of unsorted Parquet files, and their rows."""
    rows = stream(200, 600, seed=5, shuffled=True)
    return plan(write_files(tmp_path_factory.mktemp("files"), "parquet", rows), SCHEMA), rows


@given(st.integers(0, 10), st.integers(0, 11), st.sampled_from([1, 5, 100]))
@settings(deadline=None, max_examples=25)
def test_of_unsorted_files_just_the_rows_within_the_extent_are_read(
    files: Any, begin: int, end: int, batch_rows: int
) -> None:
    extent = Extent(begin * MINUTE, end * MINUTE)
    work, reader = source(files[0], extent, batch_rows)
    found = [batch for item in all_items(work) for batch in reader(item)]
    inside = {
        i: int(r["t"] * SECOND) for i, r in enumerate(files[1]) if begin * 60 <= r["t"] < end * 60
    }
    assert times_by_id(found) == inside


def test_tickets_leave_in_the_order_of_their_least_time_and_no_row_is_before_its_tickets(
    files: Any,
) -> None:
    work, reader = source(files[0], Extent(2 * MINUTE, None), 4)
    plan = all_items(work)
    assert len(plan) > 5
    assert [t.at for t in plan] == sorted(t.at for t in plan)
    for item in plan:
        for batch in reader(item):
            times = event_times(batch)
            assert times.min() == tag_of(batch).at >= item.at
            assert len(set(times // MINUTE)) == 1


def test_a_ticket_gives_the_same_bytes_on_every_retry(files: Any) -> None:
    work, reader = source(files[0], Extent(), 4)
    for item in all_items(work):
        assert [encode(b) for b in reader(item)] == [encode(b) for b in reader(item)]


def test_files_are_due_at_once(files: Any) -> None:
    assert {source(files[0], Extent(), 4)[0].due(i) for i in range(5)} == {0.0}


def test_files_flow_through_beam_whole(files: Any) -> None:
    work, reader = source(files[0], Extent(), 20)
    with embedded() as pipeline:
        seen = pipeline | PlannedSource(work, reader) | Gather()
    assert set(times_by_id([one.value for one in seen])) == set(range(200))
    assert all(one.at == tag_of(one.value).at // 1000 * 1000 for one in seen)


def test_a_rows_tag_shows_where_it_stood(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,y,x,z,c\n0,1,2,3,a\n1,1,2,3,a\n70,1,2,3,a\n")
    files = plan(str(tmp_path / "a.csv"), SCHEMA)
    work, reader = source(files, Extent(), 10)
    [first, second] = [batch for item in all_items(work) for batch in reader(item)]
    assert [tag_of(b).where for b in (first, second)] == [str(tmp_path / "a.csv")] * 2
    assert [i + tag_of(first).line for i in first[ID].to_pylist()] == [2, 3]
    assert [i + tag_of(second).line for i in second[ID].to_pylist()] == [4]
