"""``--resume`` of a run on files, after a file came into the glob, or one has changed."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import run
from tests.kit.job import HEADER, SCHEMA, Job, content, metrics

ARGV = ("--input", "*.csv", "--schema", "s.toml", "--learner", "ridge", "--output", "o")


def write(name: str, *minutes: int) -> None:
    rows = [
        f"2026-01-01T00:{minute:02d}:{second:02d}Z,{minute + 3 * second},{second},a\n"
        for minute in minutes
        for second in range(0, 60, 2)
    ]
    Path(name).write_text(HEADER + "".join(rows))


def ids(refresh: str) -> list[int]:
    table = pq.read_table(f"o/predictions/{refresh}")
    found: list[int] = sorted(table["id"].to_pylist())
    return found


def test_a_new_file_is_read_behind_the_others_and_loses_no_row(job: Job) -> None:
    Path("s.toml").write_text(SCHEMA)
    write("a.csv", 0, 1, 2)
    write("c.csv", 3, 4)
    job.ran(*ARGV)
    before = content("o")
    shutil.copy("c.csv", "copy")
    Path("copy").replace("c.csv")  # another time of writing, the same file
    Path("o/metrics/20260101T000400Z.json").unlink()
    job.ran(*ARGV, "--resume")
    assert content("o") == before

    write("b.csv", 5, 6)
    job.ran(*ARGV, "--resume")
    assert [refresh["rows"] for refresh in metrics("o")] == [30] * 7
    assert ids("20260101T000600Z") == list(range(180, 210))
    after = content("o")
    kept = {path for path in before if path.startswith(("metrics/", "predictions/", "sample/"))}
    assert len(kept) == 15 and {path: after[path] for path in kept} == {
        path: before[path] for path in kept
    }
    files = json.loads(Path("o/settings.json").read_text())["files"]
    assert [(file["path"], file["first"], file["rows"]) for file in files] == [
        *(("a.csv", 0, 90), ("c.csv", 90, 60), ("b.csv", 150, 60)),
    ]
    job.ran(*ARGV, "--resume")
    assert content("o") == after

    write("0.csv", 4, 7)
    assert "0.csv (from 2026-01-01T00:04:00Z): new, with rows before" in job.refused(
        *ARGV, "--resume"
    )
    Path("0.csv").unlink()
    write("a.csv", 0, 2, 2)
    assert "a.csv (90 rows, now 90): not as the run has read it" in job.refused(*ARGV, "--resume")
    assert content("o") == after


@pytest.mark.parametrize("name", ["in.csv", "in.ndjson", "in.csv.gz"])
def test_a_file_rewritten_while_the_job_reads_it_is_refused(
    name: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("s.toml").write_text(SCHEMA)

    def put(x: int) -> None:
        rows = [(f"2026-01-01T00:00:{s:02d}Z", s, x, "a") for s in range(10, 60)]
        text = HEADER + "".join(f"{t},{y},{x},{c}\n" for t, y, x, c in rows)
        if "ndjson" in name:
            text = "".join(json.dumps(dict(zip("tyxc", row, strict=True))) + "\n" for row in rows)
        data = text.encode()
        Path(name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)

    put(1)
    really = run.open_folder  # type: ignore[attr-defined]

    def rewrite(*args: object) -> None:
        put(2)  # as many rows and bytes, between the plan and the first row that is read
        really(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "open_folder", rewrite)
    result = job("--input", name, *ARGV[2:])
    assert result.code == 1 and f"{name}: has changed since it was planned" in result.error
    assert "Traceback" not in result.err
