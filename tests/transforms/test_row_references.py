"""Deferred rows: what is read again is what was accepted, in any order, as seldom as can be."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apache_beam as beam
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import ID, SECOND, encode
from model.errors import UserError
from reading import plan
from tests.kit.streams import MINUTE, SCHEMA, row, stream
from transforms.assign_models import MaterializeFn
from transforms.elements import (
    AcceptedBatch,
    RawBatch,
    RowReference,
    ScoringBatch,
    ScoringTask,
    WorkItem,
)
from transforms.sources.files import FileReader, work_item_of
from transforms.sources.row_references import (
    MOST_OPEN,
    DeferredFileRows,
    OpenItems,
    open_items,
    should_defer,
)
from transforms.testing import Gather, embedded
from transforms.validate import accept

Batches = list[AcceptedBatch]


@dataclass(frozen=True)
class CountingReader(FileReader):
    """A reader that knows how often each item was read."""

    read: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, item: WorkItem) -> Iterator[RawBatch]:
        self.read.append((item.partition, item.start))
        return super().__call__(item)


def deferred(
    folder: Path, rows: list[dict[str, Any]], group: int = 9, batch_rows: int = 4
) -> tuple[DeferredFileRows, CountingReader, Batches]:
    """Rows in a Parquet file: what reads them again, its reader, and the accepted batches."""
    path = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(pd.DataFrame(rows)), path, row_group_size=group)
    reader = CountingReader(plan(str(path), SCHEMA), None, SCHEMA, MINUTE, batch_rows)
    items = [work_item_of(chunk) for chunk in reader.plan.chunks]
    raw = [batch for item in items for batch in reader(item)]
    reader.read.clear()
    accepted = [accept(batch, SCHEMA)[0] for batch in raw]
    return DeferredFileRows(reader), reader, [batch for batch in accepted if batch.rows.num_rows]


def same(found: Batches, wanted: Batches) -> bool:
    return [(one.tag, encode(one.rows)) for one in found] == [
        (one.tag, encode(one.rows)) for one in wanted
    ]


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Claims on a file of unsorted rows, some of which are rejected."""
    rows = stream(60, 240, shuffled=True)
    rows[7]["y"] = rows[30]["x"] = float("inf")
    return deferred(tmp_path_factory.mktemp("claims"), rows)


def test_a_reference_has_the_tag_and_the_number_of_rows(shuffled: Any) -> None:
    again, _, accepted = shuffled
    for batch in accepted:
        assert again.defer(batch) == RowReference(batch.tag, batch.rows.num_rows)


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_what_is_read_again_in_any_order_is_what_was_accepted(shuffled: Any, data: Any) -> None:
    again, _, accepted = shuffled
    order = data.draw(st.permutations(range(len(accepted))))
    order += data.draw(st.lists(st.sampled_from(order), max_size=5))
    prepared = data.draw(st.lists(st.sampled_from(order), max_size=5))
    for i in prepared:
        again.prefetch(again.defer(accepted[i]))
    found = [again.materialize(again.defer(accepted[i])) for i in order]
    assert same(found, [accepted[i] for i in order])


def test_of_rows_in_order_each_ticket_is_read_once_and_nothing_is_kept(tmp_path: Path) -> None:
    again, reader, accepted = deferred(tmp_path, [row(t) for t in range(0, 300, 3)])
    assert same([again.materialize(again.defer(batch)) for batch in accepted], accepted)
    assert len(reader.read) == len(set(reader.read)) == 12
    assert not open_items(again.name)._open


def test_an_accepted_batch_is_returned_as_it_is(shuffled: Any) -> None:
    again, _, accepted = shuffled
    again.prefetch(accepted[0])
    assert again.materialize(accepted[0]) is accepted[0]


def test_threads_read_side_by_side(shuffled: Any) -> None:
    again, _, accepted = shuffled
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(again.materialize, map(again.defer, accepted * 5)))
    assert same(found, accepted * 5)


def test_what_does_not_fit_is_read_again(tmp_path: Path) -> None:
    again, reader, accepted = deferred(tmp_path, [row(t) for t in range(0, 120, 3)])
    small = OpenItems(room=0, items=1)
    mixed = accepted[::2] + accepted[1::2]
    raw = [small.take(batch.tag.key, again) for batch in mixed]
    assert same([accept(batch, SCHEMA)[0] for batch in raw], mixed)
    assert len(reader.read) > len(set(reader.read))


def test_claims_go_to_other_processes(shuffled: Any) -> None:
    again, _, accepted = shuffled
    again.materialize(again.defer(accepted[0]))
    there = pickle.loads(pickle.dumps(again))
    assert same([there.materialize(again.defer(batch)) for batch in accepted], accepted)


