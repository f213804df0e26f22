"""Reading Parquet: against pandas on the same file, with statistics and without."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.batch import ID, SECOND, TIME
from model.errors import UserError
from model.schema import Features, Schema
from reading import parquet, plan, read
from tests.kit.reading import SCHEMA, rows_of

SECONDS = [50, 51, 40, 41, 58, 59, 30]


def table(times: pa.Array, **changes: pa.Array) -> pa.Table:
    rows = len(times)
    columns = {
        "t": times,
        "other": pa.array([[1]] * rows),
        "k": pa.array(["a", "b", None, "b", "a", "c", "c"][:rows]),
        "x": pa.array(range(rows)),
        "y": pa.array([0.5] * rows),
    }
    return pa.table(columns | changes)


def write(tmp_path: Path, rows: pa.Table, name: str = "in.parquet", **how: object) -> str:
    path = str(tmp_path / name)
    pq.write_table(rows, path, **({"row_group_size": 2} | how))
    return path


def refusal(path: str) -> str:
    with pytest.raises(UserError) as caught:
        plan(path, SCHEMA)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The row groups of which a plan read the time's column, noted as it goes."""
    groups: list[int] = []
    really = parquet._batches

    def noting(file: object, group: int, columns: list[str], rows: int) -> object:
        groups.append(group)
        return really(file, group, columns, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(parquet, "_batches", noting)
    return groups


STAMPS = pa.array(SECONDS, pa.int64()).cast(pa.timestamp("s"))
DATES = pa.array([s * 1000 for s in SECONDS], pa.int32()).cast(pa.date32())


@pytest.mark.parametrize(
    ("times", "stored"),
    [
        (STAMPS, {}),
        (STAMPS.cast(pa.timestamp("ms")), {}),
        (STAMPS.cast(pa.timestamp("us")), {"version": "1.0"}),
        (STAMPS.cast(pa.timestamp("ns")), {}),
        (STAMPS.cast(pa.timestamp("ns")), {"version": "1.0", "store_schema": False}),
        (STAMPS.cast(pa.timestamp("ns", tz="America/Sao_Paulo")), {}),
        (STAMPS.cast(pa.timestamp("ns")), {"coerce_timestamps": "ms"}),
        (STAMPS.dictionary_encode(), {}),
        (DATES, {}),
        (DATES.cast(pa.date64()), {}),
        (pa.array(SECONDS), {}),
        (pa.array(SECONDS, pa.int32()), {}),
        (pa.array(SECONDS, pa.float64()), {}),
        (pa.array(SECONDS, pa.float32()), {}),
    ],
    ids=lambda each: str(each.type) if isinstance(each, pa.Array) else "-".join(each),
)
def test_the_statistics_show_each_row_groups_times(
    tmp_path: Path, scanned: list[int], times: pa.Array, stored: dict[str, Any]
) -> None:
    planned = plan(write(tmp_path, table(times), **stored), SCHEMA)
    assert scanned == []
    want = [(30, 30, 3), (40, 41, 1), (50, 51, 0), (58, 59, 2)]
    unit = (1_000 * 86_400 if pa.types.is_date(times.type) else 1) * SECOND
    assert [(chunk.least, chunk.greatest, chunk.start) for chunk in planned.chunks] == [
        (least * unit, greatest * unit, group) for least, greatest, group in want
    ]
    assert [row[ID] for row in rows_of(planned)] == list(range(7))


@pytest.mark.parametrize(
    ("times", "stored"),
    [
        (STAMPS, {"write_statistics": False}),
        (STAMPS, {"use_deprecated_int96_timestamps": True}),
        (pa.array([f"1970-01-01T00:00:{s}Z" for s in SECONDS]), {}),
        (pa.array([f"1970-01-01T02:00:{s}+02:00" for s in SECONDS]).dictionary_encode(), {}),
        (pa.array([str(s) for s in SECONDS], pa.large_string()), {}),
        (pa.array(SECONDS, pa.uint64()), {}),
        (pa.array([Decimal(s) for s in SECONDS]), {}),
    ],
    ids=lambda each: str(each.type) if isinstance(each, pa.Array) else "-".join(each),
)
def test_without_usable_statistics_the_time_is_scanned(
    tmp_path: Path, scanned: list[int], times: pa.Array, stored: dict[str, Any]
) -> None:
    planned = plan(write(tmp_path, table(times), **stored), SCHEMA)
    want = [(30, 30, 3), (40, 41, 1), (50, 51, 0), (58, 59, 2)]
    assert scanned == [0, 1, 2, 3]
    assert [(c.least / SECOND, c.greatest / SECOND, c.start) for c in planned.chunks] == want
    assert [row[ID] for row in rows_of(planned)] == list(range(7))


def test_statistics_out_of_the_years_of_a_time_are_not_taken(
    tmp_path: Path, scanned: list[int]
) -> None:
    times = pa.array([2.0**60, 5, 7, None, None, None, np.nan], pa.float64())
    planned = plan(write(tmp_path, table(times)), SCHEMA)
    assert scanned == [0, 2, 3]
    assert [(c.start, c.least, c.greatest) for c in planned.chunks] == [
        (0, 5_000_000, 5_000_000),
        (1, 7_000_000, 7_000_000),
        (2, 7_000_000, 7_000_000),
        (3, 7_000_000, 7_000_000),
    ]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.datetimes(min_value=pd.Timestamp(1700, 1, 1), max_value=pd.Timestamp(2200, 1, 1)),
            st.floats(allow_nan=False) | st.none(),
            st.sampled_from(["a", "b", None]),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 12),
    st.integers(1, 7),
    st.booleans(),
)
def test_the_same_rows_as_pandas_for_any_row_group_and_batch(
    tmp_path: Path,
    rows: list[tuple[object, float | None, str | None]],
    group: int,
    batch_rows: int,
    statistics: bool,
) -> None:
    frame = pd.DataFrame(rows, columns=["t", "y", "k"]).assign(x=np.arange(len(rows)))
    frame["y"] = frame["y"].astype(float)
    path = str(tmp_path / "in.parquet")
    pq.write_table(
        pa.Table.from_pandas(frame), path, row_group_size=group, write_statistics=statistics
    )
    planned = plan(path, SCHEMA)
    found = rows_of(planned, batch_rows=batch_rows)
    assert [row["line"] for row in found] == list(range(1, len(rows) + 1))
    back = pd.DataFrame(found).sort_values(ID)
    want = pd.read_parquet(path)
    micros = want["t"].astype("datetime64[us]").astype("int64")
    stamps = pd.to_datetime(back[TIME], utc=True).astype("datetime64[us, UTC]").astype("int64")
    assert stamps.tolist() == micros.tolist()
    np.testing.assert_array_equal(back["y"].astype(float), want["y"])
    assert [row["k"] for row in found] == [row[2] for row in rows]
    cuts = [micros.iloc[start : start + group] for start in range(0, len(micros), group)]
    assert [chunk.least for chunk in planned.chunks] == sorted(cut.min() for cut in cuts)


