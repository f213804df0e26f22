"""Reading NDJSON: against json.loads of each line, for any size of block."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.batch import ID, PROBLEM, TEXT, TIME, Key, Tag, with_tag
from model.errors import UserError
from model.validation import validate
from reading import documents, plan, read, text
from tests.kit.reading import SCHEMA, rows_of

GOOD = {"t": 5, "y": 1.5, "x": 2, "k": "a"}


def write(tmp_path: Path, content: str | bytes, name: str = "in.ndjson") -> str:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def as_lines(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def refusal(path: str) -> str:
    with pytest.raises(UserError) as caught:
        plan(path, SCHEMA)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "t": st.integers(0, 10**10) | st.floats(0, 10**10) | st.none(),
                "y": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "x": st.booleans() | st.integers(-(2**60), 2**60),
                "k": st.text(max_size=4),
            }
        ),
        max_size=12,
    ),
    st.sampled_from(["\n", "\r\n", "\n\n", "\n \n"]),
    st.booleans(),
    st.integers(1, 200),
)
def test_any_objects_come_back_with_their_lines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[dict[str, object]],
    newline: str,
    bom: bool,
    block: int,
) -> None:
    monkeypatch.setattr(text, "BLOCK", block)
    rows = [*rows, GOOD]
    content = newline.join(json.dumps(row, ensure_ascii=False) for row in rows)
    path = write(tmp_path, content.encode("utf-8-sig" if bom else "utf-8"))
    found = rows_of(plan(path, SCHEMA))
    assert [row["k"] for row in found] == [row["k"] for row in rows]
    for name in ("y", "x"):
        want = [None if row[name] is None else float(str(row[name] + 0)) for row in rows]  # type: ignore[operator]
        assert [row[name] for row in found] == want
    assert [row[TIME] is None for row in found] == [row["t"] is None for row in rows]
    step = newline.count("\n")
    assert [row["line"] for row in found] == [1 + step * i for i in range(len(rows))]
    assert [row[ID] for row in found] == list(range(len(rows)))


def test_a_line_that_is_no_object_is_a_problem_in_its_place(tmp_path: Path) -> None:
    bad = ["{half", "[1]", "7", "null", '"text"', "{'t': 1}", "[" * 100_000]
    content = as_lines(GOOD) + "".join(f"{line}\n{json.dumps(GOOD)}\n" for line in bad)
    rows = rows_of(plan(write(tmp_path, content), SCHEMA))
    assert [row[TEXT] for row in rows[1::2]] == bad
    assert all(
        str(row[PROBLEM]).startswith(("is not JSON", "is not a JSON object")) for row in rows[1::2]
    )
    assert all(row[PROBLEM] is None and row["x"] == 2 for row in rows[::2])


def test_an_absent_field_is_null_and_a_number_may_be_text(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        as_lines(GOOD, {"t": 6, "y": 1, "k": "a"}, GOOD | {"y": "12.5"}, {"t": 7}, {"y": 1.0}),
    )
    rows = rows_of(plan(path, SCHEMA))
    assert [row[PROBLEM] for row in rows] == [None] * 5
    assert [row["x"] for row in rows] == [2, None, 2, None, None]
    assert [row["y"] for row in rows] == [1.5, 1, 12.5, None, 1]
    assert [row["k"] for row in rows] == ["a", "a", "a", None, None]
    assert [row[TIME] is None for row in rows] == [False] * 4 + [True]


def test_a_value_of_a_wrong_type_is_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path, as_lines(GOOD, {"t": 6, "y": "soon"}, {"t": 6, "x": [1]}))
    assert [row[PROBLEM] for row in rows_of(plan(path, SCHEMA))] == [
        None,
        "column 'y': 'soon': must be a finite number or null",
        "column 'x': [1]: must be a finite number or null",
    ]


def test_a_column_may_appear_late_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK", 50)
    sparse = {"t": 5, "y": 1}
    path = write(tmp_path, as_lines(*[sparse] * 20, GOOD))
    rows = rows_of(plan(path, SCHEMA))
    assert [row["x"] for row in rows] == [None] * 20 + [2]
    assert plan(path, SCHEMA).messages == ()


def test_a_column_that_some_files_lack_is_null_there_and_noted(tmp_path: Path) -> None:
    write(tmp_path, as_lines(GOOD), "a.ndjson")
    write(tmp_path, as_lines({"t": 6, "y": 1, "k": "b"}, {"t": 7, "y": 1}), "b.ndjson")
    write(tmp_path, as_lines({"t": 8, "x": 1, "k": "b"}), "c.ndjson")
    planned = plan(str(tmp_path), SCHEMA)
    rows = rows_of(planned)
    assert [row["x"] for row in rows] == [2, None, None, 1]
    assert [row["y"] for row in rows] == [1.5, 1, 1, None]
    assert planned.notes == (
        f"1 of 3 files have no 'y' in any row, which is unlabelled there: {tmp_path}/c.ndjson",
        f"1 of 3 files have no 'x' in any row, which is null there: {tmp_path}/b.ndjson",
    )


@pytest.mark.parametrize("column", ["t", "y", "x", "k"])
def test_a_column_that_no_row_of_any_file_has_is_refused(tmp_path: Path, column: str) -> None:
    row = {name: value for name, value in GOOD.items() if name != column}
    paths = [write(tmp_path, as_lines(row, row), name) for name in ("a.ndjson", "b.ndjson")]
    names = ", ".join(row)
    assert refusal(str(tmp_path)) == (
        f"{paths[0]}: has no column '{column}': its columns are {names}"
    )


def test_nan_is_a_null_and_infinity_is_rejected(tmp_path: Path) -> None:
    path = write(tmp_path, as_lines(GOOD | {"x": math.nan}, GOOD | {"x": math.inf}))
    planned = plan(path, SCHEMA)
    raw = next(read(planned.files[0], planned.chunks[0], SCHEMA, 10))
    accepted, rejects = validate(with_tag(raw, Tag(Key(0, 0, 0), 0, path, 1)), SCHEMA)
    assert accepted.column(ID).to_pylist() == [0]
    assert [reject.where for reject in rejects] == [f"{path}:2"]


@pytest.mark.parametrize("name", ["in.jsonl", "in.json", "IN.NDJSON", "in.jsonl.gz"])
def test_ndjson_is_known_by_its_suffix(tmp_path: Path, name: str) -> None:
    content = as_lines(GOOD, GOOD).encode()
    path = write(tmp_path, gzip.compress(content) if name.endswith(".gz") else content, name)
    planned = plan(path, SCHEMA)
    assert [file.format for file in planned.files] == ["ndjson"]
    assert len(rows_of(planned)) == 2


def test_a_file_in_which_no_line_is_an_object_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps([GOOD, GOOD], indent=1).replace("{", "").replace("}", ""))
    assert "lines is a JSON object: must be NDJSON, an object on each line" in refusal(path)


def test_a_column_that_no_object_has_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, as_lines({"t": 1, "y": 2, "z": 1}, {"t": 1, "y": 2, "k": "a"}))
    assert refusal(path) == f"{path}: has no column 'x': its columns are t, y, z, k"


def test_a_file_of_blank_lines_has_no_rows(tmp_path: Path) -> None:
    planned = plan(write(tmp_path, "\n \n"), SCHEMA)
    assert (planned.rows, planned.chunks) == (0, ())


def test_text_that_is_not_utf8_is_refused_with_its_offset(tmp_path: Path) -> None:
    content = as_lines(GOOD).encode() + b'{"t": "\xe3"}\n'
    path = write(tmp_path, content)
    assert f"byte {content.index(0xE3)} is 0xe3" in refusal(path)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.builds(json.dumps, st.dictionaries(st.text(max_size=3), JSON_VALUES)).map(str.encode)
        | st.sampled_from(
            [b"7", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e400}', b'"\\ud800"']
        )
        | st.integers(2**62, 2**70).map(lambda value: b'{"a":%d}' % value)
        | st.integers(-(2**70), -(2**62)).map(lambda value: b'{"a":%d}' % value)
        | st.floats(-1e-3, 1e-3).map(lambda value: b'{"a":%.25f}' % value),
        max_size=5,
    )
)
def test_lines_are_read_as_pythons_own_reader_reads_them(lines: list[bytes]) -> None:
    found = documents.read_rows(b"\n".join(lines), lines)
    assert repr(found) == repr([documents.read_row(line) for line in lines])


def test_small_fractions_with_many_digits_keep_a_block_quick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = [b'{"a":0.00012345678901234567,"b":%d}' % number for number in range(100)]
    expected = [json.loads(line) for line in lines]
    monkeypatch.setattr(documents, "read_row", None)  # what orjson cannot read
    assert documents.read_rows(b"\n".join(lines), lines) == expected


@pytest.mark.parametrize(
    ("key", "how"), [("X", "in case"), ("x ", "in spaces around it"), ("\u200bx", "not seen")]
)
def test_a_key_that_only_looks_like_a_columns_is_noted(tmp_path: Path, key: str, how: str) -> None:
    rows = [GOOD, {"t": 6, "y": 1.0, key: 2, "k": "a"}]
    [note] = plan(write(tmp_path, as_lines(*rows)), SCHEMA).messages
    assert "'x' is null in rows that have" in note
    assert how in note


def test_a_key_beside_the_column_it_looks_like_is_another_column(tmp_path: Path) -> None:
    assert plan(write(tmp_path, as_lines(GOOD | {"X": 1}, GOOD)), SCHEMA).messages == ()
