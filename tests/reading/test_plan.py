"""The plan of several files: ids, order, undated chunks, and what is refused."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystem import MatchResult
from apache_beam.io.localfilesystem import LocalFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.batch import ID, SECOND, TIME
from model.errors import UserError
from reading import plan, read, text
from tests.kit.reading import SCHEMA, rows_of

HEADER = "t,y,x,k\n"


def write(path: Path, *times: object) -> str:
    """A CSV with a row for each time; all rows are ten bytes long."""
    rows = (f"{time!s:>3},1,2,a\n" for time in times)
    path.write_text(HEADER + "".join(rows), encoding="utf-8")
    return str(path)


def refusal(pattern: str) -> str:
    with pytest.raises(UserError) as caught:
        plan(pattern, SCHEMA)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Bucket(LocalFileSystem):
    """Local files as ``bucket://path``: Beam finds a file system by its scheme."""

    @classmethod
    def scheme(cls) -> str:
        return "bucket"

    def match(self, patterns: list[str], limits: object = None) -> list[MatchResult]:
        plain = [pattern.removeprefix("bucket:/") for pattern in patterns]
        found = super().match(plain)  # type: ignore[no-untyped-call]
        for result in found:
            for metadata in result.metadata_list:
                metadata.path = f"bucket:/{metadata.path}"
        return list(found)

    def open(self, path: str, *args: object, **kwargs: object) -> BinaryIO:
        return super().open(path.removeprefix("bucket:/"), *args, **kwargs)


@pytest.fixture
def two_rows_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BLOCK", 20)


def test_ids_run_on_over_the_files_sorted_by_path(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", 1, 2)
    write(tmp_path / "c.csv", 3)
    (tmp_path / "d.ndjson").write_text('{"t": 4, "y": 1, "x": 1, "k": "a"}\n')
    rows = pa.table({"t": [0, 1], "y": [1.0, 2.0], "x": [1, 2], "k": ["a", "b"]})
    pq.write_table(rows, tmp_path / "a.parquet")
    planned = plan(str(tmp_path / "*"), SCHEMA)
    assert [os.path.basename(file.path) for file in planned.files] == [
        "a.parquet",
        "b.csv",
        "c.csv",
        "d.ndjson",
    ]
    assert [file.first for file in planned.files] == [0, 2, 4, 5]
    assert planned.rows == 6
    found = rows_of(planned)
    assert [row[ID] for row in found] == list(range(6))
    assert [os.path.basename(str(row["path"])) for row in found] == [
        *["a.parquet"] * 2,
        *["b.csv"] * 2,
        "c.csv",
        "d.ndjson",
    ]


@pytest.mark.usefixtures("two_rows_a_block")
def test_chunks_are_in_the_order_of_their_least_time(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", 50, 51, 10, 90, 30, 31)
    write(tmp_path / "b.csv", 20, 21, 10, 11)
    write(tmp_path / "c.csv", 10)
    planned = plan(str(tmp_path / "*.csv"), SCHEMA)
    result = [(c.least // SECOND, c.greatest // SECOND, c.file, c.first) for c in planned.chunks]
    assert result == [
        (10, 90, 0, 2),
        (10, 11, 1, 8),
        (10, 10, 2, 10),
        (20, 21, 1, 6),
        (30, 31, 0, 4),
        (50, 51, 0, 0),
    ]


@pytest.mark.usefixtures("two_rows_a_block")
def test_a_chunk_without_a_time_takes_that_of_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "x", "y", 50, 70, "z", "z", 40, "x")
    write(tmp_path / "b.csv", "x", "y")
    planned = plan(str(tmp_path / "*.csv"), SCHEMA)
    result = {(c.file, c.first): (c.least // SECOND, c.greatest // SECOND) for c in planned.chunks}
    assert result == {(0, 0): (50, 50), (0, 2): (50, 70), (0, 4): (50, 50), (0, 6): (40, 40)} | {
        (1, 8): (40, 40)
    }


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.lists(st.one_of(st.integers(0, 999), st.just("x")), max_size=8), min_size=1, max_size=3
    ),
    st.integers(8, 60),
)
def test_no_row_is_earlier_than_its_chunk_and_none_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[list[object]], block: int
) -> None:
    monkeypatch.setattr(text, "BLOCK", block)
    for old in tmp_path.glob("*.csv"):
        old.unlink()
    for number, times in enumerate(files):
        write(tmp_path / f"{number}.csv", *times)
    every = [time for times in files for time in times]
    if every and all(time == "x" for time in every):
        assert "has a readable time" in refusal(str(tmp_path / "*.csv"))
        return
    planned = plan(str(tmp_path / "*.csv"), SCHEMA)
    assert planned.rows == len(every)
    leasts = [chunk.least for chunk in planned.chunks]
    assert leasts == sorted(leasts)
    found = [row[TIME] for row in rows_of(planned)]
    seconds = [None if time is None else time.timestamp() for time in found]  # type: ignore[attr-defined]
    assert seconds == [None if time == "x" else time for time in every]


def test_files_and_chunks_are_small_to_pickle(tmp_path: Path) -> None:
    planned = plan(write(tmp_path / "a.csv", 1, 2), SCHEMA)
    assert len(pickle.dumps(planned.chunks[0])) < 200
    file, chunk = pickle.loads(pickle.dumps((planned.files[0], planned.chunks[0])))
    assert (file, chunk) == (planned.files[0], planned.chunks[0])
    assert next(read(file, chunk, SCHEMA, 10)).num_rows == 2


@pytest.mark.usefixtures("two_rows_a_block")
def test_progress_is_reported_in_lines_that_name_file_and_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 1, 2, 3)
    messages: list[str] = []
    plan(str(tmp_path / "*.csv"), SCHEMA, messages.append)
    start = f"looking through {path} (1 of 1): "
    assert messages == [start + "2 rows", start + "3 rows"]


def test_a_changed_text_file_is_noticed(tmp_path: Path) -> None:
    planned = plan(write(tmp_path / "a.csv", 1, 2, 3), SCHEMA)
    write(tmp_path / "a.csv", 1, 2)
    with pytest.raises(UserError, match="has changed since it was planned: its bytes are others"):
        list(read(planned.files[0], planned.chunks[0], SCHEMA, 10))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.ndjson", "a.parquet"])
def test_a_file_that_is_not_local_is_read_through_beam(tmp_path: Path, name: str) -> None:
    rows = pa.table({"t": [0, 1], "y": [1.0, 2.0], "x": [1.0, 2.0], "k": ["a", "b"]})
    path = tmp_path / name
    as_csv = rows.to_pandas().to_csv(index=False).encode()
    if name == "a.parquet":
        pq.write_table(rows, path)
    elif name == "a.ndjson":
        path.write_text(rows.to_pandas().to_json(orient="records", lines=True))
    else:
        path.write_bytes(gzip.compress(as_csv) if name.endswith(".gz") else as_csv)
    local = rows_of(plan(str(path), SCHEMA))
    remote = rows_of(plan(f"bucket:/{tmp_path}/*", SCHEMA))
    assert [row["path"] for row in remote] == [f"bucket:/{path}"] * 2
    assert remote == [row | {"path": f"bucket:/{path}"} for row in local]


def test_no_file_is_refused(tmp_path: Path) -> None:
    for pattern in ("none.csv", "*.csv", "none/*.csv"):
        path = str(tmp_path / pattern)
        assert refusal(path) == f"--input {path}: no file matches"


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    assert refusal(str(tmp_path)).startswith(f"--input {tmp_path}: no file below it is of a known")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    for name in ("a.csv", "a.ndjson", "a.parquet", "a.csv.gz"):
        path = tmp_path / name
        path.touch()
        assert refusal(str(path)) == f"{path}: is empty (0 bytes)"


@pytest.mark.parametrize("name", ["a.dat", "a.csv.1", "a.csv.lz4", "a.parquet.gz", "a.gz"])
def test_an_unknown_suffix_is_refused_with_those_allowed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(HEADER)
    message = refusal(str(path))
    assert message.startswith(f"{path}: ")
    assert ".csv, .tsv, .txt, .ndjson, .jsonl, .json, .parquet, .pq (text may have" in message


def test_a_file_without_a_suffix_is_text_unless_it_is_found_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "part-0").write_text(HEADER + "2026-01-01T00:00:00Z,1,2,a\n")
    (tmp_path / "part-1").write_text('{"t": "2026-01-01T00:00:01Z", "y": 1, "x": 2, "k": "a"}\n')
    planned = plan(f"{tmp_path}/part-*", SCHEMA)
    assert [file.format for file in planned.files] == ["csv", "ndjson"] and planned.rows == 2
    assert plan(f"{tmp_path}/part-0", SCHEMA).rows == 1
    (tmp_path / "a.csv").write_text(HEADER + "2026-01-01T00:00:00Z,1,2,a\n")
    planned = plan(str(tmp_path), SCHEMA)
    assert [file.path for file in planned.files] == [f"{tmp_path}/a.csv"]
    assert "2 left out (files of no known format)" in planned.messages[0]


