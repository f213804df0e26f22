"""Claims: what is redeemed is what was accepted, in any order, read as seldom as can be."""

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
from apache_beam.transforms import window
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import ID, SECOND, encode, tag_of
from model.errors import UserError
from model.reading import plan
from model.validation import validate
from tests.transforms.streams import MINUTE, SCHEMA, row, stream
from transforms.handover import Redeem, Requests
from transforms.sources.claims import TICKETS, FileClaims, OpenTickets, opened, worthwhile
from transforms.sources.files import FileReader
from transforms.sources.planner import Ticket
from transforms.testing import Gather, embedded

Batches = list[pa.RecordBatch]


@dataclass(frozen=True)
class CountingReader(FileReader):
    """A reader that knows how often each ticket was read."""

    read: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, ticket: Ticket) -> Iterator[pa.RecordBatch]:
        self.read.append(ticket[:2])
        return super().__call__(ticket)


def claimed(
    folder: Path, rows: list[dict[str, Any]], group: int = 9, batch_rows: int = 4
) -> tuple[FileClaims, CountingReader, Batches]:
    """Rows in a Parquet file: claims on them, their reader, and the accepted batches."""
    path = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(pd.DataFrame(rows)), path, row_group_size=group)
    reader = CountingReader(plan(str(path), SCHEMA), None, SCHEMA, MINUTE, batch_rows)
    tickets = [Ticket(*chunk[:7]) for chunk in reader.plan.chunks]
    raw = [batch for ticket in tickets for batch in reader(ticket)]
    reader.read.clear()
    accepted = [validate(batch, SCHEMA)[0] for batch in raw]
    return FileClaims(reader), reader, [batch for batch in accepted if batch.num_rows]


