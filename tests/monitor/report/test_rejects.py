"""Rejects by reason."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from model.errors import UserError
from model.runs import RunFolder
from model.schema import Features, Schema
from monitor.report import rejects
from tests.kit.job import rejects as written

SCHEMA = Schema(name="s", time="t", target="y", features=Features(numeric=("x: y",)))


def write(folder: Path, name: str, *reasons: str) -> None:
    """A file of rejects."""
    path = folder / "rejected" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"row": {}, "reason": r, "where": f"{name}:1"}) for r in reasons]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def test_rows_are_counted_by_reason_whatever_their_values(hostile: Path) -> None:
    kinds, number = rejects.count_reasons(RunFolder(str(hostile)), SCHEMA)
    [kind] = kinds
    assert (kind.rows, number) == (3, 3)
    assert kind.reason == "column 'y': must be a finite number or null"
    lines = [line for lines in written(hostile).values() for line in lines]
    assert {"reason": kind.example, "where": kind.where, "row": lines[-1]["row"]} == lines[-1]


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("column 'y': 'a: b': must be a number", "column 'y': must be a number"),
        ("column 'x: y': 1: must be a number", "column 'x: y': must be a number"),
        ("column 't' (the time): null: ISO 8601", "column 't' (the time): ISO 8601"),
        ("column 'y' is missing: every row needs it", "column 'y' is missing: every row needs it"),
        ("column 'y': a number", "column 'y': a number"),
        ("expected 4 fields, found 3", "expected 4 fields, found 3"),
        ("is not JSON: Extra data: line 1 column 3 (char 2)", "is not JSON: Extra data"),
    ],
)
def test_a_reason_keeps_all_but_the_value(reason: str, message: str) -> None:
    assert rejects.without_value(reason, SCHEMA) == message


def test_the_most_frequent_reasons_come_first_and_no_more_than_are_reported(home: Path) -> None:
    reasons = [f"reason {n:02d}" for n in range(30) for _ in range(n + 1)]
    write(home, "20260101T000000Z/0.ndjson", *reasons)
    kinds, number = rejects.count_reasons(RunFolder(str(home)), SCHEMA)
    expected = Counter(reasons).most_common(rejects.KINDS)
    assert [(kind.reason, kind.rows) for kind in kinds] == expected
    assert number == len(reasons)


def test_no_more_are_read_than_are_needed_the_newest_first_and_undated_ones_last(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejects, "MOST", 3)
    write(home, "20260101T000000Z/0.ndjson", "older")
    write(home, "20260102T000000Z/0.ndjson", "newer", "newer")
    write(home, "undated/0.ndjson", "undated")
    kinds, number = rejects.count_reasons(RunFolder(str(home)), SCHEMA)
    assert [(kind.reason, kind.rows) for kind in kinds] == [("newer", 2), ("older", 1)]
    assert number == 3


def test_a_run_without_rejects_has_no_kinds(run: Path) -> None:
    assert rejects.count_reasons(RunFolder(str(run)), SCHEMA) == ([], 0)


@pytest.mark.parametrize("data", [b"{\n", b"[]\n", b"\xff\n", b"1\n"])
def test_a_file_that_holds_no_rejects_is_named(data: bytes, home: Path) -> None:
    write(home, "20260101T000000Z/0.ndjson")
    (home / "rejected/20260101T000000Z/0.ndjson").write_bytes(data)
    with pytest.raises(UserError, match=r"0\.ndjson: holds no rejects"):
        rejects.count_reasons(RunFolder(str(home)), SCHEMA)


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\u0085", "\x1e", "\x0b", "\r", "\n"])
def test_a_reject_may_hold_any_end_of_a_line(end: str, home: Path) -> None:
    path = home / "rejected/20260101T000000Z/0.ndjson"
    path.parent.mkdir(parents=True)
    reject = {
        "row": {"x": f"a{end}b"},
        "reason": f"column 'x': 'a{end}b': no",
        "where": f"f{end}:1",
    }
    path.write_bytes((json.dumps(reject, ensure_ascii=False) + "\n").encode() * 2)
    [kind], number = rejects.count_reasons(RunFolder(str(home)), SCHEMA)
    assert (kind.rows, number, kind.where) == (2, 2, f"f{end}:1")