FAR = ["0001-01-01", "1500-06-01", "1677-09-21", "1969-12-31", "2262-04-12", "9999-12-31"]


@pytest.mark.parametrize(
    "stored",
    [
        {"use_deprecated_int96_timestamps": True},
        {"use_deprecated_int96_timestamps": True, "store_schema": False},
        {"use_deprecated_int96_timestamps": True, "write_statistics": False},
        {},
        {"coerce_timestamps": "ms"},
        {"store_schema": False},
        {"write_statistics": False},
    ],
    ids=lambda how: "-".join(how),
)
@pytest.mark.parametrize("unit", ["us", "ms", "s"])
def test_times_beyond_the_range_of_nanoseconds_do_not_wrap(
    tmp_path: Path, unit: str, stored: dict[str, Any]
) -> None:
    moments = np.array([f"{day}T12:00:00" for day in FAR], "datetime64[us]")
    times = pa.array(moments).cast(pa.timestamp(unit))
    path = write(tmp_path, table(times), row_group_size=1, **stored)
    planned = plan(path, SCHEMA)
    want = moments.astype("int64").tolist()
    assert [chunk.least for chunk in planned.chunks] == want  # by statistics or a scan
    found = [row[TIME].replace(tzinfo=None) for row in rows_of(planned)]  # type: ignore[attr-defined]
    assert found == moments.astype(object).tolist()


def test_a_large_row_group_is_not_held_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = pa.table({name: rng.normal(size=600_000) for name in "tyx"} | {"k": ["a"] * 600_000})
    path = write(tmp_path, rows, row_group_size=600_000, use_dictionary=False)
    del rows
    planned = plan(path, SCHEMA)
    before = pa.total_allocated_bytes()
    held = [
        pa.total_allocated_bytes() - before
        for _ in read(planned.files[0], planned.chunks[0], SCHEMA, 10_000)
    ]
    assert len(held) == 60
    assert max(held) < planned.files[0].size / 2


def test_every_call_of_read_gives_the_same_batches(tmp_path: Path) -> None:
    planned = plan(write(tmp_path, table(STAMPS), row_group_size=5), SCHEMA)
    for chunk in planned.chunks:
        first, second = (list(read(planned.files[0], chunk, SCHEMA, 2)) for _ in range(2))
        assert first == second


def test_a_batch_has_the_schemas_columns_in_its_order_and_no_others(tmp_path: Path) -> None:
    planned = plan(write(tmp_path, table(STAMPS)), SCHEMA)
    batch = next(read(planned.files[0], planned.chunks[0], SCHEMA, 10))
    assert batch.schema.names == ["__id", "__time", "__late", "t", "y", "x", "k"]


