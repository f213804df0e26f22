"""Any table gives the same accepted rows through every format, whoever wrote it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.batch import Key, Tag, with_tag
from model.schema import Features, Schema
from model.validation import validate
from reading import plan, read

SCHEMA = Schema(
    name="s", time="t", target="y", features=Features(numeric=("x", "n"), categorical=("k", "b"))
)
Rows = list[dict[str, Any]]


def iso(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def as_text(rows: Rows) -> Rows:
    return [row | {"t": iso(row["t"])} for row in rows]


def sparse(rows: Rows) -> Rows:
    return [{k: v for k, v in row.items() if v is not None} for row in as_text(rows)]


def frame(rows: Rows) -> pd.DataFrame:
    found = pd.DataFrame(rows, columns=["t", "y", "x", "n", "k", "b"])
    for name in ("y", "x"):
        found[name] = found[name].astype(float)
    found["n"] = found["n"].astype("Int64")
    return found.astype({"k": object, "b": object})


def table(rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(
        rows,
        pa.schema(
            [
                ("t", pa.timestamp("us", "UTC")),
                *(("y", pa.float64()), ("x", pa.float64()), ("n", pa.int64())),
                *(("k", pa.string()), ("b", pa.bool_())),
            ]
        ),
    )


def python_csv(rows: Rows) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(SCHEMA.columns), delimiter=";")
    writer.writeheader()
    writer.writerows(as_text(rows))
    return text.getvalue().encode()


def arrow_text(rows: Rows) -> bytes:
    buffer = io.BytesIO()
    arrow_csv.write_csv(table(rows), buffer)
    return buffer.getvalue()


def parquet(rows: Rows, **how: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table(rows), buffer, row_group_size=3, **how)
    return buffer.getvalue()


def lines(rows: Rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


WRITERS: dict[str, tuple[str, Callable[[Rows], bytes]]] = {
    "pandas' CSV": ("csv", lambda rows: frame(rows).to_csv(index=False).encode()),
    "pandas' TSV": ("tsv", lambda rows: frame(rows).to_csv(index=False, sep="\t").encode()),
    "pandas' CSV of another encoding": (
        "csv",
        lambda rows: frame(rows).to_csv(index=False).encode("utf-16"),
    ),
    "Python's CSV": ("csv", python_csv),
    "Arrow's CSV": ("csv", arrow_text),
    "pandas' NDJSON": (
        "ndjson",
        lambda rows: (
            frame(rows)
            .to_json(orient="records", lines=True, date_format="iso", double_precision=15)
            .encode()
        ),
    ),
    "pandas' array": (
        "json",
        lambda rows: (
            frame(rows)
            .to_json(orient="records", indent=2, date_format="iso", double_precision=15)
            .encode()
        ),
    ),
    "Spark's NDJSON": ("json", lambda rows: lines(sparse(rows))),
    "an indented array": ("json", lambda rows: json.dumps(as_text(rows), indent=1).encode()),
    "numbers as text": (
        "ndjson",
        lambda rows: lines(
            [
                row | {k: None if row[k] is None else str(row[k]) for k in "yxnb"}
                for row in as_text(rows)
            ]
        ),
    ),
    "Arrow's Parquet": ("parquet", parquet),
    "Spark's Parquet": (
        "parquet",
        lambda rows: parquet(rows, use_deprecated_int96_timestamps=True, store_schema=False),
    ),
    "pandas' Parquet": ("parquet", lambda rows: frame(rows).to_parquet(index=False)),
}

texts = st.text(st.sampled_from("abé ,;\"'\t{}[]:|ß日#"), min_size=1, max_size=6).map(str.strip)
tables = st.lists(
    st.fixed_dictionaries(
        {
            "t": st.integers(0, 10**6).map(
                lambda s: datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=s)
            ),
            "y": st.none() | st.integers(-(10**6), 10**6).map(lambda n: n / 64),
            "x": st.none() | st.integers(-(10**6), 10**6).map(lambda n: n / 64),
            "n": st.none() | st.integers(-(10**9), 10**9),
            "k": st.none() | texts.filter(lambda text: text and text.strip("\"' ,;")),
            "b": st.none() | st.booleans(),
        }
    ),
    max_size=8,
)
WHOLE = {
    "t": datetime(2024, 1, 1, tzinfo=timezone.utc),
    **{"y": 1.5, "x": 2.25, "n": 7, "k": "red", "b": True},
}


def accept_rows(path: Path) -> list[tuple[Any, ...]]:
    planned = plan(str(path), SCHEMA)
    rows: Rows = []
    for chunk in planned.chunks:
        for batch in read(planned.files[chunk.file], chunk, SCHEMA, 3):
            good, rejects = validate(with_tag(batch, Tag(Key(0, 0, 0), 0, "", 1)), SCHEMA)
            assert not rejects
            rows += good.to_pylist()
    rows.sort(key=lambda row: row["__id"])
    return [
        tuple(
            None if isinstance(value, float) and math.isnan(value) else value
            for value in (row[name] for name in ("__time", *SCHEMA.columns[1:]))
        )
        for row in rows
    ]


@pytest.mark.parametrize("writer", WRITERS)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=tables)
def test_whoever_wrote_a_table_its_rows_are_the_same(
    tmp_path: Path, writer: str, rows: Rows
) -> None:
    rows = [WHOLE, WHOLE | {"k": "blue", "b": False}, *rows]
    suffix, write = WRITERS[writer]
    path = tmp_path / f"in.{suffix}"
    path.write_bytes(write(rows))
    want = [
        (
            row["t"],
            *(None if row[name] is None else float(row[name]) for name in "yxn"),
            row["k"],
            None if row["b"] is None else str(row["b"]).lower(),
        )
        for row in rows
    ]
    assert accept_rows(path) == want
