"""Columns that folders name: read as if the file had them, in every format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from model.batch import ID, LATE, TIME, Key, Tag, with_tag
from model.errors import UserError
from model.schema import Features, Schema
from model.validation import validate
from reading import plan, read
from tests.kit.reading import SCHEMA, rows_of

FORMS = ["csv", "ndjson", "parquet", "json"]
ROWS = [{"t": 60 * n, "y": 1.5, "x": 2.0 * n, "k": "a"} for n in range(4)]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(rows)
    match path.suffix:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
        case ".json":
            path.write_text(json.dumps(rows, indent=1))
        case _:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def without(*names: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in names} for row in ROWS]


def accept_rows(pattern: str, schema: Schema = SCHEMA) -> list[dict[str, Any]]:
    """Every row as the job takes it, in the order of time."""
    planned = plan(pattern, schema)
    rows = []
    for chunk in planned.chunks:
        for batch in read(planned.files[chunk.file], chunk, schema, 3):
            assert batch.schema.names[:7] == [ID, TIME, LATE, *schema.columns]
            good, rejects = validate(with_tag(batch, Tag(Key(0, 0, 0), 0, "", 1)), schema)
            assert not rejects
            rows += good.to_pylist()
    return sorted(rows, key=lambda row: (row[TIME], row[ID]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("column", ["t", "y", "x", "k"])
def test_a_column_of_any_role_may_be_a_folders(tmp_path: Path, form: str, column: str) -> None:
    for row in ROWS:
        folder = tmp_path / "d" / f"{column}={row[column]}"
        name = f"{row['t']:03d}.{form}"
        write(folder / name, [{k: v for k, v in row.items() if k != column}])
    whole = accept_rows(write(tmp_path / f"all.{form}", ROWS))
    found = accept_rows(f"{tmp_path}/d/**/*.{form}")
    drop = {ID}
    assert [{k: v for k, v in row.items() if k not in drop} for row in found] == [
        {k: v for k, v in row.items() if k not in drop} for row in whole
    ]


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_is_read_as_arrow_reads_it(tmp_path: Path, form: str) -> None:
    top = tmp_path / "d"
    for number, (k, x) in enumerate([("São Paulo/Rio", 1), ("a=b c%", 2), ("é", 3)]):
        folder = top / f"k={quote(k, safe='')}" / f"x={x}"
        write(folder / f"{number}.{form}", without("k", "x"))
    found = accept_rows(str(top))
    pairs = sorted({(row["k"], row["x"]) for row in found})
    assert pairs == [("São Paulo/Rio", 1), ("a=b c%", 2), ("é", 3)] and len(found) == 12
    if form == "parquet":
        flavour = ds.partitioning(pa.schema([("k", pa.string()), ("x", pa.int64())]), flavor="hive")
        table = ds.dataset(top, partitioning=flavour).to_table()
        assert sorted({(r["k"], r["x"]) for r in table.to_pylist()}) == pairs


@pytest.mark.parametrize("form", FORMS)
def test_hives_default_partition_is_null(tmp_path: Path, form: str) -> None:
    for column in ("k", "x", "y"):
        folder = tmp_path / column / f"{column}=__HIVE_DEFAULT_PARTITION__"
        path = write(folder / f"in.{form}", without(column))
        assert {str(row[column]) for row in accept_rows(path)} <= {"None", "nan"}


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_that_the_schema_does_not_name_is_a_folder(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / "z=1" / f"in.{form}", ROWS)
    assert plan(path, SCHEMA).files[0].constants == ()
    assert [row["x"] for row in accept_rows(path)] == [0, 2, 4, 6]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("column", "value"), [("k", "a"), ("y", "1.50"), ("k", "%61")])
def test_a_column_of_file_and_folder_may_agree(
    tmp_path: Path, form: str, column: str, value: str
) -> None:
    path = write(tmp_path / f"{column}={value}" / f"in.{form}", ROWS)
    assert len(accept_rows(path)) == 4


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("column", "value"), [("k", "b"), ("x", "0"), ("t", "0"), ("k", "__HIVE_DEFAULT_PARTITION__")]
)
def test_a_column_of_file_and_folder_that_differ_is_refused(
    tmp_path: Path, form: str, column: str, value: str
) -> None:
    path = write(tmp_path / f"{column}={value}" / f"in.{form}", ROWS)
    with pytest.raises(UserError) as caught:
        plan(path, SCHEMA)
    assert str(caught.value).startswith(f"{path}: column {column!r} is ")
    assert "they must agree" in str(caught.value)


def test_a_column_that_folders_name_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "k=a" / "k=b" / "in.csv", without("k"))
    with pytest.raises(UserError, match="its folders name 'k' twice"):
        plan(path, SCHEMA)


def test_a_file_without_a_time_in_its_folders_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t=soon" / "in.csv", without("t"))
    with pytest.raises(UserError, match="none of the 4 rows has a readable time"):
        plan(path, SCHEMA)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8),
        st.integers(1, 3),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(FORMS),
)
@example({"~": 1, "0": 2, "#": 1}, "csv")
def test_whatever_the_value_its_rows_are_those_of_its_folder(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, int], form: str
) -> None:
    top = tmp_path_factory.mktemp("hive")
    for number, (value, count) in enumerate(values.items()):
        folder = top / f"k={quote(value, safe='')}" / str(number)
        write(folder / f"in.{form}", without("k")[:count])
    planned = plan(str(top), SCHEMA)
    constants = [dict(file.constants)["k"] for file in planned.files]
    assert sorted(map(str, constants)) == sorted(values)
    assert [file.rows for file in planned.files] == [values[str(value)] for value in constants]


@pytest.mark.parametrize("form", FORMS)
def test_names_are_matched_in_normal_form(tmp_path: Path, form: str) -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    schema = Schema(
        name="s", time="t", target="y", features=Features(numeric=(composed,), categorical=("k",))
    )
    rows = [{"t": 1, "y": 2.0, decomposed: 3.0, "k": "a"}] * 2
    path = write(tmp_path / f"in.{form}", rows)
    found = rows_of(plan(path, schema), schema)
    assert [row[composed] for row in found] == [3.0, 3.0]
    folder = write(tmp_path / f"{decomposed}=4" / f"in.{form}", [{"t": 1, "y": 2.0, "k": "a"}])
    assert plan(folder, schema).files[0].constants == ((composed, "4"),)


@pytest.mark.parametrize(
    "ways", [("\u00e9", "e\u0301"), ("e\u0301", "\u00e9"), ("\ufeff\u00e9",) * 2]
)
def test_each_row_may_write_a_key_in_a_form_of_its_own(tmp_path: Path, ways: list[str]) -> None:
    schema = Schema(
        name="s", time="t", target="y", features=Features(numeric=("\u00e9",), categorical=("k",))
    )
    rows = [{"t": at, "y": 2.0, ways[at // 50]: float(at), "k": "a"} for at in range(100)]
    found = rows_of(plan(write(tmp_path / "in.ndjson", rows), schema), schema)
    assert [row["\u00e9"] for row in found] == [float(at) for at in range(100)]


def test_a_key_to_the_letter_goes_before_one_in_another_form(tmp_path: Path) -> None:
    schema = Schema(name="s", time="t", target="y", features=Features(numeric=("\u00e9", "x")))
    rows = [{"t": 1, "y": 2.0, "e\u0301": 9.0, "\u00e9": 3.0, "e\u0301 ": 1.0}]
    rows += [{"t": 2, "y": 2.0, "\u00e9": 4.0, "x": 1.0}]
    found = rows_of(plan(write(tmp_path / "in.ndjson", rows), schema), schema)
    assert [(row["\u00e9"], row["x"]) for row in found] == [(3.0, None), (4.0, 1.0)]
