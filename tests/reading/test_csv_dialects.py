"""CSV dialects: each is found in the file, or read as the schema says, with no row lost."""

from __future__ import annotations

import csv
import gzip
import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from model.batch import Key, Tag, with_tag
from model.errors import UserError
from model.schema import Csv, Features, Schema
from model.validation import Reject, validate
from reading import plan, read, text

SCHEMA = Schema(
    name="s", time="ts", target="y", features=Features(numeric=("x",), categorical=("c",))
)
ROWS = 600
BACKSLASH = "\\"


def frame() -> pd.DataFrame:
    """600 rows, one a second."""
    rng = np.random.default_rng(0)
    x, c = np.round(rng.normal(size=ROWS), 3), rng.choice(["red", "blue"], ROWS)
    y = np.round(3 * x + 5 * (c == "red") + rng.normal(scale=0.1, size=ROWS), 4)
    times = pd.date_range("2024-01-01", periods=ROWS, freq="s").strftime("%Y-%m-%dT%H:%M:%SZ")
    return pd.DataFrame({"ts": times, "y": y, "x": x, "c": c})


FRAME = frame()


def schema(**given: object) -> Schema:
    return SCHEMA.model_copy(update={"csv": Csv.model_validate(given)})


class Input:
    """What is read of a CSV file: rows accepted and rejected, and what the user is told."""

    def __init__(self, path: Path, content: str | bytes, schema: Schema = SCHEMA) -> None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        planned = plan(str(path), schema)
        self.notes = [note.removeprefix(f"{path}: ") for note in planned.messages]
        self.rejects: list[Reject] = []
        accepted = []
        for chunk in planned.chunks:
            for batch in read(planned.files[chunk.file], chunk, schema, 100):
                tag = Tag(Key(0, 0, 0), chunk.least, path.name, chunk.line - chunk.first)
                good, bad = validate(with_tag(batch, tag), schema)
                accepted.append(good.replace_schema_metadata(None))
                self.rejects += bad
        table = pa.Table.from_batches(accepted).unify_dictionaries()
        self.rows = table.to_pandas().sort_values("__id", ignore_index=True)
        assert planned.rows == len(self.rows) + len(self.rejects)

    def assert_same(self, want: pd.DataFrame = FRAME) -> None:
        assert self.rejects == []
        assert self.rows["c"].astype(object).tolist() == want["c"].tolist()
        for name in ("y", "x"):
            np.testing.assert_allclose(self.rows[name], want[name].astype(float), rtol=1e-12)
        times = pd.to_datetime(want["ts"], utc=True)
        assert (self.rows["__time"] == times).all()


def refusal(path: Path, content: str | bytes, schema: Schema = SCHEMA) -> str:
    with pytest.raises(UserError) as caught:
        Input(path, content, schema)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.csv"


def notes_on(*keys: str) -> list[str]:
    return [f"read as [csv] {', '.join(keys)} (found in the file; set it to fix it)"]


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ({}, []),
        ({"sep": ";"}, ['delimiter = ";"']),
        ({"sep": "\t"}, [r'delimiter = "\t"']),
        ({"sep": "|"}, ['delimiter = "|"']),
        ({"sep": ";", "decimal": ","}, ['delimiter = ";"', 'decimal = ","']),
        ({"sep": "\t", "decimal": ","}, [r'delimiter = "\t"', 'decimal = ","']),
        ({"decimal": ",", "quoting": csv.QUOTE_ALL}, ['decimal = ","']),
        ({"quotechar": "'", "quoting": csv.QUOTE_ALL}, ['quote = "\'"']),
        ({"lineterminator": "\r\n"}, []),
        ({"index": True}, []),
    ],
)
def test_a_dialect_is_found_and_noted(
    path: Path, written: dict[str, object], keys: list[str]
) -> None:
    content = FRAME.to_csv(**({"index": False} | written))  # type: ignore[call-overload]
    seen = Input(path, content)
    seen.assert_same()
    assert seen.notes == (notes_on(*keys) if keys else [])


def test_what_is_found_does_not_depend_on_the_size_of_blocks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK", 500)
    Input(path, FRAME.to_csv(index=False, sep=";", decimal=",")).assert_same()


