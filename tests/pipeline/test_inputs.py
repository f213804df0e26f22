"""Which files a run has read, and how a resumed one knows them again."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.asof import format_name
from model.errors import UserError
from model.runs import RunFolder
from model.schema import Features, Schema
from pipeline.inputs import (
    KnownFile,
    check_known,
    check_new,
    check_none_new,
    files_before,
    known_files,
)
from pipeline.source import file_source
from reading import plan
from tests.kit.job import HEADER, SCHEMA, make_settings

FOLDER = RunFolder("o")
MINUTE = 60_000_000
START = 1_767_225_600_000_000  # 2026-01-01
COLUMNS = Schema(
    name="s", time="t", target="y", features=Features(numeric=("x",), categorical=("c",))
)


def write(name: str, *minutes: int) -> None:
    rows = [f"2026-01-01T00:{minute:02d}:00Z,1,2,a\n" for minute in minutes]
    Path(name).write_text(HEADER + "".join(rows))


@pytest.fixture
def known(home: Path) -> list[KnownFile]:
    write("a.csv", 0, 1, 2)
    write("c.csv", 3, 4)
    return known_files(plan("*.csv", COLUMNS))


def refusal(pattern: str, known: list[KnownFile]) -> str:
    with pytest.raises(UserError) as caught:
        check_known(plan(pattern, COLUMNS, first=[f.path for f in known]), known, FOLDER)
    return str(caught.value)


def test_known_files_have_their_size_rows_and_first_ids(known: list[KnownFile]) -> None:
    assert [(file.path, file.first, file.rows) for file in known] == [
        ("a.csv", 0, 3),
        ("c.csv", 3, 2),
    ]
    assert [file.size for file in known] == [os.path.getsize(file.path) for file in known]


def test_known_files_come_first_and_keep_their_ids(known: list[KnownFile]) -> None:
    write("b.csv", 5)
    write("0.csv", 6)
    found = plan("*.csv", COLUMNS, first=[file.path for file in known])
    assert [(file.path, file.first) for file in found.files] == [
        *(("a.csv", 0), ("c.csv", 3)),
        *(("0.csv", 5), ("b.csv", 6)),
    ]
    check_known(found, known, FOLDER)
    assert known_files(found)[:2] == known


def test_a_copy_of_another_time_is_the_same_file(known: list[KnownFile]) -> None:
    for file in known:
        shutil.copy(file.path, "copy")
        os.replace("copy", file.path)
        os.utime(file.path, (1, 1))
    check_known(plan("*.csv", COLUMNS, first=[f.path for f in known]), known, FOLDER)


@pytest.mark.parametrize("form", ["csv", "csv.gz", "ndjson", "parquet"])
def test_a_changed_file_of_any_format_is_known_by_its_content(home: Path, form: str) -> None:
    def put(x: float) -> None:
        rows = [{"t": 60 * n, "y": 1.0, "x": x + n, "c": "a"} for n in range(9)]
        if form == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), "in.parquet")
            return
        text = HEADER + "".join(f"{r['t']},1.0,{r['x']},a\n" for r in rows)
        if form == "ndjson":
            text = "".join(json.dumps(row) + "\n" for row in rows)
        data = text.encode()
        Path(f"in.{form}").write_bytes(gzip.compress(data) if form.endswith("gz") else data)

    put(1.0)
    known = known_files(plan(f"in.{form}", COLUMNS))
    put(1.0)
    check_known(plan(f"in.{form}", COLUMNS), known, FOLDER)
    put(3.0)  # as many rows and bytes
    assert refusal(f"in.{form}", known).startswith(f"--resume o: in.{form} (9 rows, now 9): not as")


def test_a_file_that_is_gone_is_named(known: list[KnownFile]) -> None:
    Path("a.csv").unlink()
    assert refusal("*.csv", known) == (
        "--resume o: a.csv: not there any more: put it back as it was, or begin a new run with "
        "another --output"
    )


def test_a_file_that_grew_is_named_with_its_rows(known: list[KnownFile]) -> None:
    write("c.csv", 3, 4, 5)
    assert "c.csv (2 rows, now 3): not as the run has read it" in refusal("*.csv", known)


def test_a_new_file_with_rows_in_what_is_reported_is_named(known: list[KnownFile]) -> None:
    write("b.csv", 7, 4)
    write("d.csv", 5, 6)
    found = plan("*.csv", COLUMNS, first=[file.path for file in known])
    check_new(found, known, START + 4 * MINUTE, FOLDER)
    with pytest.raises(UserError) as caught:
        check_new(found, known, START + 5 * MINUTE, FOLDER)
    assert str(caught.value).startswith(
        "--resume o: b.csv (from 2026-01-01T00:04:00Z): new, with rows before 2026-01-01T00:05:00Z"
    )
    with pytest.raises(UserError, match=r"--resume o: b.csv, d.csv: new, where the run goes on"):
        check_none_new(found, known, FOLDER)


def resume_from(known: list[KnownFile], reported: set[int]) -> int | None:
    """From where a resumed run reports, in minutes from the start."""
    Path("s.toml").write_text(SCHEMA)
    for minute in reported:
        Path("o/metrics").mkdir(parents=True, exist_ok=True)
        name = format_name(START + minute * MINUTE)
        Path(f"o/metrics/{name}.json").write_text("{}")
    settings = make_settings(input="*.csv", schema_file="s.toml", resume=True, output="o")
    _, span = file_source(settings, FOLDER, lambda line: None, known=known)
    return None if span.report_from is None else (span.report_from - START) // MINUTE


def test_a_new_file_in_a_gap_of_what_is_reported_is_refused(home: Path) -> None:
    write("a.csv", 0, 1, 5)
    known = known_files(plan("*.csv", COLUMNS))
    write("b.csv", 3)
    with pytest.raises(UserError, match=r"b\.csv"):
        resume_from(known, {0, 1, 5})


def test_a_run_that_had_reported_nothing_takes_any_new_file(known: list[KnownFile]) -> None:
    write("0.csv", 0)
    assert resume_from(known, set()) == 0


def test_a_run_without_the_entry_is_resumed_as_ever(home: Path) -> None:
    Path("o").mkdir()
    Path("o/settings.json").write_text('{"format": 1}')
    assert files_before(FOLDER) == []
    Path("o/settings.json").write_text('{"format": 1, "files": [{"path": 3}]}')
    with pytest.raises(UserError, match=r"o/settings.json: is not a run's: files: "):
        files_before(FOLDER)
