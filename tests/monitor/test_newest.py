"""The newest files of a folder that grows: each is read once."""

from __future__ import annotations

import errno
from datetime import datetime, timedelta
from pathlib import Path

from model.exact import Exact
from model.metrics import Metrics, Sums, compute_metrics
from model.regression import RegressionSums
from monitor.newest import NewestFiles

MINUTE = 60_000_000


def report(folder: Path, number: int, mae: float = 1.0) -> str:
    """Writes the report of a minute; gives its name."""
    made = compute_metrics(
        Sums(rows=9, figures=RegressionSums(9, Exact.of(9 * mae))), number * MINUTE, number * MINUTE
    )
    name = (datetime(1970, 1, 1) + timedelta(minutes=number)).strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_bytes(made.as_json())
    return name


def test_of_a_thousand_reports_sixty_are_read_and_then_those_that_are_new(tmp_path: Path) -> None:
    for number in range(1_000):
        report(tmp_path, number)
    read: list[str] = []

    def parse(data: bytes) -> Metrics:
        made = Metrics.model_validate_json(data)
        read.append(made.refresh_start)
        return made

    newest = NewestFiles(str(tmp_path), "json", parse, 60)
    assert len(newest.look()) == len(read) == 60
    assert (read[0], read[-1]) == ("1970-01-01T15:40:00Z", "1970-01-01T16:39:00Z")
    new = report(tmp_path, 1_000)
    assert list(newest.look()) == [new]
    assert newest.look() == {}
    assert len(read) == 61
    assert (newest.count, len(newest.kept), list(newest.kept)[-1]) == (1_001, 60, new)


def test_reports_come_in_any_order_and_go(tmp_path: Path) -> None:
    newest = NewestFiles(str(tmp_path), "json", Metrics.model_validate_json, 3)
    assert newest.look() == {}
    later, first = report(tmp_path, 5), report(tmp_path, 2)
    assert list(newest.look()) == [first, later]
    between = report(tmp_path, 3)
    assert list(newest.look()) == [between]
    assert list(newest.kept) == [first, between, later]
    (tmp_path / f"{later}.json").unlink()
    assert newest.look() == {}
    assert (list(newest.kept), newest.count) == ([first, between], 2)
    assert [report(tmp_path, 5)] == list(newest.look())


def test_a_file_of_another_name_is_no_report(tmp_path: Path) -> None:
    for name in ("19701399T000000Z.json", "status.json", ".19700101T000000Z.json.1.2.part"):
        (tmp_path / name).write_text("{")
    assert NewestFiles(str(tmp_path), "json", Metrics.model_validate_json, 3).look() == {}


def test_a_local_file_that_cannot_be_read_is_noted_and_the_others_are_read(tmp_path: Path) -> None:
    first, second = report(tmp_path, 1), report(tmp_path, 2)

    def read(data: bytes) -> Metrics:
        made = Metrics.model_validate_json(data)
        if made.refresh_start == "1970-01-01T00:02:00Z":
            raise OSError(errno.EIO, "Input/output error")
        return made

    newest = NewestFiles(str(tmp_path), "json", read, 3)
    assert list(newest.look()) == [first]
    assert newest.damaged == {
        str(tmp_path / f"{second}.json"): "cannot be read: Input/output error"
    }


def test_what_the_reader_refuses_is_noted_with_its_reason(tmp_path: Path) -> None:
    name = report(tmp_path, 1)

    def refuse(data: bytes) -> Metrics:
        raise ValueError("too old")

    newest = NewestFiles(str(tmp_path), "json", refuse, 3)
    assert newest.look() == {}
    path = str(tmp_path / f"{name}.json")
    assert newest.damaged == {path: "is not what a run writes: too old"}