def test_a_file_that_was_written_anew_is_told(tmp_path: Path) -> None:
    again, _, accepted = deferred(tmp_path, [row(t) for t in range(40)])
    rows = pd.DataFrame([row(t + 5) for t in range(40)])
    pq.write_table(pa.Table.from_pandas(rows), tmp_path / "rows.parquet", row_group_size=9)
    with pytest.raises(UserError, match=r"rows\.parquet: has changed since it was planned"):
        again.materialize(again.defer(accepted[0]))


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    again, _, accepted = deferred(tmp_path, [row(t) for t in range(40)])
    (tmp_path / "rows.parquet").unlink()
    with pytest.raises(OSError, match=r"rows\.parquet"):
        again.materialize(again.defer(accepted[0]))


def test_a_retry_after_an_error_reads_anew(tmp_path: Path) -> None:
    again, _, accepted = deferred(tmp_path, [row(t) for t in range(40)])
    again.materialize(again.defer(accepted[0]))

    def broken() -> Iterator[tuple[RawBatch, bool]]:
        raise OSError("the disk is away")
        yield

    [item] = open_items(again.name)._open.values()
    item.batches = broken()
    with pytest.raises(OSError, match="the disk is away"):
        again.materialize(again.defer(accepted[1]))
    rest = accepted[1:]
    assert same([again.materialize(again.defer(batch)) for batch in rest], rest)


def test_a_batch_that_the_file_has_not_is_told(tmp_path: Path) -> None:
    again, _reader, accepted = deferred(tmp_path, [row(t) for t in range(40)])
    key = accepted[0].tag.key._replace(part=99)
    with pytest.raises(UserError, match="has changed since it was planned"):
        OpenItems().take(key, again)


def written(folder: Path, name: str, seconds: range) -> None:
    table = pa.Table.from_pandas(pd.DataFrame([row(t) for t in seconds]))
    pq.write_table(table, folder / f"{name}.parquet", row_group_size=10)


def test_claims_are_deferred_where_row_groups_needed_at_once_have_room(tmp_path: Path) -> None:
    columns = len(SCHEMA.columns) + 2
    group = 10 * columns * 8
    for number in range(3):
        written(tmp_path, f"sorted{number}", range(number * 100, number * 100 + 100))
    assert should_defer(plan(str(tmp_path / "sorted*"), SCHEMA), SCHEMA, room=group)
    for number in range(3):
        written(tmp_path, f"mixed{number}", range(number, 300, 3))
    mixed = plan(str(tmp_path / "mixed*"), SCHEMA)
    assert should_defer(mixed, SCHEMA, room=4 * group)
    assert not should_defer(mixed, SCHEMA, room=2 * group)


def test_claims_are_not_deferred_on_more_files_of_the_same_time_than_stay_open(
    tmp_path: Path,
) -> None:
    for number in range(MOST_OPEN + 1):
        written(tmp_path, f"part{number}", range(5))
    assert not should_defer(plan(str(tmp_path / "part*"), SCHEMA), SCHEMA)
    (tmp_path / "part0.parquet").unlink()
    assert should_defer(plan(str(tmp_path / "part*"), SCHEMA), SCHEMA)


def test_text_is_carried(tmp_path: Path) -> None:
    pd.DataFrame([row(t) for t in range(40)]).to_csv(tmp_path / "rows.csv", index=False)
    files = plan(str(tmp_path / "rows.csv"), SCHEMA)
    assert not should_defer(files, SCHEMA)
    reader = FileReader(files, None, SCHEMA, MINUTE, 100)
    [batch] = reader(work_item_of(files.chunks[0]))
    accepted, _ = accept(batch, SCHEMA)
    assert DeferredFileRows(reader).defer(accepted) is accepted


def test_beam_reads_all_references_in_their_own_windows(tmp_path: Path) -> None:
    again, _, accepted = deferred(tmp_path, [row(t) for t in range(0, 300, 3)])
    asked = [ScoringBatch([ScoringTask(None, again.defer(batch))]) for batch in accepted]
    minutes = beam.WindowInto(FixedWindows(60))
    stamped = [TimestampedValue(a, a[0].batch.tag.at // SECOND) for a in asked]
    with embedded() as pipeline:
        created = pipeline | beam.Create(stamped) | minutes
        seen = created | beam.ParDo(MaterializeFn(again)) | Gather()
    found = []
    for one in seen:
        [(_, batch)] = one.value
        assert one.window is not None and one.window.start <= batch.tag.at < one.window.end
        assert one.at == batch.tag.at
        found.append(batch)
    assert same(sorted(found, key=lambda batch: batch.rows[ID][0].as_py()), accepted)
