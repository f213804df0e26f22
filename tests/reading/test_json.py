"""JSON arrays and objects one behind the other: the same rows as of NDJSON, with their lines."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.batch import ID, PROBLEM, TEXT
from model.errors import UserError
from reading import plan, text
from reading.documents import layout_of
from tests.kit.reading import SCHEMA, rows_of

GOOD = {"t": 5, "y": 1.5, "x": 2, "k": "a"}
Rows = list[dict[str, Any]]

WRITERS: dict[str, Callable[[Rows], str]] = {
    "an array": json.dumps,
    "an object a line": lambda rows: "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n",
    "commas first": lambda rows: "[" + "\n, ".join(map(json.dumps, rows)) + "]",
    "indented": lambda rows: json.dumps(rows, indent=4),
    "compact": lambda rows: json.dumps(rows, separators=(",", ":")),
    "not ASCII": lambda rows: json.dumps(rows, ensure_ascii=False, indent=1),
    "Windows": lambda rows: "\ufeff" + json.dumps(rows, indent=2).replace("\n", "\r\n"),
    "a trailing comma": lambda rows: "[" + "".join(json.dumps(r) + ",\n" for r in rows) + "]",
    "indented objects": lambda rows: "\n".join(json.dumps(r, indent=2) for r in rows),
    "objects without spaces": lambda rows: "".join(json.dumps(r) for r in rows),
    "objects by spaces": lambda rows: "  ".join(json.dumps(r) for r in rows) + "\n\n",
}


def write(tmp_path: Path, content: str | bytes, name: str = "in.json") -> str:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def refusal(path: str) -> str:
    with pytest.raises(UserError) as caught:
        plan(path, SCHEMA)
    assert "\n" not in str(caught.value)
    return str(caught.value)


nested = st.recursive(
    st.none() | st.booleans() | st.text('[]{}",\\: \n\u2028é', max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
rows_of_any_kind = st.lists(
    st.fixed_dictionaries(
        {"t": st.integers(0, 10**9), "y": st.none() | st.floats(-9, 9), "x": st.integers(-9, 9)},
        optional={"k": st.text('[]{}",\\ a\né', max_size=5), "other": nested},
    ),
    max_size=8,
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows_of_any_kind, st.sampled_from(list(WRITERS)), st.integers(1, 90))
def test_whoever_wrote_it_and_whatever_the_blocks_the_rows_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Rows, writer: str, block: int
) -> None:
    rows = [GOOD, *rows]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    want = rows_of(plan(write(tmp_path, lines, "in.ndjson"), SCHEMA))
    monkeypatch.setattr(text, "BLOCK", block)
    content = WRITERS[writer](rows)
    found = rows_of(plan(write(tmp_path, content), SCHEMA))
    names = (ID, *SCHEMA.columns, PROBLEM)
    assert [[row[n] for n in names] for row in found] == [[row[n] for n in names] for row in want]
    assert [row["line"] for row in found] == lines_of(content, rows)


def lines_of(content: str, rows: Rows) -> list[int]:
    """The line on which each object begins, by Python's own reader."""
    decoder, at, found = json.JSONDecoder(), 0, []
    for row in rows:
        at = content.index("{", at)
        value, end = decoder.raw_decode(content, at)
        assert value == row
        found.append(1 + content[:at].count("\n"))
        at = end
    return found


def test_an_array_that_pandas_wrote_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame([GOOD, GOOD | {"x": None}, GOOD | {"k": "é"}])
    for name in ("in.json", "in.json.gz"):
        frame.to_json(tmp_path / name, orient="records", indent=2)
        rows = rows_of(plan(str(tmp_path / name), SCHEMA))
        assert [row["x"] for row in rows] == [2, None, 2]
        assert [row["k"] for row in rows] == ["a", "a", "é"]
        assert [row["line"] for row in rows] == [2, 8, 14]


@pytest.mark.parametrize("suffix", [".ndjson", ".jsonl", ".json", ".txt"])
def test_an_array_is_known_by_its_content_whatever_its_name(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, json.dumps([GOOD, GOOD], indent=1), f"in{suffix}")
    assert len(rows_of(plan(path, SCHEMA))) == 2


def test_a_value_that_is_no_object_is_a_problem_in_its_place(tmp_path: Path) -> None:
    bad = ["7", "null", '"te,xt]"', "[1, {}]", "{'t': 1}", "{half"]
    good = json.dumps(GOOD)
    array = f"[{good},\n" + ",\n".join(f"{each},\n{good}" for each in bad[:5]) + "\n]"
    rows = rows_of(plan(write(tmp_path, array), SCHEMA))
    assert [row[TEXT] for row in rows[1::2]] == bad[:5]
    assert all(
        str(row[PROBLEM]).startswith(("is not JSON", "is not a JSON object")) for row in rows[1::2]
    )
    assert all(row[PROBLEM] is None and row["x"] == 2 for row in rows[::2])
    assert [row["line"] for row in rows] == list(range(1, 12))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps([GOOD] * 3)[:-1], "its JSON array does not end: is the file cut off?"),
        (json.dumps([GOOD] * 3)[:-9], "its JSON array does not end: is the file cut off?"),
        (json.dumps([GOOD]) + json.dumps([GOOD]), "something follows its JSON array"),
        (json.dumps([GOOD]) + "]", "something follows its JSON array: a file must hold one array"),
        (json.dumps(GOOD, indent=1) + "\n{", ":7: a value does not end after this line: is"),
        ("[1, 2]", "none of its first 2 lines is a JSON object: must be NDJSON, an object on each"),
        (json.dumps({"data": [GOOD]}), "its columns are data (if the rows are an array within"),
        (json.dumps({"data": [GOOD]}, indent=1), "(if the rows are an array within an object, w"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_json_that_is_cut_off_or_something_else_is_refused(
    tmp_path: Path, content: str, message: str, packed: bool
) -> None:
    data = content.encode()
    path = write(tmp_path, gzip.compress(data) if packed else data, "in.json" + ".gz" * packed)
    assert message in refusal(path) and refusal(path).startswith(path)


def test_an_empty_array_has_no_rows(tmp_path: Path) -> None:
    for content in ("[]", "[ ]\n", "[\n\n]"):
        planned = plan(write(tmp_path, content), SCHEMA)
        assert (planned.rows, planned.chunks) == (0, ())


@pytest.mark.parametrize(
    ("data", "layout"),
    [
        ('{"a": 1}\n{"a": 2}', "lines"),
        ('{half\n{"a": 2}', "lines"),
        ("[1]\n[2]\n", "lines"),
        ('{"a": 1} junk\n{"a": 2}', "lines"),
        ('\n\n [{"a": 1},', "array"),
        ("[", "array"),
        ('{"a": 1}{"a": 2}', "values"),
        ('{\n"a": 1}', "values"),
        ("", "lines"),
        ("7", "lines"),
    ],
)
def test_the_layout_is_reported_by_the_first_value(data: str, layout: str) -> None:
    assert layout_of(data.encode()) == layout
