"""Reading CSV: against the csv module and pandas on the same files, for any size of block."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.batch import ID, PROBLEM, TEXT, Key, Tag, with_tag
from model.errors import UserError
from model.schema import Csv
from model.validation import validate
from reading import plan, read, text
from reading.dialect import Dialect
from reading.layout import find_rows
from tests.kit.reading import SCHEMA, columns_of, rows_of

HEADER = "t,y,x,k\n"
ROW = "2024-03-01T00:00:00Z,1.5,2,a\n"


def write(tmp_path: Path, content: str | bytes, name: str = "in.csv") -> str:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def refusal(path: str, **changes: object) -> str:
    with pytest.raises(UserError) as caught:
        plan(path, SCHEMA.model_copy(update=changes))
    message = str(caught.value)
    assert "\n" not in message
    return message


CELL = st.text(alphabet='ab",;\n\ré ', max_size=5)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False) | st.none(), CELL, CELL)),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([",", ";"]),
    st.booleans(),
    st.integers(1, 80),
    st.integers(1, 4),
)
def test_any_rows_come_back_with_their_lines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[tuple[float | None, str, str]],
    newline: str,
    quoting: int,
    delimiter: str,
    bom: bool,
    block: int,
    batch_rows: int,
) -> None:
    monkeypatch.setattr(text, "BLOCK", block)
    schema = SCHEMA.model_copy(update={"csv": Csv(delimiter=delimiter)})
    if quoting == csv.QUOTE_MINIMAL:  # the csv module leaves a lone \r without quotes
        rows = [(x, k.replace("\r", ""), other.replace("\r", "")) for x, k, other in rows]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=newline, quoting=quoting, delimiter=delimiter)  # type: ignore[arg-type]
    writer.writerow(["k", "other", "x", "t", "y"])
    lines = []
    for second, (number, category, other) in enumerate(rows):
        so_far = out.getvalue().replace("\r\n", "\n").replace("\r", "\n")
        lines.append(1 + so_far.count("\n"))
        writer.writerow([category, other, "" if number is None else repr(number), second, "7"])
    content = out.getvalue().encode("utf-8-sig" if bom else "utf-8")
    planned = plan(write(tmp_path, content), schema)
    read_rows = rows_of(planned, schema, batch_rows)
    want = [[str(i), 7.0, x, k or None] for i, (x, k, _) in enumerate(rows)]
    assert [[row[name] for name in schema.columns] for row in read_rows] == want
    assert [row[ID] for row in read_rows] == list(range(len(rows)))
    assert [row["line"] for row in read_rows] == lines


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet='a",\n', max_size=25))
def test_rows_end_where_a_reader_of_one_character_at_a_time_shows(data: str) -> None:
    ends: list[int] = []
    faults: list[int] = []
    row, field_start, at = 0, True, 0
    while at < len(data):
        if data[at] == '"' and field_start:
            close = closing(data, at)
            if close is None:
                break
            if data[close + 1 : close + 2] in ("", ",", "\n"):
                at, field_start = close + 1, False
                continue
            faults.append(row)
            at = data.find("\n", row)
            if at < 0:
                faults.pop()
                break
        if data[at] == "\n":
            ends.append(at + 1)
            row = at + 1
        field_start = data[at] in ",\n"
        at += 1
    found = find_rows(data.encode(), Dialect())
    count = len(found.ends)
    assert found.ends.tolist() == ends[:count]
    assert list(found.faults) == faults[: len(found.faults)]
    if ends and ends[-1] == len(data):
        assert (count, len(found.faults)) == (len(ends), len(faults))
    whole = data[: ends[count - 1]] if count else ""
    again = find_rows(whole.encode(), Dialect())
    assert (again.ends.tolist(), again.faults) == (found.ends.tolist(), found.faults)


def closing(data: str, at: int) -> int | None:
    """Where the quote that opens a field there is closed."""
    at += 1
    while (at := data.find('"', at)) >= 0:
        if data[at + 1 : at + 2] != '"':
            return at
        at += 2
    return None


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
def test_the_same_frame_as_pandas_for_any_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(text, "BLOCK", block)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "t": pd.date_range("2024-03-01", periods=200, freq="s").astype(str),
            "y": np.where(rng.random(200) < 0.1, np.nan, rng.normal(size=200)),
            "x": rng.integers(0, 9, 200),
            "k": rng.choice(["a", "b, c", 'say "d"'], 200),
        }
    )
    path = str(tmp_path / "in.csv")
    frame.to_csv(path, index=False)
    read_back = pd.DataFrame(columns_of(path, batch_rows=50), columns=list("tyxk"))
    expected = pd.read_csv(path).astype({"x": float})
    pd.testing.assert_frame_equal(read_back.astype(expected.dtypes.to_dict()), expected)


def test_blocks_are_cut_at_about_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK", 10 * len(ROW))
    planned = plan(write(tmp_path, HEADER + ROW * 100), SCHEMA)
    assert [chunk.rows for chunk in planned.chunks] == [10] * 10


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".GZ", gzip.compress)]
)
def test_a_compressed_file_is_one_chunk_of_the_same_rows_and_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, pack: object
) -> None:
    monkeypatch.setattr(text, "BLOCK", 100)
    content = "\ufeff" + HEADER + (ROW * 9 + '5,1,2,"b\nc"\n\n') * 5
    plain = rows_of(plan(write(tmp_path, content), SCHEMA))
    path = write(tmp_path, pack(content.encode()), "in.csv" + suffix)  # type: ignore[operator]
    planned = plan(path, SCHEMA)
    assert len(planned.chunks) == 1
    assert planned.chunks[0].least == 5_000_000
    strip = [{k: v for k, v in row.items() if k != "path"} for row in plain]
    assert [{k: v for k, v in r.items() if k != "path"} for r in rows_of(planned)] == strip
    assert len(plain) == 50


def test_a_cut_off_compressed_file_is_refused(tmp_path: Path) -> None:
    data = gzip.compress((HEADER + ROW * 1000).encode())
    path = write(tmp_path, data[:-20], "in.csv.gz")
    assert refusal(path).startswith(f"{path}: cannot be read: ")


def test_a_row_may_be_longer_than_arrows_own_blocks(tmp_path: Path) -> None:
    long = "z" * (2 << 20)
    assert columns_of(write(tmp_path, HEADER + ROW + f"1,2,3,{long}\n" + ROW))[1][3] == long


def test_blank_lines_are_no_rows_and_the_last_newline_may_be_missing(tmp_path: Path) -> None:
    path = write(tmp_path, "\n\r\n" + HEADER + "\n" + ROW + "\n\n" + ROW.strip())
    rows = rows_of(plan(path, SCHEMA))
    assert [row["line"] for row in rows] == [5, 8]


def test_old_line_ends_are_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BLOCK", 40)
    path = write(tmp_path, (HEADER + ROW * 4).replace("\n", "\r"))
    assert [row["line"] for row in rows_of(plan(path, SCHEMA))] == [2, 3, 4, 5]


def test_a_quote_inside_a_plain_field_means_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + '1,1,1,5" pipe\n2,2,2,b\n3,3,3,"c"\n')
    assert [row[3] for row in columns_of(path)] == ['5" pipe', "b", "c"]


def test_rows_with_too_few_or_too_many_fields_are_problems_in_their_places(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, HEADER + ROW + "1,2\n" + ROW + "\n" + "1,2,3,4,5,é\n" + ROW)
    rows = rows_of(plan(path, SCHEMA), batch_rows=2)
    problems = [None, "expected 4 fields, found 2", None, "expected 4 fields, found 6", None]
    assert [row[PROBLEM] for row in rows] == problems
    assert [row[TEXT] for row in rows] == [None, "1,2", None, "1,2,3,4,5,é", None]
    assert [row["line"] for row in rows] == [2, 3, 4, 6, 7]
    assert [row["x"] for row in rows] == [2, None, 2, None, 2]


def test_a_file_of_bad_rows_alone_has_no_time(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "1,2\n")
    assert "none of the 1 rows has a readable time (the first is null)" in refusal(path)


def test_text_in_a_numeric_column_leaves_the_other_rows_as_they_are(tmp_path: Path) -> None:
    cells = ["1", "abc", "", " 7 ", "NA", "1e3", "inf", "nan", "+2", "na"]
    path = write(tmp_path, HEADER + "".join(f"{i},1,{x},k\n" for i, x in enumerate(cells)))
    planned = plan(path, SCHEMA)
    chunk = planned.chunks[0]
    raw = next(read(planned.files[0], chunk, SCHEMA, 100))
    tag = Tag(Key(0, 0, 0), chunk.least, path, chunk.line - chunk.first)
    accepted, rejects = validate(with_tag(raw, tag), SCHEMA)
    want = [1.0, math.nan, 7.0, math.nan, 1000.0, math.nan, 2.0]
    assert accepted.column(ID).to_pylist() == [0, 2, 3, 4, 5, 7, 8]
    np.testing.assert_array_equal(accepted.column("x").to_numpy(), want)
    assert [(each.where, each.row["x"]) for each in rejects] == [  # type: ignore[index]
        (f"{path}:3", "abc"),
        (f"{path}:8", "inf"),
        (f"{path}:11", "na"),
    ]


def test_one_bad_number_does_not_change_how_others_are_read(tmp_path: Path) -> None:
    cells = ["1", "-0", ".5", "1e-400", "00012", " 3", "NULL", "", "1.", "1E5", "nan", "0.1"]
    body = "".join(f"{i},{x},{x},k\n" for i, x in enumerate(cells))
    seen = []
    for extra in ("", "9,bad,bad,k\n"):
        planned = plan(write(tmp_path, HEADER + body + extra), SCHEMA)
        raw = next(read(planned.files[0], planned.chunks[0], SCHEMA, 100))
        accepted, _ = validate(with_tag(raw, Tag(Key(0, 0, 0), 0, "f", 0)), SCHEMA)
        seen.append(accepted.column("x").to_numpy().tobytes())
    assert seen[0] == seen[1]


def test_an_empty_category_is_a_null_and_na_is_a_category(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + '0,1,1,\n1,1,1,""\n2,1,1,NA\n3,1,1, \n')
    assert [row[3] for row in columns_of(path)] == [None, None, "NA", " "]


def test_a_header_alone_is_an_input_without_rows(tmp_path: Path) -> None:
    for header in (HEADER, HEADER.strip(), HEADER + "\n\n"):
        planned = plan(write(tmp_path, header), SCHEMA)
        assert (planned.chunks, planned.rows, len(planned.files)) == ((), 0, 1)


def test_a_header_may_be_quoted_over_two_lines(tmp_path: Path) -> None:
    path = write(tmp_path, '"t","y","x","k","a\nb"\n0,1,2,c,d\n')
    rows = rows_of(plan(path, SCHEMA))
    assert [(row["k"], row["line"]) for row in rows] == [("c", 3)]


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    path = write(tmp_path, "t,y,X,k\n" + ROW)
    assert (
        refusal(path)
        == f"{path}: has no column 'x': its columns are t, y, X, k ('X' differs from 'x' in case)"
    )


@pytest.mark.parametrize(("mark", "message"), [(";", '";"'), ("\t", '"\\t"'), ("|", '"|"')])
def test_a_header_of_another_delimiter_is_given_a_hint(
    tmp_path: Path, mark: str, message: str
) -> None:
    path = write(tmp_path, (HEADER + ROW).replace(",", mark))
    assert refusal(path, csv=Csv(delimiter=",")).endswith(f"(is it [csv] delimiter = {message}?)")
    assert columns_of(path) == [["2024-03-01T00:00:00Z", 1.5, 2.0, "a"]]


def test_a_column_that_the_schema_names_must_be_there_once(tmp_path: Path) -> None:
    path = write(tmp_path, "t,y,x,k,x\n")
    assert refusal(path) == f"{path}: has 2 columns 'x': it must have one"
    twice = write(tmp_path, "t,y,x,k,z,z\n0,1,2,a,b,c\n")
    assert columns_of(twice) == [["0", 1.0, 2.0, "a"]]


def test_text_that_is_not_utf8_is_refused_with_its_offset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK", 64)
    content = (HEADER + ROW * 20 + "0,1,2,S").encode() + "ão\n".encode("latin-1")
    path = write(tmp_path, content)
    message = refusal(path)
    assert message.startswith(f"{path}: is not UTF-8 text: byte {content.index(0xE3)} is 0xe3")
    assert "byte 8 is 0xe3" in refusal(write(tmp_path, "t,y,x,k,ã\n".encode("latin-1")))


def test_a_quote_that_is_never_closed_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, HEADER + ROW + '0,1,2,"a\n' + ROW * 10)
    want = f"{path}:3: a quote that is opened in this row is never closed"
    assert refusal(path) == want
    monkeypatch.setattr(text, "BLOCK", 50)
    assert refusal(path) == want
    monkeypatch.setattr(text, "LONGEST", 100)
    assert refusal(path).startswith(f"{path}:3: no row ends in the ")


@pytest.mark.parametrize("delimiter", ['"', "\n", "\r", "é"])
def test_a_delimiter_that_cannot_be_one_is_refused(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path, HEADER)
    assert "[csv] delimiter" in refusal(path, csv=Csv(delimiter=delimiter))


def test_a_first_line_that_is_no_header_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "z" * 200_000 + "\n" + ROW)
    assert refusal(path).startswith(f"{path}: its header row is not valid: ")


def test_a_file_of_blank_lines_has_no_header(tmp_path: Path) -> None:
    path = write(tmp_path, "\n\n\r\n")
    assert refusal(path) == f"{path}: has no header row: it holds blank lines only"