def test_an_unknown_file_system_is_refused() -> None:
    assert refusal("nowhere://a/*.csv").startswith("--input nowhere://a/*.csv: nowhere:// is not")


@pytest.mark.parametrize("name", ["a.csv", "a.ndjson", "a.parquet"])
def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    path.write_text(HEADER)

    def denied(path: str) -> object:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("reading.streams.pa.OSFile", denied)
    message = refusal(str(path))
    assert message.startswith(f"{path}: cannot be read: ")
    assert "Permission denied" in message


def test_an_input_without_a_readable_time_is_refused_with_an_example(tmp_path: Path) -> None:
    write(tmp_path / "a.csv")
    path = write(tmp_path / "b.csv", "May", "Jun")
    message = refusal(str(tmp_path / "*.csv"))
    assert message.startswith(f"{path}: column 't' (the time): none of the 2 rows")
    assert "(the first is 'May')" in message


def test_files_without_rows_are_a_plan_without_chunks(tmp_path: Path) -> None:
    write(tmp_path / "a.csv")
    write(tmp_path / "b.csv")
    planned = plan(str(tmp_path / "*.csv"), SCHEMA)
    assert (len(planned.files), planned.chunks, planned.rows) == (2, (), 0)


@pytest.mark.parametrize("pattern", ["*.csv", "a*.csv", "./*.csv", "a.csv", "?.csv"])
def test_a_glob_in_the_current_folder_finds_files_by_their_names(
    pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(f"{','.join(SCHEMA.columns)}\n")
    [file] = plan(pattern, SCHEMA).files
    assert Path(file.path) == Path("a.csv")


def test_a_glob_of_folders_finds_the_files_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("d1", "d2"):
        Path(folder).mkdir()
        Path(folder, "a.csv").write_text(f"{','.join(SCHEMA.columns)}\n")
    assert [file.path for file in plan("d*/a.csv", SCHEMA).files] == ["d1/a.csv", "d2/a.csv"]
