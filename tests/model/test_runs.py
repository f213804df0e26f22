"""A run's folder: every reader gives what plain Python reads from the same files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.errors import UserError
from model.metrics import Sums, compute_metrics
from model.runs import RunFolder, parse_json

MINUTE = 60_000_000
NAMES = ["19700101T000100Z", "19700101T000200Z", "19700101T000300Z"]
SETTINGS = {
    "schema": {"name": "s", "time": "t", "target": "y", "features": {"numeric": ["x"]}},
    **{"learner": "ridge", "window": 60, "every": 30},
}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run's folder with three refreshes."""
    for minute, name in enumerate(NAMES, 1):
        report = compute_metrics(Sums(rows=minute), minute * MINUTE, (minute + 1) * MINUTE)
        write(tmp_path, f"metrics/{name}.json", report.as_json())
        write(tmp_path, f"sample/{name}.parquet", b"")
        for shard in range(2):
            write(tmp_path, f"predictions/{name}/{shard:05}.parquet", b"")
        write(tmp_path, f"rejected/{name}/0.ndjson", b"")
    write(tmp_path, "rejected/undated/0.ndjson", b"")
    write(tmp_path, "metrics/.19700101T000400Z.json.1.2.part", b"half")
    return RunFolder(str(tmp_path))


def write(folder: Path, name: str, data: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def test_reports_are_read_in_the_order_of_their_refreshes(folder: RunFolder) -> None:
    assert folder.report_names() == NAMES
    assert [report.rows for report in folder.reports()] == [1, 2, 3]
    assert folder.read_report(NAMES[1]).refresh_start == "1970-01-01T00:02:00Z"
    assert folder.reported() == {MINUTE, 2 * MINUTE, 3 * MINUTE}


def test_files_of_rows_are_found_by_the_refresh_that_they_are_of(folder: RunFolder) -> None:
    root = Path(folder.path)
    assert folder.samples() == {name: str(root / "sample" / f"{name}.parquet") for name in NAMES}
    expected = {
        name: [str(root / "predictions" / name / f"0000{shard}.parquet") for shard in range(2)]
        for name in NAMES
    }
    assert folder.prediction_files() == expected
    assert list(folder.prediction_files()) == NAMES


def test_rejects_come_newest_first_and_those_without_a_time_last(folder: RunFolder) -> None:
    places = [Path(path).parent.name for path in folder.reject_files()]
    assert places == [*reversed(NAMES), "undated"]


def test_an_empty_folder_has_nothing_to_read(tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path))
    lists = (folder.report_names(), folder.reports(), folder.skips(), folder.timed())
    assert [*lists, folder.reject_files()] == [[]] * 5
    assert (folder.samples(), folder.prediction_files(), folder.has_ended()) == ({}, {}, False)
    with pytest.raises(FileNotFoundError):
        folder.read_status()


def test_the_settings_that_readers_need_are_checked_by_name(tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path))
    write(tmp_path, "settings.json", json.dumps({"format": 1, **SETTINGS}).encode())
    found = folder.parse_settings(folder.read_settings())
    assert (found.data_schema.target, found.window, found.every, found.live) == ("y", 60, 30, False)
    for changed, problem in (
        ({"window": 0}, "window: "),
        ({"learner": 1}, "learner: "),
        ({"schema": {}}, "schema.name: is missing"),
    ):
        with pytest.raises(UserError, match=r"settings\.json: is not a run's: ") as refused:
            folder.parse_settings({**SETTINGS, **changed})
        assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("state", "ended"), [("running", False), ("done", True), ("drained", True), ("failed", True)]
)
def test_a_status_shows_whether_the_run_has_ended(state: str, ended: bool, tmp_path: Path) -> None:
    status = {"format": 1, "state": state, "updated": "2026-01-01T00:00:00Z", "later": 1}
    write(tmp_path, "status.json", json.dumps(status).encode())
    assert RunFolder(str(tmp_path)).read_status().has_ended is ended


@pytest.mark.parametrize("data", [b"", b"[]", b'"x"', b'{"a": NaN}', b'{"a": 1e999}', b"[" * 9999])
def test_json_that_is_no_object_of_finite_numbers_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(data)