def test_what_the_schema_sets_wins(path: Path) -> None:
    semicolons = FRAME.to_csv(index=False, sep=";", decimal=",")
    seen = Input(path, semicolons, schema(delimiter=";", decimal=","))
    seen.assert_same()
    assert seen.notes == []
    assert "has no column 'ts'" in refusal(path, semicolons, schema(delimiter=","))
    points = schema(delimiter=";", decimal=".")
    fractions = FRAME["x"].mod(1).ne(0) | FRAME["y"].mod(1).ne(0)
    assert len(Input(path, semicolons, points).rejects) == fractions.sum()


@pytest.mark.parametrize(
    ("marks", "keys"),
    [
        (",.", ['thousands = ","']),
        (".,", ['decimal = ","', 'thousands = "."']),
        (" ,", ['decimal = ","', 'thousands = " "']),
        ("'.", ['thousands = "\'"']),
        ("\u202f,", ['decimal = ","']),
    ],
)
def test_marks_between_thousands_are_found(path: Path, marks: str, keys: list[str]) -> None:
    want = FRAME.assign(x=(FRAME["x"] * 5000).round(2))
    swap = str.maketrans(",.", marks)
    content = want.assign(x=[f"{x:,.2f}".translate(swap) for x in want["x"]])
    content["y"] = [f"{y}".replace(".", marks[1]) for y in want["y"]]
    seen = Input(path, content.to_csv(index=False, sep=";"))
    seen.assert_same(want)
    assert seen.notes == notes_on('delimiter = ";"', *keys)


def test_a_number_that_may_have_two_meanings_is_refused_until_the_schema_decides(
    path: Path,
) -> None:
    want = FRAME.assign(x=1234.0, y=1.0)
    content = want.assign(x="1,234", y="1").to_csv(index=False)
    message = ": column 'x': '1,234' may be 1234 or 1.234: set [csv] thousands = \",\" or decimal"
    assert refusal(path, content).startswith(message)
    Input(path, content, schema(thousands=",")).assert_same(want)
    Input(path, content, schema(decimal=",")).assert_same(want.assign(x=1.234))