def test_a_name_with_a_dot_is_a_column_and_not_a_field_of_one(tmp_path: Path) -> None:
    schema = Schema(name="s", time="a.t", target="y", features=Features(numeric=("a.x",)))
    rows = pa.table(
        {
            "a": pa.array([{"t": 1, "x": 2.0}]),
            "y": [0.5],
            "a.x": [3.0],
            "a.t": pa.array([7]),
        }
    )
    found = rows_of(plan(write(tmp_path, rows), schema), schema)
    assert [(row["a.t"], row["a.x"]) for row in found] == [(7, 3.0)]


def test_empty_row_groups_are_no_chunks(tmp_path: Path) -> None:
    path = str(tmp_path / "in.parquet")
    rows = table(STAMPS)
    with pq.ParquetWriter(path, rows.schema) as writer:
        for part in (rows.slice(0, 0), rows.slice(0, 3), rows.slice(0, 0), rows.slice(3)):
            writer.write_table(part)
    planned = plan(path, SCHEMA)
    assert sorted((chunk.first, chunk.rows, chunk.line) for chunk in planned.chunks) == [
        (0, 3, 1),
        (3, 4, 4),
    ]
    empty = plan(write(tmp_path, rows.slice(0, 0), "empty.parquet"), SCHEMA)
    assert (empty.rows, empty.chunks) == (0, ())


@pytest.mark.parametrize(
    ("name", "values", "allowed"),
    [
        ("t", pa.array([True]), "must be ISO 8601"),
        ("t", pa.array([[1]]), "must be ISO 8601"),
        ("t", pa.array([5], pa.time64("us")), "must be ISO 8601"),
        ("t", pa.array([b"2024-03-01"]), "must be ISO 8601"),
        ("y", pa.array(["1.5"]), "must be a finite number"),
        ("x", pa.array(["1.5"]).dictionary_encode(), "must be a finite number"),
        ("x", pa.array([[1.5]]), "must be a finite number"),
        ("x", pa.array([{"a": 1.5}]), "must be a finite number"),
        ("x", pa.array([5], pa.timestamp("us")), "must be a finite number"),
        ("k", pa.array([[1.5]]), "must be text"),
        ("k", pa.array([b"a"]), "must be text"),
    ],
    ids=lambda each: str(each.type) if isinstance(each, pa.Array) else each,
)
def test_a_column_of_a_type_that_cannot_serve_is_refused(
    tmp_path: Path, name: str, values: pa.Array, allowed: str
) -> None:
    path = write(tmp_path, table(pa.array([1]), **{name: values}))
    kind = pq.read_schema(path).field(name).type
    start = f"{path}: column '{name}' is of type {kind}: {allowed}"
    assert refusal(path).startswith(start)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x", pa.array([True])),
        ("x", pa.array([Decimal("1.25")])),
        ("y", pa.array([1], pa.uint8())),
        ("x", pa.nulls(1)),
        ("k", pa.array([7])),
        ("k", pa.array([False])),
        ("k", pa.array(["a"]).dictionary_encode()),
    ],
    ids=lambda each: str(each.type) if isinstance(each, pa.Array) else each,
)
def test_a_column_of_a_type_that_can_serve_is_read(
    tmp_path: Path, name: str, values: pa.Array
) -> None:
    path = write(tmp_path, table(pa.array([1]), **{name: values}))
    assert rows_of(plan(path, SCHEMA))[0][name] == values[0].as_py()


def test_a_missing_or_doubled_column_is_refused(tmp_path: Path) -> None:
    rows = table(STAMPS)
    path = write(tmp_path, rows.drop_columns("x"))
    assert refusal(path) == f"{path}: has no column 'x': its columns are t, other, k, y"
    path = write(tmp_path, rows.append_column("x", rows["x"]))
    assert refusal(path) == f"{path}: has 2 columns 'x': it must have one"


def test_a_file_that_is_cut_off_or_is_not_parquet_is_refused(tmp_path: Path) -> None:
    path = Path(write(tmp_path, table(STAMPS)))
    data = path.read_bytes()
    for content in (data[:-10], data[: len(data) // 2], b"t,y,x,k\n", b"PAR1", b"x" * 1000):
        path.write_bytes(content)
        assert refusal(str(path)).startswith(f"{path}: is not a Parquet file, or is cut off: ")


def test_a_file_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path, table(STAMPS), row_group_size=7)
    planned = plan(path, SCHEMA)
    changed = write(tmp_path, table(STAMPS.slice(0, 5)), row_group_size=7)
    file = planned.files[0]
    parquet._footer_at.cache_clear()
    assert changed == path
    with pytest.raises(UserError, match="has changed since it was planned: 5 rows where 7 were"):
        list(read(file, planned.chunks[0], SCHEMA, 10))
