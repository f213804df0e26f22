"""Validation: which rows are accepted, why the others are not, and that none is lost."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import (
    CATEGORY_TYPE,
    ID,
    LATE,
    LINE,
    PROBLEM,
    SECOND,
    TEXT,
    TIME,
    TIME_TYPE,
    Key,
    Tag,
    accepted_schema,
    column,
    tag_of,
    with_tag,
)
from model.numbers import parse_numbers
from model.schema import Features, Schema
from model.validation import Reject, validate

SCHEMA = Schema(
    name="s", time="t", target="y", features=Features(numeric=("x",), categorical=("k",))
)
TAG = Tag(Key(3, 2, 1), 5 * SECOND, "in.csv", 2)


def raw(rows: int = 3, **changes: pa.Array | None) -> pa.RecordBatch:
    """A raw batch of good rows with ids from 100; a change of None leaves a column out."""
    columns = {
        ID: pa.array(range(100, 100 + rows), pa.int64()),
        TIME: pa.array([5 * SECOND] * rows, pa.int64()).cast(TIME_TYPE),
        LATE: pa.array([False] * rows),
        "t": pa.array(["1970-01-01T00:00:05Z"] * rows),
        "y": pa.array([1.0] * rows),
        "x": pa.array([2.0] * rows),
        "k": pa.array(["a"] * rows),
    }
    merged = {name: values for name, values in (columns | changes).items() if values is not None}
    return with_tag(pa.record_batch(merged), TAG)


def accepted_ids(batch: pa.RecordBatch) -> list[int]:
    return list(batch.column(ID).to_pylist())


def test_good_rows_are_accepted_in_the_layout_of_a_batch_with_their_tag() -> None:
    accepted, rejects = validate(raw(unknown=pa.array([[1], [2], []])), SCHEMA)
    assert rejects == []
    assert accepted.schema.equals(accepted_schema(SCHEMA))
    assert tag_of(accepted) == TAG
    assert accepted_ids(accepted) == [100, 101, 102]


def test_an_empty_batch_is_accepted() -> None:
    accepted, rejects = validate(raw(0), SCHEMA)
    assert (accepted.num_rows, rejects) == (0, [])
    assert accepted.schema.equals(accepted_schema(SCHEMA))


def test_float64_columns_without_nulls_are_not_copied() -> None:
    batch = raw()
    accepted, _ = validate(batch, SCHEMA)
    for name in ("y", "x"):
        before, after = (b.column(name).buffers()[1].address for b in (batch, accepted))
        assert before == after


def test_nan_and_null_are_accepted_as_nan() -> None:
    nulls = pa.array([None, math.nan, 1.5])
    accepted, rejects = validate(raw(y=nulls, x=nulls, k=pa.array([None, "", "b"])), SCHEMA)
    assert rejects == []
    for name in ("y", "x"):
        assert np.isnan(column(accepted, name)).tolist() == [True, True, False]
    assert accepted.column("k").to_pylist() == [None, None, "b"]


@pytest.mark.parametrize("name", ["y", "x"])
@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinity_is_rejected(name: str, value: float) -> None:
    accepted, rejects = validate(raw(**{name: pa.array([1.0, value, math.nan])}), SCHEMA)
    assert accepted_ids(accepted) == [100, 102]
    assert [reject.reason for reject in rejects] == [
        f"column '{name}': {value}: must be a finite number or null"
    ]


def test_an_infinity_and_its_opposite_do_not_hide_each_other() -> None:
    accepted, rejects = validate(raw(x=pa.array([math.inf, -math.inf, 1e149])), SCHEMA)
    assert accepted_ids(accepted) == [102]
    assert len(rejects) == 2


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, None, 2**53 + 1]),
        pa.array([1, None, 2**64 - 1], pa.uint64()),
        pa.array([0.5, None, 2.0], pa.float32()),
        pa.array([0.5, None, 2.0], pa.float16()),
        pa.array([Decimal("0.25"), None, Decimal("-3")]),
        pa.array([True, None, False]),
        pa.array([None, None, None]),
        pa.array([3, None, 3], pa.int8()).dictionary_encode(),
        pa.array([0.5, None, 0.5]).dictionary_encode(),
    ],
    ids=lambda values: str(values.type),
)
def test_a_number_of_any_type_becomes_float64(values: pa.Array) -> None:
    accepted, rejects = validate(raw(x=values, y=values), SCHEMA)
    assert rejects == []
    want = [math.nan if v is None else float(v) for v in values.to_pylist()]
    np.testing.assert_array_equal(column(accepted, "x"), want)
    np.testing.assert_array_equal(column(accepted, "y"), want)


@pytest.mark.parametrize(
    ("values", "want"),
    [
        (pa.array(["a", None, "b"], pa.large_string()), ["a", None, "b"]),
        (pa.array(["a", None, "b"], pa.string_view()), ["a", None, "b"]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (
            pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), ["b", "a"]),
            ["a", None, "b"],
        ),
        (
            pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int32()), ["b", None]),
            ["b", None, "b"],
        ),
        (pa.array([7, None, -1]).dictionary_encode(), ["7", None, "-1"]),
        (pa.array([7, None, -1]), ["7", None, "-1"]),
        (pa.array([True, None, False]), ["true", None, "false"]),
        (pa.array([None, None, None]), [None, None, None]),
    ],
    ids=lambda each: str(each.type) if isinstance(each, pa.Array) else "",
)
def test_a_category_of_any_type_becomes_a_dictionary(
    values: pa.Array, want: list[str | None]
) -> None:
    accepted, rejects = validate(raw(k=values), SCHEMA)
    assert rejects == []
    assert accepted.column("k").type == CATEGORY_TYPE
    assert accepted.column("k").to_pylist() == want
    assert accepted.column("k").null_count == want.count(None)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("y", pa.array([[1.0], None, []])),
        ("x", pa.array([{"a": 1}] * 3)),
        ("x", pa.array([b"1"] * 3)),
        ("x", pa.array([5] * 3, pa.timestamp("us"))),
        ("k", pa.array([[1.5]] * 3)),
        ("k", pa.array([5] * 3, pa.timestamp("s"))),
        ("k", pa.array([b"a"] * 3)),
    ],
)
def test_a_column_of_a_type_that_cannot_serve_rejects_every_row(
    name: str, values: pa.Array
) -> None:
    accepted, rejects = validate(raw(**{name: values}), SCHEMA)
    assert accepted.num_rows == 0
    assert accepted.schema.equals(accepted_schema(SCHEMA))
    assert len(rejects) == 3
    assert all(f"column '{name}' is of type {values.type}" in each.reason for each in rejects)
    assert all(json.loads(each.as_json()) for each in rejects)


@pytest.mark.parametrize("name", ["y", "x", "k"])
def test_an_absent_column_rejects_every_row(name: str) -> None:
    absent: dict[str, Any] = {name: None}
    accepted, rejects = validate(raw(**absent), SCHEMA)
    assert accepted.num_rows == 0
    assert {each.reason for each in rejects} == {
        f"column '{name}' is missing: every row needs it (null is allowed)"
    }
    assert name not in rejects[0].row  # type: ignore[operator]


def test_the_column_of_the_time_may_be_absent() -> None:
    accepted, rejects = validate(raw(t=None), SCHEMA)
    assert (accepted.num_rows, rejects) == (3, [])


def test_a_row_without_a_readable_time_is_rejected_with_the_value() -> None:
    times = pa.array([5 * SECOND, None, None], pa.int64()).cast(TIME_TYPE)
    batch = raw(**{TIME: times, "t": pa.array(["1970-01-01T00:00:05Z", "soon", None])})
    accepted, rejects = validate(batch, SCHEMA)
    assert accepted_ids(accepted) == [100]
    assert [each.dated for each in rejects] == [False, False]
    assert rejects[0].reason.startswith("column 't' (the time): 'soon': must be ISO 8601")
    assert rejects[1].reason.startswith("column 't' (the time): null: must be ISO 8601")
    _, rejects = validate(raw(**{TIME: times, "t": None}), SCHEMA)
    assert len(rejects) == 2


def test_a_row_with_several_faults_is_rejected_once_for_the_first() -> None:
    undated = pa.array([None, None, 1, 1], pa.int64()).cast(TIME_TYPE)
    bad = pa.array([math.inf] * 4)
    problems = pa.array(["is not JSON", None, None, None])
    texts = pa.array(["{", None, None, None])
    batch = raw(4, **{TIME: undated, PROBLEM: problems, TEXT: texts, "y": bad, "x": bad})
    accepted, rejects = validate(batch, SCHEMA)
    assert accepted.num_rows == 0
    starts = ["is not JSON", "column 't' (the time)", "column 'y': inf", "column 'y': inf"]
    assert [reject.reason[: len(s)] for reject, s in zip(rejects, starts, strict=True)] == starts


def test_a_reject_shows_row_place_and_stamp() -> None:
    moment = datetime(2024, 3, 1, 12, 0, 0, 250_000)
    batch = raw(
        y=pa.array([1.0, math.inf, math.nan]),
        t=pa.array([moment] * 3, pa.timestamp("us", tz="America/Sao_Paulo")),
    )
    _, rejects = validate(batch, SCHEMA)
    row = {"t": "2024-03-01T12:00:00.250000Z", "y": math.inf, "x": 2.0, "k": "a"}
    reason = "column 'y': inf: must be a finite number or null"
    assert rejects == [Reject(row, reason, "in.csv:103", TAG.at, True)]
    message = {"row": row | {"y": "inf"}, "reason": reason, "where": "in.csv:103"}
    assert json.loads(rejects[0].as_json()) == message


def test_the_line_of_a_row_is_its_own_if_it_has_one() -> None:
    bad = pa.array([math.inf] * 3)
    lines = pa.array([7, None, 12], pa.int64())
    _, rejects = validate(raw(y=bad, **{LINE: lines}), SCHEMA)
    assert [each.where for each in rejects] == ["in.csv:7", "in.csv:103", "in.csv:12"]


def test_a_row_that_its_source_could_not_read_is_rejected_by_its_text() -> None:
    none = pa.nulls(3, pa.float64())
    problems = pa.array([None, "expected 5 fields, found 3", None])
    batch = raw(y=none, x=none, **{PROBLEM: problems, TEXT: pa.array([None, "1,2,é", None])})
    accepted, rejects = validate(batch, SCHEMA)
    assert accepted_ids(accepted) == [100, 102]
    want = Reject("1,2,é", "expected 5 fields, found 3", "in.csv:103", TAG.at, True)
    assert rejects == [want]
    assert "é" in want.as_json()


def test_a_long_value_is_shortened_in_the_reason_and_whole_in_the_row() -> None:
    _, rejects = validate(raw(1, x=pa.array(["z" * 1000])), SCHEMA)
    assert len(rejects[0].reason) < 150
    assert "z" * 1000 in rejects[0].as_json()


def test_json_has_one_line_and_no_nan_however_deep() -> None:
    row = {"a": [1.0, math.nan, {"b": -math.inf}], "c": b"\xff", "d": "x\ny", "e": Decimal("1.5")}
    line = Reject(row, "r", "w", 0, False).as_json()
    assert "\n" not in line

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    body = json.loads(line, parse_constant=refuse)["row"]
    assert body["a"] == [1.0, "nan", {"b": "-inf"}]
    assert (body["d"], body["e"]) == ("x\ny", "1.5")


@pytest.mark.parametrize(
    "text",
    ["1", "+1", "-1.", ".5", "1e5", "1E-5", " 7\t", "00012", "-0", "1e400", "inf", "-Infinity"],
)
def test_a_number_as_text_is_read_as_python_reads_it(text: str) -> None:
    numbers, bad = parse_numbers(pa.array([text]))
    assert numbers.to_pylist() == [float(text)]
    assert bad.tolist() == [False]


@pytest.mark.parametrize(
    "text", ["", "  ", "NA", "N/A", "null", "NULL", "None", "NaN", "nan", "-nan"]
)
def test_a_null_word_is_a_null_number(text: str) -> None:
    accepted, rejects = validate(raw(1, x=pa.array([text])), SCHEMA)
    assert rejects == []
    assert np.isnan(column(accepted, "x")).all()


@pytest.mark.parametrize(
    "text", ["abc", "1,5", "1_000", "0x10", "1d5", "1 2", "e5", ".", "-", "\u0661"]
)
def test_text_that_is_no_number_is_rejected(text: str) -> None:
    batch = raw(x=pa.array(["1", text, None]), y=pa.array(["2", "2", "2"]).dictionary_encode())
    accepted, rejects = validate(batch, SCHEMA)
    assert accepted_ids(accepted) == [100, 102]
    assert rejects[0].reason == f"column 'x': {text!r}: must be a finite number or null"


def test_infinity_as_text_is_rejected_as_it_stood() -> None:
    _, rejects = validate(raw(x=pa.array(["1", "-inf", "1e999"])), SCHEMA)
    assert [each.row["x"] for each in rejects] == ["-inf", "1e999"]  # type: ignore[index]


def test_a_batch_without_a_tag_is_an_error_if_a_row_is_rejected() -> None:
    with pytest.raises(ValueError, match="without a tag"):
        validate(raw(y=pa.array([math.inf] * 3)).replace_schema_metadata(None), SCHEMA)


CELLS = st.one_of(st.none(), st.floats(), st.just(math.inf))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.none() | st.just(1), CELLS, CELLS), max_size=20), st.booleans())
def test_every_row_is_accepted_or_rejected_as_pandas_shows(
    rows: list[tuple[int | None, float | None, float | None]], as_text: bool
) -> None:
    times, ys, xs = ([row[i] for row in rows] for i in range(3))
    text = [None if x is None else repr(x) for x in xs]
    batch = raw(
        len(rows),
        **{TIME: pa.array(times, pa.int64()).cast(TIME_TYPE), "y": pa.array(ys, pa.float64())},
        x=pa.array(text, pa.string()) if as_text else pa.array(xs, pa.float64()),
    )
    accepted, rejects = validate(batch, SCHEMA)
    frame = pd.DataFrame({"t": times, "y": ys, "x": xs}, dtype=float)
    keep = frame["t"].notna() & ~(frame["y"].abs() > 1e150) & ~(frame["x"].abs() > 1e150)
    assert accepted_ids(accepted) == (np.flatnonzero(keep) + 100).tolist()
    for name in ("y", "x"):
        np.testing.assert_array_equal(column(accepted, name), frame.loc[keep, name].to_numpy())
    places = [f"in.csv:{line}" for line in np.flatnonzero(~keep) + 102]
    assert [each.where for each in rejects] == places


def test_utc_is_what_a_reject_of_an_aware_time_shows() -> None:
    noon = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)
    batch = raw(1, y=pa.array([math.inf]), t=pa.array([noon], pa.timestamp("ns", tz="Asia/Tokyo")))
    _, rejects = validate(batch, SCHEMA)
    assert rejects[0].row["t"].startswith("2024-03-01T12:00:00")  # type: ignore[index]


def test_a_number_whose_square_is_none_is_rejected_with_the_bounds() -> None:
    accepted, rejects = validate(raw(y=pa.array([1e150, -1e150, 1.1e150])), SCHEMA)
    assert accepted_ids(accepted) == [100, 101]
    assert rejects[0].reason == (
        "column 'y': 1.1e+150: must be a number from -1e+150 to 1e+150 or null"
    )