def same(found: Batches, wanted: Batches) -> bool:
    return [encode(batch) for batch in found] == [encode(batch) for batch in wanted]


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Claims on a file of unsorted rows, some of which are rejected."""
    rows = stream(60, 240, shuffled=True)
    rows[7]["y"] = rows[30]["x"] = float("inf")
    return claimed(tmp_path_factory.mktemp("claims"), rows)


def test_a_claim_has_the_tag_and_no_rows(shuffled: Any) -> None:
    claims, _, accepted = shuffled
    for batch in accepted:
        claim = claims.check(batch)
        assert (claim.num_rows, claim.num_columns) == (0, 0)
        assert tag_of(claim) == tag_of(batch)


def test_a_claim_from_before_claims_had_a_number_of_rows_is_redeemed(
    shuffled: Any,
) -> None:
    claims, _, accepted = shuffled
    old = [batch.select([]) for batch in accepted]
    assert same([claims.redeem(claim) for claim in old], accepted)


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_what_is_redeemed_in_any_order_and_again_is_what_was_accepted(
    shuffled: Any, data: Any
) -> None:
    claims, _, accepted = shuffled
    order = data.draw(st.permutations(range(len(accepted))))
    order += data.draw(st.lists(st.sampled_from(order), max_size=5))
    prepared = data.draw(st.lists(st.sampled_from(order), max_size=5))
    for i in prepared:
        claims.prepare(claims.check(accepted[i]))
    found = [claims.redeem(claims.check(accepted[i])) for i in order]
    assert same(found, [accepted[i] for i in order])


def test_of_rows_in_order_each_ticket_is_read_once_and_nothing_is_kept(tmp_path: Path) -> None:
    claims, reader, accepted = claimed(tmp_path, [row(t) for t in range(0, 300, 3)])
    assert same([claims.redeem(claims.check(batch)) for batch in accepted], accepted)
    assert len(reader.read) == len(set(reader.read)) == 12
    assert not opened(claims.name)._open


def test_a_batch_with_columns_is_itself(shuffled: Any) -> None:
    claims, _, accepted = shuffled
    claims.prepare(accepted[0])
    assert claims.redeem(accepted[0]) is accepted[0]


def test_threads_redeem_side_by_side(shuffled: Any) -> None:
    claims, _, accepted = shuffled
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(claims.redeem, map(claims.check, accepted * 5)))
    assert same(found, accepted * 5)


def test_what_does_not_fit_is_read_again(tmp_path: Path) -> None:
    claims, reader, accepted = claimed(tmp_path, [row(t) for t in range(0, 120, 3)])
    small = OpenTickets(room=0, tickets=1)
    mixed = accepted[::2] + accepted[1::2]
    raw = [small.take(tag_of(batch).key, claims) for batch in mixed]
    assert same([validate(batch, SCHEMA)[0] for batch in raw], mixed)
    assert len(reader.read) > len(set(reader.read))


def test_claims_go_to_other_processes(shuffled: Any) -> None:
    claims, _, accepted = shuffled
    claims.redeem(claims.check(accepted[0]))
    there = pickle.loads(pickle.dumps(claims))
    assert same([there.redeem(claims.check(batch)) for batch in accepted], accepted)


def test_a_file_that_was_written_anew_is_reported(tmp_path: Path) -> None:
    claims, _, accepted = claimed(tmp_path, [row(t) for t in range(40)])
    rows = pd.DataFrame([row(t + 5) for t in range(40)])
    pq.write_table(pa.Table.from_pandas(rows), tmp_path / "rows.parquet", row_group_size=9)
    with pytest.raises(UserError, match=r"rows\.parquet: has changed since it was planned"):
        claims.redeem(claims.check(accepted[0]))


def test_a_file_that_is_gone_is_reported(tmp_path: Path) -> None:
    claims, _, accepted = claimed(tmp_path, [row(t) for t in range(40)])
    (tmp_path / "rows.parquet").unlink()
    with pytest.raises(OSError, match=r"rows\.parquet"):
        claims.redeem(claims.check(accepted[0]))


def test_a_retry_after_an_error_reads_anew(tmp_path: Path) -> None:
    claims, _, accepted = claimed(tmp_path, [row(t) for t in range(40)])
    claims.redeem(claims.check(accepted[0]))

    def broken() -> Iterator[tuple[pa.RecordBatch, bool]]:
        raise OSError("the disk is away")
        yield

    [ticket] = opened(claims.name)._open.values()
    ticket.batches = broken()
    with pytest.raises(OSError, match="the disk is away"):
        claims.redeem(claims.check(accepted[1]))
    rest = accepted[1:]
    assert same([claims.redeem(claims.check(batch)) for batch in rest], rest)


def test_a_batch_that_the_file_has_not_is_reported(tmp_path: Path) -> None:
    claims, _reader, accepted = claimed(tmp_path, [row(t) for t in range(40)])
    key = tag_of(accepted[0]).key._replace(part=99)
    with pytest.raises(UserError, match="has changed since it was planned"):
        OpenTickets().take(key, claims)


def written(folder: Path, name: str, seconds: range) -> None:
    table = pa.Table.from_pandas(pd.DataFrame([row(t) for t in seconds]))
    pq.write_table(table, folder / f"{name}.parquet", row_group_size=10)


def test_claims_are_worthwhile_where_row_groups_needed_at_once_have_room(tmp_path: Path) -> None:
    columns = len(SCHEMA.columns) + 2
    group = 10 * columns * 8
    for number in range(3):
        written(tmp_path, f"sorted{number}", range(number * 100, number * 100 + 100))
    assert worthwhile(plan(str(tmp_path / "sorted*"), SCHEMA), SCHEMA, room=group)
    for number in range(3):
        written(tmp_path, f"mixed{number}", range(number, 300, 3))
    mixed = plan(str(tmp_path / "mixed*"), SCHEMA)
    assert worthwhile(mixed, SCHEMA, room=4 * group)
    assert not worthwhile(mixed, SCHEMA, room=2 * group)


def test_claims_are_not_worthwhile_on_more_files_of_the_same_time_than_stay_open(
    tmp_path: Path,
) -> None:
    for number in range(TICKETS + 1):
        written(tmp_path, f"part{number}", range(5))
    assert not worthwhile(plan(str(tmp_path / "part*"), SCHEMA), SCHEMA)
    (tmp_path / "part0.parquet").unlink()
    assert worthwhile(plan(str(tmp_path / "part*"), SCHEMA), SCHEMA)


def test_text_is_carried(tmp_path: Path) -> None:
    pd.DataFrame([row(t) for t in range(40)]).to_csv(tmp_path / "rows.csv", index=False)
    files = plan(str(tmp_path / "rows.csv"), SCHEMA)
    assert not worthwhile(files, SCHEMA)
    reader = FileReader(files, None, SCHEMA, MINUTE, 100)
    [batch] = reader(Ticket(*files.chunks[0][:7]))
    assert FileClaims(reader).check(batch) is batch


def test_beam_redeems_all_claims_in_their_own_windows(tmp_path: Path) -> None:
    claims, _, accepted = claimed(tmp_path, [row(t) for t in range(0, 300, 3)])
    asked = [Requests([(None, claims.check(batch))]) for batch in accepted]
    minutes = beam.WindowInto(window.FixedWindows(60))
    stamped = [window.TimestampedValue(a, tag_of(a[0][1]).at // SECOND) for a in asked]
    with embedded() as pipeline:
        seen = pipeline | beam.Create(stamped) | minutes | beam.ParDo(Redeem(claims)) | Gather()
    for one in seen:
        [(_, batch)] = one.value
        assert one.window.start <= tag_of(batch).at < one.window.end
        assert one.at == tag_of(batch).at
    found = sorted(
        (batch for one in seen for _, batch in one.value), key=lambda b: b[ID][0].as_py()
    )
    assert same(found, accepted)
