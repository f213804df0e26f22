"""Bad input, through the command line: a line and exit code 2, or rejects that are counted."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.kit.job import (
    GOOD,
    HEADER,
    ROOT,
    SCHEMA,
    SMALL,
    Job,
    assert_whole,
    content,
    error_lines,
    finish,
    metrics,
    models,
    process,
    rejects,
    resume_options,
    status,
)

ISO = "must be ISO 8601 text, epoch seconds or a timestamp, in the years 1 to 9999"
NUMBER = "must be a finite number or null"
FILES = ["--schema", "s.toml", "--learner", "ridge", "--min-rows", "1", "--max-rejected", "1"]
FILES += ["--output", "o"]


def parquet(**columns: object) -> bytes:
    """A Parquet file of one row."""
    table = {"t": ["2026-01-01"], "y": [1.0], "x": [1.0], "c": ["a"], **columns}
    buffer = io.BytesIO()
    pq.write_table(pa.table(table), buffer)
    return buffer.getvalue()


def twice(name: str) -> bytes:
    """A Parquet file that has a column twice."""
    columns = ["t", "y", "x", "c", name]
    arrays = [pa.array([1.0]) if n in "yx" else pa.array(["a"]) for n in columns]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=columns), buffer)
    return buffer.getvalue()


REFUSED_FILES: dict[str, tuple[str, bytes, str]] = {
    "an empty file": ("in.csv", b"", "in.csv: is empty (0 bytes)"),
    "an empty Parquet file": ("in.parquet", b"", "in.parquet: is empty (0 bytes)"),
    "blank lines only": ("in.csv", b"\n\n", "has no header row: it holds blank lines only"),
    "a suffix that is unknown": ("in.xlsx", b"x", "in.xlsx: the format goes by the suffix, "),
    "no Parquet at all": ("in.parquet", b"t,y,x,c\n" * 9, "is not a Parquet file, or is cut off"),
    "Parquet without its end": ("in.parquet", parquet()[:-20], "or is cut off"),
    "Parquet without its beginning": ("in.parquet", parquet()[300:], "in.parquet: "),
    "CSV with colons": (
        "in.csv",
        (HEADER + GOOD).replace(",", ":").encode(),
        "has no column 't': its columns are t:y:x:c",
    ),
    "CSV without a header": ("in.csv", GOOD.encode(), "has no column 't': its columns are 2026"),
    "Latin-1 text": (
        "in.csv",
        (HEADER + "2026-01-01,1,1,S\u00e3o\n").encode("latin-1"),
        "in.csv: is not UTF-8 text: byte 24 is 0xe3",
    ),
    "a Latin-1 header": ("in.csv", "t,y,x,c,\u00e3\n1,1,1,a,a\n".encode("latin-1"), "not UTF-8"),
    "UTF-16 text without a mark": (
        "in.csv",
        (HEADER + GOOD).encode("utf-16-le"),
        'in.csv: holds zero bytes: is it [csv] encoding = "utf-16-le"?',
    ),
    "a column that is there twice": (
        "in.csv",
        b"t,y,x,c,x\n2026-01-01,1,2,a,3\n",
        "in.csv: has 2 columns 'x': it must have one",
    ),
    "a Parquet column that is there twice": ("in.parquet", twice("x"), "has 2 columns 'x'"),
    "a quote that is not closed": (
        "in.csv",
        (HEADER + GOOD + '2026-01-01,1,1,"a\n').encode(),
        "in.csv:11: a quote that is opened in this row is never closed",
    ),
    "a column that is missing": ("in.csv", b"t,y,c\n1,1,a\n", "has no column 'x': its columns are"),
    "a Parquet target of text": (
        "in.parquet",
        parquet(y=["1.5"]),
        f"in.parquet: column 'y' is of type string: {NUMBER}",
    ),
    "a Parquet feature of lists": ("in.parquet", parquet(x=[[1.0]]), "column 'x' is of type list"),
    "a Parquet time that can be none": (
        "in.parquet",
        parquet(t=[[1]]),
        f"list<element: int64>: {ISO}",
    ),
    "a Parquet category of lists": (
        "in.parquet",
        parquet(c=[[1.5]]),
        "column 'c' is of type list<element: double>: must be text, a number, a boolean, a date",
    ),
    "no time that can be read": (
        "in.csv",
        (HEADER + "soon,1,1,a\n,1,1,a\n").encode(),
        f"none of the 2 rows has a readable time (the first is 'soon'): {ISO}",
    ),
    "a JSON array of numbers": ("in.json", b"[1]\n", "none of its first 1 lines is a JSON object"),
    "a JSON array cut off": ("in.json", b'[{"t": 1}, {"t"', "its JSON array does not end: is the"),
    "NDJSON without a column": (
        "in.ndjson",
        b'{"t": 1, "y": 1, "c": "a"}\n',
        "has no column 'x': its columns are t, y, c",
    ),
    "text that is not gzip": ("in.csv.gz", b"t,y,x,c\n", "in.csv.gz: cannot be read"),
    "gzip without its end": ("in.csv.gz", gzip.compress(GOOD.encode())[:-30], "cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED_FILES)
def test_a_file_is_refused_in_a_line_before_anything_is_written(case: str, job: Job) -> None:
    name, data, result = REFUSED_FILES[case]
    Path(name).write_bytes(data)
    Path("s.toml").write_text(SCHEMA)
    assert result in job.refused("--input", name, *FILES)
    assert not Path("o").exists()


def without(line: str) -> str:
    assert line in SCHEMA
    return SCHEMA.replace(line, "")


REFUSED_SCHEMAS = {
    "no target": (without('target = "y"\n'), "--schema s.toml: target: is missing"),
    "no time": (without('time = "t"\n'), "--schema s.toml: time: is missing"),
    "no table of features": (SCHEMA.partition("[f")[0], "features: is missing"),
    "no feature": (
        without('numeric = ["x"]\n').replace('["a"]', "[]").replace('["c"]', "[]"),
        "features: at least one numeric or categorical column is needed",
    ),
    "an unknown key": (SCHEMA + "colour = 1\n", "features.colour: is not a known key"),
    "a column twice": (SCHEMA.replace('["x"]', '["x", "x"]'), "column 'x' has two roles"),
    "the target as a feature": (SCHEMA.replace('["x"]', '["y"]'), "column 'y' has two roles"),
    "the time as a category": (SCHEMA.replace('["c"]', '["t"]'), "column 't' has two roles"),
    "a column of the job's own": (SCHEMA.replace('"x"', '"__id"'), "must not begin with '__'"),
    "an empty name": (SCHEMA.replace('"s"', '""'), "name: must not be empty"),
    "a number for a name": (SCHEMA.replace('"y"', "5"), "target: must be text"),
    "a long delimiter": (
        SCHEMA + '[csv]\ndelimiter = ";;"\n',
        "csv.delimiter: must be one character",
    ),
    "a quote as delimiter": (SCHEMA + "[csv]\ndelimiter = '\"'\n", "[csv] delimiter is '\"'"),
    "no TOML": ("name =", "--schema s.toml: is not TOML: "),
    "a column that the file lacks": (SCHEMA.replace('"x"', '"zz"'), "in.csv: has no column 'zz'"),
}


@pytest.mark.parametrize("case", REFUSED_SCHEMAS)
def test_a_schema_is_refused_in_a_line_before_anything_is_written(case: str, job: Job) -> None:
    text, result = REFUSED_SCHEMAS[case]
    Path("s.toml").write_text(text)
    Path("in.csv").write_text(HEADER + GOOD)
    assert result in job.refused("--input", "in.csv", *FILES)
    assert not Path("o").exists()


def test_a_schema_that_is_missing_a_folder_or_no_text_is_refused(job: Job) -> None:
    Path("in.csv").write_text(HEADER + GOOD)
    argv = ["--input", "in.csv", "--output", "o", "--schema"]
    assert job.refused(*argv, "no.toml").endswith("cannot be read: No such file or directory")
    assert job.refused(*argv, ".").endswith("cannot be read: Is a directory")
    Path("s.toml").write_bytes(b"name = '\xe3'")
    assert "--schema s.toml: is not UTF-8 text" in job.refused(*argv, "s.toml")


REFUSED_WORDS: dict[str, tuple[list[str], str]] = {
    "a file that is missing": (["--input", "no.csv"], "--input no.csv: no file matches"),
    "a glob without a match": (["--input", "*.parquet"], "--input *.parquet: no file matches"),
    "a folder without data": (["--input", "empty"], "--input empty: no file matches"),
    "a file system that is unknown": (["--input", "foo://a.csv"], "foo:// is not known: must be"),
    "an address on the web": (["--input", "https://a.org/b.csv"], "download it first (curl "),
    "an unknown learner": (
        ["--learner", "tree"],
        "--learner 'tree': must be forest, ridge, boosting, or",
    ),
    "a module that is missing": (["--learner", "no.such:f"], "--learner no.such:f: cannot be"),
    "a factory that is missing": (["--learner", "json:f"], "--learner json:f: cannot be imported"),
    "a factory of something else": (["--learner", "builtins:dict"], "a regressor with fit and"),
    "an unknown parameter": (["--learner-param", "depth=8"], "--learner ridge: "),
    "a parameter's bad value": (["--learner-param", "alpha=-1"], "--learner ridge: "),
    "a window that is not a multiple": (["--window", "90", "--every", "60"], "--window 90s is not"),
    "a latency that does not divide": (["--latency", "7"], "--latency 7s does not divide"),
    "live files": (["--live"], "--live goes with --source people"),
    "an unknown runner": (["--runner", "spark"], "--runner spark: "),
    "resume of no run": (["--resume"], "o: holds no run"),
}


@pytest.mark.parametrize("case", REFUSED_WORDS)
def test_a_word_is_refused_in_a_line_before_anything_is_written(case: str, job: Job) -> None:
    argv, result = REFUSED_WORDS[case]
    Path("s.toml").write_text(SCHEMA)
    Path("in.csv").write_text(HEADER + GOOD)
    assert result in job.refused("--input", "in.csv", *FILES, *argv)
    assert not Path("o").exists()


def test_a_process_ends_with_2_and_one_line(home: Path) -> None:
    ended = finish(process("--refreshes", 0))
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith("error: --refreshes 0 needs a runner that streams")
    assert list(home.iterdir()) == []


def find_rejects(
    job: Job, text: str, name: str = "in.csv", schema: str = SCHEMA
) -> list[dict[str, Any]]:
    """Runs the job on good rows and these; gives the rejects, after counting all of them."""
    Path("s.toml").write_text(schema)
    Path(name).write_text(text)
    result = job.ran("--input", name, *FILES)
    assert_whole("o")
    found = rejects("o")
    for report in metrics("o"):
        refresh = report["refresh_start"].replace("-", "").replace(":", "")
        dated = found.get(refresh, [])
        assert report["rejected"] >= len(dated)
    rows = [reject for refresh in found.values() for reject in refresh]
    total = sum(report["rejected"] for report in metrics("o"))
    assert total == len(rows)
    accepted = sum(report["rows"] for report in metrics("o"))
    assert status("o")["rows_read"] == accepted + total
    assert f"{accepted + total:,} rows read" in result.out
    if rows:
        assert f"{total:,} of them rejected" in result.out
    return rows


AT = "2026-01-01T00:00:30Z"
BOUNDS = "must be a number from -1e+150 to 1e+150 or null"
REJECTED = {
    "of numbers": [
        (f"{AT},inf,1,a", f"column 'y': inf: {NUMBER}"),
        (f"{AT},1,-Infinity,a", f"column 'x': -inf: {NUMBER}"),
        (f"{AT},1e309,1,a", f"column 'y': inf: {NUMBER}"),
        (f"{AT},1e308,1,a", f"column 'y': 1e+308: {BOUNDS}"),
        (f"{AT},1,-1e308,a", f"column 'x': -1e+308: {BOUNDS}"),
        (f"{AT},1", "expected 4 fields, found 2"),
        (f"{AT},1,2,a,b", "expected 4 fields, found 5"),
        ("2026-13-01,1,1,a", f"column 't' (the time): '2026-13-01': {ISO}"),
        (f"{AT[:-3]}60Z,1,1,a", f"column 't' (the time): '{AT[:-3]}60Z': {ISO}"),
        ("01/02/2026 10:00,1,1,a", f"column 't' (the time): '01/02/2026 10:00': {ISO}"),
        (",1,1,a", f"column 't' (the time): '': {ISO}"),
    ],
    "with texts among the numbers": [
        (f"{AT},abc,1,a", f"column 'y': 'abc': {NUMBER}"),
        (f"{AT},1,1.2.3,a", f"column 'x': '1.2.3': {NUMBER}"),
        (f'{AT},"1,5",1,a', f"column 'y': '1,5': {NUMBER}"),
        (f"{AT},-inf,1,a", f"column 'y': '-inf': {NUMBER}"),
        (f"{AT},1,1e308,a", f"column 'x': '1e308': {BOUNDS}"),
        ("soon,x,1,a", f"column 't' (the time): 'soon': {ISO}"),
    ],
}
"""Rows, as they stand in a CSV file, with their reasons."""


@pytest.mark.parametrize("case", REJECTED)
def test_rows_are_rejected_with_their_lines_and_reasons_and_the_job_goes_on(
    case: str, job: Job
) -> None:
    text = "".join(line + "\n" for line, _ in REJECTED[case])
    found = find_rejects(job, HEADER + text + GOOD)
    message = {reject["where"]: reject["reason"] for reject in found}
    assert message == {f"in.csv:{n}": reason for n, (_, reason) in enumerate(REJECTED[case], 2)}
    undated = {reject["reason"] for reject in rejects("o")["undated"]}
    assert undated == {why for _, why in REJECTED[case] if "(the time)" in why or "fields" in why}
    assert sum(report["rows"] for report in metrics("o")) == 9
    assert len(models("o")) == 3


def test_a_column_of_text_targets_is_one_error_that_says_what_to_set(job: Job) -> None:
    rows = "".join(f"2026-01-01T00:0{m}:00Z,a,1,a\n" for m in range(3))
    Path("s.toml").write_text(SCHEMA)
    Path("in.csv").write_text(HEADER + rows)
    result = job("--input", "in.csv", *FILES)
    assert result.code == 2
    assert 'if it is a class, set task = "classification" in the schema' in result.err
    assert not Path("o").exists()


def test_ndjson_rejects_have_their_lines_and_reasons(job: Job) -> None:
    good = {"t": "2026-01-01T00:00:00Z", "y": 1, "x": 2, "c": "a"}
    bad = [
        (json.dumps({**good, "y": "one"}), f"column 'y': 'one': {NUMBER}"),
        (json.dumps({**good, "y": float("inf")}), f"column 'y': inf: {NUMBER}"),
        (json.dumps({**good, "x": {}}), f"column 'x': {{}}: {NUMBER}"),
        (json.dumps({k: v for k, v in good.items() if k != "t"}), "column 't' (the time): null: "),
        (json.dumps({**good, "t": True}), f"column 't': True: {ISO}"),
        ('{"t": 5', "is not JSON: "),
        ("[1]", "is not a JSON object"),
    ]
    lines = [json.dumps(good), "", *(line for line, _ in bad), json.dumps({**good, "x": None})]
    found = {r["where"]: r["reason"] for r in find_rejects(job, "\n".join(lines), "in.ndjson")}
    assert sorted(found) == [f"in.ndjson:{number}" for number in range(3, 10)]
    for number, (_, reason) in enumerate(bad, 3):
        assert found[f"in.ndjson:{number}"].startswith(reason)


def test_nan_and_empty_are_null_and_no_reject(job: Job) -> None:
    rows = [f"{AT},{y},{x},a" for y, x in [("nan", 1), ("NaN", "NaN"), ("", ""), ("NA", 1)]]
    assert find_rejects(job, HEADER + GOOD + "\n".join(rows)) == []
    first = metrics("o")[0]
    assert (first["rows"], first["unlabelled"]) == (7, 4)
    assert models("o")["20260101T000100Z"]["rows"] == 3


def test_times_of_several_zones_and_forms_in_one_column_are_the_same_minute(job: Job) -> None:
    same = ["2026-01-01T02:00:30+02:00", "2025-12-31 21:00:30-0300", "2026-01-01T00:00:30.5"]
    same += [
        "1767225630",
        "1767225630.25",
        "2026-01-01T00:00:30Z",
        "2026-01-01 00:00",
        "2026-01-01",
    ]
    assert find_rejects(job, HEADER + "".join(f"{time},1,1,a\n" for time in same)) == []
    assert [(r["refresh_start"], r["rows"]) for r in metrics("o")] == [("2026-01-01T00:00:00Z", 8)]


def test_times_before_1970_fall_into_their_own_refreshes(job: Job) -> None:
    times = ["1965-01-01T00:00:00Z", "1965-01-01T00:00:59.9999Z", "1965-01-01T00:01:00Z"]
    assert find_rejects(job, HEADER + "".join(f"{time},1,1,a\n" for time in times)) == []
    result = [(r["refresh_start"], r["rows"], r["model"]) for r in metrics("o")]
    assert result == [
        ("1965-01-01T00:00:00Z", 2, None),
        ("1965-01-01T00:01:00Z", 1, "19650101T000100Z"),
    ]


def test_a_header_alone_is_a_run_without_a_refresh(job: Job) -> None:
    assert find_rejects(job, HEADER) == []
    assert metrics("o") == [] and models("o") == {}
    assert status("o")["state"] == "done"


def test_an_ndjson_file_of_blank_lines_is_a_run_without_a_refresh(job: Job) -> None:
    assert find_rejects(job, "\n \n", "in.ndjson") == []


def test_rows_without_a_target_are_counted_and_train_no_model(job: Job) -> None:
    assert find_rejects(job, HEADER + f"{AT},,1,a\n2026-01-01T00:01:00Z,,1,a\n") == []
    assert [(r["rows"], r["unlabelled"], r["model"]) for r in metrics("o")] == [(1, 1, None)] * 2
    assert models("o") == {}


HOSTILE = ["ti me", '"] \n/[b]', "../x", "{c}[/red]"]


def test_names_full_of_marks_are_names(job: Job) -> None:
    quoted = [json.dumps(name) for name in HOSTILE]
    schema = (
        f'name = "[/x] {{}}"\ntime = {quoted[0]}\ntarget = {quoted[1]}\n'
        f"[features]\nnumeric = [{quoted[2]}]\ncategorical = [{quoted[3]}]\n"
    )
    header = ",".join('"' + name.replace('"', '""') + '"' for name in HOSTILE)
    text = f"{header}\n{GOOD}{AT},1,inf,[/bold]\n"
    [reject] = find_rejects(job, text, schema=schema)
    assert list(reject["row"]) == HOSTILE
    assert reject["where"] == "in.csv:12"
    assert set(models("o")["20260101T000100Z"]["statistics"]) == set(HOSTILE[1:])


def test_file_names_full_of_marks_are_names(job: Job) -> None:
    names = ["$(touch x).csv", "[bold].csv", "a b.csv", "\u00e3.csv"]
    Path("s.toml").write_text(SCHEMA)
    Path("d[").mkdir()
    for name in names:
        Path("d[", name).write_text(HEADER + GOOD + f"{AT},inf,1,a\n")
    job.ran("--input", "d?/*.csv", *FILES)
    [found] = rejects("o").values()
    assert [reject["where"] for reject in found] == [f"d[/{name}:11" for name in names]
    assert not Path("x").exists()


def test_several_files_count_their_lines_apart(job: Job) -> None:
    Path("s.toml").write_text(SCHEMA)
    for number in (1, 2):
        Path(f"in{number}.csv").write_text(HEADER + GOOD + f"{AT},inf,{number},a\n")
    job.ran("--input", "in*.csv", *FILES)
    [found] = rejects("o").values()
    assert [reject["where"] for reject in found] == ["in1.csv:11", "in2.csv:11"]
    assert sum(report["rows"] + report["rejected"] for report in metrics("o")) == 20


def test_rows_read_are_rows_and_rejects_whatever_the_file(job: Job) -> None:
    rng = np.random.default_rng(5)
    lines = [line for rows in REJECTED.values() for line, _ in rows]
    good = [f"2026-01-01T00:0{m}:{s:02d}Z,{m},{s},a" for m in range(9) for s in range(60)]
    mixed = [*good, *(lines[i] for i in rng.integers(0, len(lines), 300))]
    text = HEADER + "\n".join(mixed[i] for i in rng.permutation(len(mixed)))
    Path("s.toml").write_text(SCHEMA)
    Path("in.csv").write_text(text)
    job.ran("--input", "in.csv", *FILES, "--batch-rows", 50, "--window", "2m", "--every", "1m")
    assert sum(report["rows"] for report in metrics("o")) == len(good)
    assert sum(report["rejected"] for report in metrics("o")) == 300
    assert sum(len(found) for found in rejects("o").values()) == 300


@pytest.fixture
def small_disk(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on a disk with room for 200 KiB: a tmpfs; or else a disk that is made believe."""
    disk = home / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:
        yield disk
        subprocess.run(["umount", str(disk)], check=True)
        return
    pretend_full(monkeypatch, 200 * 1024)
    yield disk


