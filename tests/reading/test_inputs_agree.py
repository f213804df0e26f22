"""One table, written by many writers: the same rows, categories and numbers in every format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.batch import Key, Tag, with_tag
from model.categories import canonical_column
from model.errors import UserError
from model.schema import Csv, Features, Schema
from model.validation import validate
from reading import plan, read, text

SCHEMA = Schema(
    name="s", time="ts", target="y", features=Features(numeric=("x", "b"), categorical=("c", "f"))
)
START = datetime(2024, 1, 1, tzinfo=timezone.utc)


class Row(NamedTuple):
    """A row of any of the types: time, numbers, a boolean as number, text, a boolean as text."""

    ts: datetime
    y: float | None
    x: int | None
    b: bool | None
    c: str | None
    f: bool | None


NUMBERS = st.floats(-1e15, 1e15).map(lambda value: value + 0.0)
LETTERS = st.characters(exclude_categories=("Cs", "Cc"))
TEXTS = st.one_of(
    st.text(alphabet="ab\",;|\t\n\\'\u00e9 \u6f22#", max_size=6),
    st.text(alphabet=LETTERS, max_size=6),
    st.sampled_from(["red", "NA", "null", "True", "2.0", "007", "1,5", "-", "=1", "sep=;"]),
)
TABLES = st.lists(
    st.builds(
        Row,
        st.integers(0, 10**13).map(lambda micros: START + timedelta(microseconds=micros)),
        NUMBERS | st.none(),
        st.integers(-(2**50), 2**50) | st.none(),
        st.booleans() | st.none(),
        TEXTS | st.none(),
        st.booleans() | st.none(),
    ),
    min_size=1,
    max_size=8,
)


def to_plain(value: object) -> str:
    """A value as Python writes it; "" for None."""
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else str(value)


def with_csv_module(rows: list[Row], **dialect: object) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, **({"lineterminator": "\n"} | dialect))  # type: ignore[arg-type]
    writer.writerows([Row._fields, *([to_plain(value) for value in row] for row in rows)])
    return out.getvalue()


def with_pandas(rows: list[Row], **options: object) -> str:
    frame = pd.DataFrame(rows, columns=list(Row._fields), dtype=object)
    return frame.to_csv(**({"index": False} | options))  # type: ignore[call-overload, no-any-return]


def with_arrow(rows: list[Row], **options: object) -> str:
    out = io.BytesIO()
    arrow_csv.write_csv(table_of(rows), out, arrow_csv.WriteOptions(**options))
    return out.getvalue().decode()


def as_spark(rows: list[Row]) -> str:
    """Quotes where they must be, a backslash before quotes and itself inside quotes."""

    def cell(value: object) -> str:
        text = to_plain(value).lower() if isinstance(value, bool) else to_plain(value)
        if not any(mark in text for mark in '",\n'):
            return text
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return "".join(",".join(map(cell, row)) + "\n" for row in [Row._fields, *rows])


def by_hand(rows: list[Row]) -> str:
    """A byte order mark, a comma behind each row, a comment, \r\n, words for null."""

    def cell(at: int, value: object) -> str:
        if value is None and at in (1, 2, 3):
            return "<NA>"
        text = to_plain(value)
        return '"' + text.replace('"', '""') + '"' if at == 4 else text

    lines = [",".join(cell(at, value) for at, value in enumerate(row)) + "," for row in rows]
    return "\ufeff# by hand\r\n" + "\r\n".join([",".join(Row._fields), *lines])


def german(rows: list[Row]) -> str:
    def cell(at: int, value: object) -> str:
        return to_plain(value).replace(".", ",") if at == 1 else to_plain(value)

    out = io.StringIO(newline="")
    out.write("sep=;\r\n")
    writer = csv.writer(out, delimiter=";")
    writer.writerows([Row._fields, *([cell(*each) for each in enumerate(row)] for row in rows)])
    return out.getvalue()


WRITERS: dict[str, tuple[Callable[[list[Row]], str], dict[str, object]]] = {
    "csv module": (with_csv_module, {}),
    "csv module, tabs": (lambda rows: with_csv_module(rows, delimiter="\t"), {}),
    "csv module, unix": (lambda rows: with_csv_module(rows, quoting=csv.QUOTE_ALL), {}),
    "csv module, apostrophes": (lambda rows: with_csv_module(rows, quotechar="'"), {"quote": "'"}),
    "pandas": (with_pandas, {}),
    "pandas, an index, pipes": (lambda rows: with_pandas(rows, index=True, sep="|"), {}),
    "pandas, CRLF": (lambda rows: with_pandas(rows, lineterminator="\r\n"), {}),
    "pandas, escapes": (
        lambda rows: with_pandas(rows, escapechar="\\", doublequote=False, quoting=csv.QUOTE_ALL),
        {"escape": "\\"},
    ),
    "Arrow": (with_arrow, {}),
    "Arrow, semicolons": (lambda rows: with_arrow(rows, delimiter=";"), {}),
    "Spark": (as_spark, {"escape": "\\"}),
    "by hand": (by_hand, {}),
    "German": (german, {"decimal": ","}),
}


def table_of(rows: list[Row]) -> pa.Table:
    kinds = [pa.timestamp("us", "UTC"), pa.float64(), pa.int64(), pa.bool_(), pa.string()]
    layout = pa.schema(list(zip(Row._fields, [*kinds, pa.bool_()], strict=True)))
    return pa.Table.from_pylist([row._asdict() for row in rows], schema=layout)


def json_of(rows: list[Row]) -> str:
    return "".join(json.dumps(row._asdict(), default=str) + "\n" for row in rows)


Values = list[list[object]]


def read_all(path: Path, schema: Schema = SCHEMA) -> tuple[Values, int]:
    """Every accepted row in order, NaN as None; and how many were rejected."""
    planned = plan(str(path), schema)
    found: list[tuple[object, ...]] = []
    rejected = 0
    for chunk in planned.chunks:
        for batch in read(planned.files[chunk.file], chunk, schema, 100):
            tag = Tag(Key(0, 0, 0), chunk.least, "x", 0)
            accepted, rejects = validate(with_tag(batch, tag), schema)
            rejected += len(rejects)
            found += [tuple(row.values()) for row in accepted.to_pylist()]
    assert len(found) + rejected == planned.rows
    rows = [[row[1], *row[3:]] for row in sorted(found)]
    nulls = [[None if v is not None and v != v else v for v in row] for row in rows]
    return nulls, rejected


def expected(rows: list[Row]) -> Values:
    """The rows as they are in memory: numbers are floats, categories canonical."""
    categories = [
        canonical_column(pa.array([row[at] for row in rows])).to_pylist() for at in (4, 5)
    ]
    numbers = [[None if v is None else float(v) for v in row[1:4]] for row in rows]
    return [
        [row.ts, *numbers[at], categories[0][at], categories[1][at]] for at, row in enumerate(rows)
    ]


def plain(row: Row) -> Row:
    r"""The row without what a writer cannot write: a lone \r, and Hive's mark for null."""
    text = None if row.c is None else row.c.replace("\r", "")
    return row._replace(c=None if text is None or text.strip() == r"\N" else text)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(TABLES, st.sampled_from(list(WRITERS)))