def test_decimal_commas_beside_decimal_points_are_refused(path: Path) -> None:
    mixed = FRAME.assign(x=["1,5", "2.5", "3,25"] * (ROWS // 3), y=1)
    content = mixed.to_csv(index=False, sep=";")
    assert "column 'x' has '1,5' and '2.5': set [csv] decimal" in refusal(path, content)


def test_a_few_numbers_of_another_form_are_rejected(path: Path) -> None:
    texts = [f"{x}" for x in FRAME["x"]]
    texts[7] = "1,5"
    seen = Input(path, FRAME.assign(x=texts).to_csv(index=False))
    assert [(r.where, r.reason[:17]) for r in seen.rejects] == [("in.csv:9", "column 'x': '1,5'")]


def spark(value: str) -> str:
    """A text as Spark writes it."""
    if not any(mark in value for mark in '",\n'):
        return value
    escaped = value.replace(BACKSLASH, BACKSLASH * 2).replace('"', BACKSLASH + '"')
    return f'"{escaped}"'


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("given", [{}, {"escape": BACKSLASH}])
def test_quotes_that_spark_escapes_are_read(
    path: Path, place: int, given: dict[str, object]
) -> None:
    kinds = ["red", 'a "b", c', r"C:\dir", 'x\n"y"', '"', "d, e\\"]
    want = FRAME.assign(c=[kinds[at % len(kinds)] for at in range(ROWS)])
    names = ["ts", "y", "x"]
    names.insert(place, "c")
    lines = [",".join(spark(str(cell)) for cell in row) for row in want[names].to_numpy()]
    seen = Input(path, "\n".join([",".join(names), *lines]), schema(**given))
    seen.assert_same(want)
    assert seen.notes == ([] if given else notes_on(r'escape = "\\"'))


def test_escapes_as_pythons_csv_module_writes_them_are_read(path: Path) -> None:
    kinds = ["red", "a,b", 'say "c"', r"C:\dir"]
    want = FRAME.assign(c=[kinds[at % len(kinds)] for at in range(ROWS)])
    for quoting in (csv.QUOTE_NONE, csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        content = want.to_csv(index=False, escapechar=BACKSLASH, doublequote=False, quoting=quoting)
        Input(path, content, schema(escape=BACKSLASH)).assert_same(want)


def test_a_quote_that_is_escaped_outside_quotes_is_a_quote(path: Path) -> None:
    want = FRAME.assign(c=['5" pipe', "red"] * (ROWS // 2))
    escaped = want.assign(c=want["c"].str.replace('"', BACKSLASH + '"'))
    content = escaped.to_csv(index=False, quoting=csv.QUOTE_NONE, quotechar="'", escapechar="~")
    seen = Input(path, content)
    seen.assert_same(want)
    assert seen.notes == notes_on(r'escape = "\\"')


def test_an_escape_stands_for_itself_before_what_need_not_be_escaped(path: Path) -> None:
    kinds = ["a,b", r"C:\new", r"\N", "red"]
    written = [r"a\,b", *kinds[1:]]
    rows = FRAME.assign(c=[written[at % 4] for at in range(ROWS)])
    content = "ts,y,x,c\n" + "".join(
        f"{ts},{y!r},{x!r},{c}\n" for ts, y, x, c in rows.itertuples(index=False)
    )
    seen = Input(path, content)
    # \N is Hive's null
    want = [None if kinds[at % 4] == r"\N" else kinds[at % 4] for at in range(ROWS)]
    assert (
        seen.rejects == []
        and seen.rows["c"].astype(object).replace({np.nan: None}).tolist() == want
    )


SPACED = FRAME.assign(c=["re, d", "blue", 'a ""b""', "two\nlines"] * (ROWS // 4))


@pytest.mark.parametrize("given", [{}, {"skipinitialspace": True}])
@pytest.mark.parametrize("header", ["ts, y, x, c", "ts,y,x,c"])
def test_spaces_behind_delimiters_are_no_part_of_a_field(
    path: Path, header: str, given: dict[str, object]
) -> None:
    rows = [
        f'{ts}, {y!r},  {x!r}, "{c}"' for ts, y, x, c in SPACED.itertuples(index=False, name=None)
    ]
    text = "\n".join([header, *rows])
    want = pd.read_csv(io.StringIO(text), skipinitialspace=True)
    seen = Input(path, text, schema(**given))
    seen.assert_same(want)
    assert seen.notes == ([] if given else notes_on("skipinitialspace = true"))


def test_a_stray_quote_behind_a_space_loses_its_own_line_alone(path: Path) -> None:
    rows = [f'{ts}, {y!r}, {x!r}, "a, b"' for ts, y, x, _ in FRAME.itertuples(index=False)]
    rows[7] = rows[7].removesuffix('"')
    seen = Input(path, "\n".join(["ts, y, x, c", *rows]))
    assert [reject.row for reject in seen.rejects] == [rows[7]]
    assert seen.rows["__id"].tolist() == [at for at in range(ROWS) if at != 7]


def test_lines_of_spaces_alone_are_no_rows_as_in_pandas(path: Path) -> None:
    lines = FRAME.to_csv(index=False).splitlines(keepends=True)
    lines[3:3], lines[9:9], lines[1:1] = ["   \n"], [" \r\n", "\n"], ["  \n"]
    want = pd.read_csv(io.StringIO("".join(lines)))
    assert len(want) == ROWS
    seen = Input(path, "".join(lines))
    seen.assert_same(want)
    assert seen.rows["__id"].tolist() == list(range(ROWS))


def test_a_backslash_before_a_closing_quote_is_no_escape_in_other_files(path: Path) -> None:
    want = FRAME.assign(c=["C:\\", 'D:\\ "x"'] * (ROWS // 2))
    seen = Input(path, want.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC))
    seen.assert_same(want)
    assert seen.notes == []


def lines_of(**written: object) -> list[str]:
    return FRAME.to_csv(index=False, **written).splitlines(keepends=True)  # type: ignore[call-overload]


def test_a_quote_that_is_closed_ten_lines_on_loses_its_own_line_alone(path: Path) -> None:
    lines = lines_of()
    lines[100] = lines[100].replace(",red", ',"red').replace(",blue", ',"blue')
    lines[110] = lines[110].rstrip("\n") + '"\n'
    seen = Input(path, "".join(lines))
    assert len(seen.rows) == ROWS - 1
    [reject] = seen.rejects
    assert reject.where == "in.csv:101"
    assert reject.row == lines[100].rstrip("\n")
    assert "a quote is not closed" in reject.reason


@pytest.mark.parametrize("change", [('"\n', "\n"), ('",', ",")])
def test_a_closing_quote_that_is_missing_loses_its_own_line_alone(
    path: Path, change: tuple[str, str]
) -> None:
    lines = lines_of(quoting=csv.QUOTE_ALL)
    lines[100] = lines[100].replace(*change, 1)
    seen = Input(path, "".join(lines))
    assert len(seen.rows) == ROWS - 1
    assert [reject.where for reject in seen.rejects] == ["in.csv:101"]


@pytest.mark.parametrize("block", [300, 5_000, 1 << 20])
def test_lines_with_escaped_quotes_are_rejected_one_by_one_if_nothing_is_escaped(
    path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(text, "BLOCK", block)
    lines = lines_of()
    for at in range(3, ROWS, 3):
        lines[at] = lines[at].replace(",red", r',"a\"b"').replace(",blue", r',"a\"b"')
    seen = Input(path, "".join(lines), schema(escape=""))
    assert len(seen.rejects) == len(range(3, ROWS, 3))
    assert {r.where for r in seen.rejects} == {f"in.csv:{at + 1}" for at in range(3, ROWS, 3)}


def test_a_long_quoted_field_is_read_and_noted(path: Path) -> None:
    content = FRAME.to_csv(index=False) + '2024-01-01T01:00:00Z,1,2,"' + "word\n" * 200 + '"\n'
    seen = Input(path, content)
    assert (len(seen.rows), seen.rejects) == (ROWS + 1, [])
    assert any("is a quote not closed?" in note for note in seen.notes)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_line_of_excel_that_names_the_delimiter_is_read(path: Path, separator: str) -> None:
    content = f"sep={separator}\r\n" + FRAME.to_csv(index=False, sep=separator)
    Input(path, content).assert_same()


def test_comments_are_left_out(path: Path) -> None:
    lines = lines_of()
    seen = Input(path, "# from a logger\n# of 2024\n" + "".join(lines))
    seen.assert_same()
    assert seen.notes == ["lines before the header that begin with '#' are left out"]
    lines.insert(50, "% a pause\n")
    seen = Input(path, "%\n" + "".join(lines), schema(comment="%"))
    seen.assert_same()
    assert len(Input(path, "".join(lines)).rejects) == 1


def test_the_words_of_pandas_are_nulls_in_numeric_columns(path: Path) -> None:
    texts = [f"{x}" for x in FRAME["x"]]
    words = ["", "#N/A", "<NA>", "N/A", "NULL", "n/a", "nan", "None", r"\N", "-1.#IND"]
    texts[: len(words)] = words
    seen = Input(path, FRAME.assign(x=texts).to_csv(index=False, quoting=csv.QUOTE_ALL))
    assert seen.rejects == []
    assert seen.rows["x"].isna().sum() == len(words)


@pytest.mark.parametrize("mark", ["-", "?", "."])
def test_a_mark_in_the_place_of_numbers_is_a_null_and_noted(path: Path, mark: str) -> None:
    texts = [mark if at % 4 == 0 else f"{x}" for at, x in enumerate(FRAME["x"])]
    seen = Input(path, FRAME.assign(x=texts).to_csv(index=False))
    assert seen.rejects == []
    assert seen.rows["x"].isna().sum() == ROWS / 4
    assert seen.notes == [
        f'"{mark}" in numeric columns is read as null ([csv] nulls can say otherwise)'
    ]


def test_a_list_of_nulls_is_for_all_columns(path: Path) -> None:
    texts = ["-999" if at % 2 else " 5 " for at in range(ROWS)]
    kinds = ["red", "?", "NA"] * (ROWS // 3)
    content = FRAME.assign(x=texts, c=kinds).to_csv(index=False)
    seen = Input(path, content, schema(nulls=["-999", "?"]))
    assert seen.rows["x"].isna().tolist() == [bool(at % 2) for at in range(ROWS)]
    assert seen.rows["c"].astype(object).where(seen.rows["c"].notna(), None).tolist() == [
        None if kind == "?" else kind for kind in kinds
    ]


def test_in_categories_an_empty_field_and_hives_mark_alone_are_null(path: Path) -> None:
    kinds = ["", r"\N", "NA", "null", "-"] * (ROWS // 5)
    seen = Input(path, FRAME.assign(c=kinds).to_csv(index=False))
    assert set(seen.rows["c"].dropna()) == {"NA", "null", "-"}
    assert seen.rows["c"].isna().sum() == 2 * ROWS / 5


def test_booleans_are_numbers_in_a_feature_and_the_target(path: Path) -> None:
    flags = [at % 3 == 0 for at in range(ROWS)]
    seen = Input(path, FRAME.assign(x=flags, y=[str(f).upper() for f in flags]).to_csv(index=False))
    assert seen.rejects == []
    assert seen.rows["x"].tolist() == seen.rows["y"].tolist() == [float(flag) for flag in flags]


def test_an_empty_field_behind_each_row_is_left_out(path: Path) -> None:
    header, *lines = lines_of()
    seen = Input(path, header + "".join(line.rstrip("\n") + ",\n" for line in lines))
    seen.assert_same()
    assert seen.notes == [
        "rows have 5 fields where the header has 4: the last one, which is empty, is left out"
    ]
    Input(path, "".join(line.rstrip("\n") + ",\n" for line in [header, *lines])).assert_same()


@pytest.mark.parametrize("epoch", [False, True])
def test_row_names_without_a_header_as_r_writes_them_are_left_out(path: Path, epoch: bool) -> None:
    want = FRAME.assign(ts=range(1_704_067_200, 1_704_067_200 + ROWS)) if epoch else FRAME
    header, *lines = want.to_csv(index=False).splitlines(keepends=True)
    seen = Input(path, header + "".join(f'"{n}",{line}' for n, line in enumerate(lines, 1)))
    seen.assert_same(want.assign(ts=FRAME["ts"]))
    assert seen.notes[0].startswith("rows have 5 fields where the header has 4: the first one is")


def test_rows_with_a_field_too_many_are_refused_with_the_numbers_of_fields(path: Path) -> None:
    header, *lines = lines_of()
    content = header + "".join(line.rstrip("\n") + ",more\n" for line in lines)
    message = refusal(path, content)
    assert message.startswith(": most rows have more fields than the header: expected 4 fields, ")
    assert f"found 5 in '{lines[0].strip()},more'" in message


def test_decimal_commas_without_quotes_between_commas_are_refused(path: Path) -> None:
    """Else the whole numbers alone would be left."""
    rows = FRAME.assign(x=[at / 10 for at in range(ROWS)])
    lines = [",".join(str(cell).replace(".", ",") for cell in row) for row in rows.to_numpy()]
    message = refusal(path, "\n".join(["ts,y,x,c", *lines]))
    assert "found 6" in message
    assert message.endswith("a decimal comma, must be in quotes")


def test_a_byte_order_mark_that_is_there_twice_is_left_out(path: Path) -> None:
    for written in ({}, {"quoting": csv.QUOTE_ALL}):
        marks = b"\xef\xbb\xbf" * 2
        Input(path, marks + FRAME.to_csv(index=False, **written).encode()).assert_same()  # type: ignore[call-overload]


def test_names_are_the_same_in_either_normal_form(path: Path) -> None:
    features = Features(numeric=("x",), categorical=("caf\u00e9",))
    content = FRAME.rename(columns={"c": "cafe\u0301"}).to_csv(index=False)
    path.write_text(content, encoding="utf-8")
    planned = plan(str(path), SCHEMA.model_copy(update={"features": features}))
    assert planned.rows == ROWS


@pytest.mark.parametrize(
    ("name", "reason_given"),
    [
        (" x", "(' x' differs from 'x' in spaces around it)"),
        ("x\u00a0", r"('x\xa0' differs from 'x' in spaces around it)"),
        ("x\u200b", r"('x\u200b' differs from 'x' in characters that are not seen)"),
        ("X", "('X' differs from 'x' in case)"),
        ("\uff58", r"('\uff58' differs from 'x' in characters that look alike)"),
    ],
)
def test_a_name_that_only_looks_alike_is_quoted_with_what_differs(
    path: Path, name: str, reason_given: str
) -> None:
    message = refusal(path, FRAME.rename(columns={"x": name}).to_csv(index=False))
    assert message.startswith(": has no column 'x': its columns are ts, y, ")
    assert message.endswith(reason_given)


def test_the_nearest_name_is_proposed(path: Path) -> None:
    near = SCHEMA.model_copy(update={"target": "delay_minutes"})
    content = FRAME.rename(columns={"y": "delay_minute"}).to_csv(index=False)
    assert refusal(path, content, near).endswith("(did you mean 'delay_minute'?)")


def test_a_file_without_a_header_row_is_refused(path: Path) -> None:
    assert "its first row looks like data" in refusal(path, FRAME.to_csv(index=False, header=False))


def test_a_file_with_one_row_has_a_dialect(path: Path) -> None:
    seen = Input(path, "ts;y;x;c\n2024-01-01;1,5;-,25;red")
    assert seen.rows[["y", "x"]].to_numpy().tolist() == [[1.5, -0.25]]


def test_nothing_is_found_in_a_file_of_nulls(path: Path) -> None:
    seen = Input(path, "ts,y,x,c\n2024-01-01,,,\n2024-01-02,,,\n")
    assert seen.notes == []
    assert all(math.isnan(each) for each in seen.rows["x"])


def test_points_that_may_part_thousands_are_refused_until_the_schema_decides(path: Path) -> None:
    sales = [f"{at * 10:,}".replace(",", ".") for at in range(ROWS)]
    content = FRAME.assign(x=sales, y="1").to_csv(index=False, sep=";")
    message = ": column 'x': '1.000' may be 1000 or 1.000: set [csv] thousands = \".\" or decimal"
    assert refusal(path, content).startswith(message)
    want = FRAME.assign(x=[at * 10 for at in range(ROWS)], y=1)
    Input(path, content, schema(thousands=".")).assert_same(want)
    Input(path, content, schema(decimal=".")).assert_same(want.assign(x=[float(s) for s in sales]))


@pytest.mark.parametrize("decimals", [1, 3, 4])
def test_points_of_decimals_are_read_whatever_their_number(path: Path, decimals: int) -> None:
    want = FRAME.assign(x=(FRAME["x"].abs() + 1).round(decimals), y=5.0)
    for content in (want, want.assign(x=[f"{x:.{decimals}f}" for x in want["x"]], y="5")):
        Input(path, content.to_csv(index=False, sep=";")).assert_same(want)


def test_a_tab_may_be_written_as_a_letter_behind_a_backslash() -> None:
    assert Csv(delimiter=r"\t").delimiter == "\t"


def test_encoded_and_compressed_files_have_a_dialect_too(tmp_path: Path) -> None:
    content = FRAME.to_csv(index=False, sep=";", decimal=",")
    Input(tmp_path / "in.csv", content.encode("utf-16")).assert_same()
    Input(tmp_path / "in.csv.gz", gzip.compress(content.encode())).assert_same()


def test_files_of_several_dialects_are_one_input(tmp_path: Path) -> None:
    halves = FRAME.iloc[: ROWS // 2], FRAME.iloc[ROWS // 2 :]
    halves[0].to_csv(tmp_path / "a.csv", index=False)
    halves[1].to_csv(tmp_path / "b.csv", index=False, sep=";", decimal=",")
    planned = plan(str(tmp_path / "*.csv"), SCHEMA)
    assert planned.rows == ROWS
    assert [file.dialect.delimiter for file in planned.files if file.dialect] == [",", ";"]


def test_a_file_without_quotes_may_hold_any(path: Path) -> None:
    want = FRAME.assign(c=['"big" one', 'an "odd', '5"'] * (ROWS // 3))
    lines = [",".join(map(str, row)) for row in want.to_numpy()]
    Input(path, "\n".join(["ts,y,x,c", *lines]), schema(quote="")).assert_same(want)