def pretend_full(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Files are written until so many bytes stand on the disk; the last one by half."""
    write, left = Path.write_bytes, [room]

    def write_bytes(path: Path, data: bytes) -> int:
        if len(data) > left[0]:
            write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(path, data)  # not if its folder is missing
        left[0] -= written
        return written

    monkeypatch.setattr(Path, "write_bytes", write_bytes)


def test_a_full_disk_ends_the_run_with_one_line_and_no_half_file(
    small_disk: Path, job: Job
) -> None:
    argv = [*SMALL, "--rate", 50, "--refreshes", 6, "--output", small_disk / "o"]
    result = job(*argv)
    assert result.code == 1
    assert "error: the job failed: " in result.error
    assert "[Errno 28] No space left on device" in result.error
    assert len(error_lines(result)) == 4 and result.out == ""
    assert_whole(small_disk / "o")
    assert not [path for path in small_disk.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize("room", [0, 1_000, 60_000])
def test_however_full_the_disk_is_it_is_reported_in_a_line(
    room: int, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_full(monkeypatch, room)
    result = job(*SMALL, "--output", "o")
    assert result.code == (1 if room else 2)  # settings.json is written first
    assert "No space left on device" in result.error
    assert_whole("o")
    assert not list(Path("o").rglob(".*"))


def test_a_process_that_may_not_write_so_much_ends_with_one_line_of_error(home: Path) -> None:
    result = finish(process(*SMALL, "--output", "o", longest=10_000))
    assert (result.code, result.out) == (1, "")
    assert "the job failed: " in result.error and "[Errno 27] File too large" in result.error
    assert [line.split()[0] for line in error_lines(result)[:-1]] == ["people", "error:", "what"]
    assert resume_options(result) == [*SMALL, "--output", "o", "--resume"]
    assert_whole("o")


def test_a_run_goes_on_when_the_disk_has_room_again(job: Job) -> None:
    with pytest.MonkeyPatch.context() as patch:
        pretend_full(patch, 60_000)
        assert job(*SMALL, "--output", "o").code == 1
    job.ran(*SMALL, "--output", "o", "--resume")
    job.ran(*SMALL, "--output", "p")
    assert content("o") == content("p")


def test_a_file_that_changes_while_it_is_read_fails_with_a_line(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline import run

    Path("s.toml").write_text(SCHEMA)
    Path("in.csv").write_text(HEADER + GOOD)
    execute = run.execute

    def changed(*given: object) -> int:
        Path("in.csv").write_text(HEADER + GOOD[:60])
        return execute(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "execute", changed)
    result = job("--input", "in.csv", *FILES)
    assert result.code == 1
    assert "in.csv" in result.error and "changed since it was planned" in result.error
    assert status("o")["state"] == "failed"


def test_rows_at_both_ends_of_time_and_columns_named_as_ours_are_no_trouble(job: Job) -> None:
    Path("s.toml").write_text(
        'name = "s"\ntime = "t"\ntarget = "id"\n[features]\n'
        'numeric = ["x", "x (normalized)", "prediction", "late"]\n'
    )
    times = ("0001-01-01T00:00:01Z", "2026-01-01T00:00:00Z", "9899-12-31T23:59:59Z")
    lines = [f"{time},{n},1,2,3,4" for n, time in enumerate(times)]
    Path("in.csv").write_text("\n".join(["t,id,x,x (normalized),prediction,late", *lines]) + "\n")
    argv = ["--input", "in.csv", "--schema", "s.toml", "--window", "7d", "--learner", "ridge"]
    argv += ["--latest", "9900-01-01", "--min-rows", "1"]
    job.ran(*argv, "--output", "o")
    result = metrics("o")
    assert [refresh["rows"] for refresh in result] == [1, 1, 1]
    assert [refresh["scored"] for refresh in result] == [0, 1, 1]
    [sample] = Path("o/sample").glob("2026*.parquet")
    names = pq.read_schema(sample).names
    assert len(set(names)) == len(names) and {"prediction", "x (normalized)"} <= set(names)


@pytest.mark.parametrize("mebibytes", [300, 900])
@pytest.mark.slow
def test_a_run_without_enough_memory_fails_and_is_not_called_interrupted(
    mebibytes: int, home: Path
) -> None:
    command = [sys.executable, "-m", "pipeline", *SMALL, "--output", "o"]
    limited = ["sh", "-c", f'ulimit -v {mebibytes << 10} && exec "$@"', "sh", *command]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(limited, capture_output=True, text=True, env=env, timeout=600)
    assert ended.returncode == 1, ended.stderr
    assert "interrupted" not in ended.stderr
    assert_whole("o")