def test_every_csv_writers_table_is_the_one_in_memory(
    tmp_path: Path, rows: list[Row], writer: str
) -> None:
    rows = [plain(row) for row in rows]
    write, given_keys = WRITERS[writer]
    path = tmp_path / "in.csv"
    path.write_bytes(write(rows).encode())
    schema = SCHEMA.model_copy(update={"csv": Csv.model_validate(given_keys)})
    assert read_all(path, schema) == (expected(rows), 0)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(TABLES)
def test_parquet_and_ndjson_have_the_table_in_memory(tmp_path: Path, rows: list[Row]) -> None:
    pq.write_table(table_of(rows), tmp_path / "in.parquet")
    (tmp_path / "in.ndjson").write_text(json_of(rows), encoding="utf-8")
    for name in ("in.parquet", "in.ndjson"):
        assert read_all(tmp_path / name) == (expected(rows), 0)


CELLS = st.text(alphabet='ab1",\\\n', max_size=6)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(CELLS, min_size=1, max_size=8), st.sampled_from([1, 90, 1 << 20]))
def test_a_damaged_row_never_takes_another_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: list[str], block: int
) -> None:
    """Each cell is written without any quoting between two rows that are whole."""
    monkeypatch.setattr(text, "BLOCK", block)
    whole = [f"2024-01-01T00:00:{at:02d}Z,1,2,true,red,true\n" for at in range(len(cells) + 1)]
    damaged = [f"2024-01-01,1,2,true,{cell},true\n" for cell in cells]
    lines = [line for pair in zip(whole, damaged, strict=False) for line in pair]
    (tmp_path / "in.csv").write_text(",".join(Row._fields) + "\n" + "".join(lines) + whole[-1])
    schema = SCHEMA.model_copy(update={"csv": Csv(escape="")})
    try:
        rows, _ = read_all(tmp_path / "in.csv", schema)
    except UserError as error:
        assert "a quote that is opened in this row is never closed" in str(error)
    else:
        assert sum(row[4] == "red" for row in rows) == len(whole)
