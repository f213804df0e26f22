"""Rows from dicts: what a column takes, and what becomes of the rest."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import ID, LATE, PROBLEM, TEXT, TIME, TIME_TYPE
from model.rows import Row, RowError, from_dicts, scalars
from model.schema import Features, Schema

SCHEMA = Schema(
    name="s", time="t", target="y", features=Features(numeric=("x",), categorical=("k",))
)
GOOD: dict[str, object] = {"t": "2024-03-01", "y": 1.5, "x": 2, "k": "a"}
MARCH = datetime(2024, 3, 1, tzinfo=timezone.utc)


def build(*rows: Mapping[str, object] | RowError) -> pa.RecordBatch:
    return from_dicts(rows, np.arange(10, 10 + len(rows)), SCHEMA)


def problem(**changes: object) -> str | None:
    """The problem of a row with those changes, which must not change the row before it."""
    batch = build(GOOD, GOOD | changes)
    if PROBLEM not in batch.schema.names:
        return None
    problems = batch.column(PROBLEM).to_pylist()
    assert problems[0] is None
    assert batch.column("y").to_pylist() == [1.5, None]
    return str(problems[1])


def test_a_good_row_becomes_a_row_of_typed_columns() -> None:
    batch = build(GOOD, GOOD | {"unknown": object()})
    kinds = {ID: pa.int64(), TIME: TIME_TYPE, LATE: pa.bool_(), "t": pa.string()}
    kinds |= {"y": pa.float64(), "x": pa.float64(), "k": pa.string()}
    assert dict(zip(batch.schema.names, batch.schema.types, strict=True)) == kinds
    assert batch.to_pylist() == [
        {ID: number, TIME: MARCH, LATE: False, "t": "2024-03-01", "y": 1.5, "x": 2.0, "k": "a"}
        for number in (10, 11)
    ]


def test_no_rows_make_an_empty_batch_of_the_same_columns() -> None:
    assert build().schema.names == build(GOOD).schema.names
    assert build().num_rows == 0


@pytest.mark.parametrize("none", [None, pd.NA, pd.NaT])
def test_none_is_a_null_in_every_column(none: object) -> None:
    batch = build({"t": None, "y": none, "x": none, "k": none}, GOOD)
    assert PROBLEM not in batch.schema.names
    assert [batch.column(name)[0].as_py() for name in (TIME, "t", "y", "x", "k")] == [None] * 5


def test_the_nulls_of_pandas_are_nulls_in_times_and_columns_that_are_carried() -> None:
    carries = SCHEMA.model_copy(update={"id": "i", "keep": ("n",)})
    rows = [GOOD | {"t": none, "i": none, "n": none} for none in (pd.NA, pd.NaT)]
    batch = from_dicts(rows, np.arange(2), carries)
    assert PROBLEM not in batch.schema.names
    for name in (TIME, "i", "n"):
        assert batch.column(name).null_count == 2
    assert scalars([pd.NA, pd.NaT]).null_count == 2


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (True, 1.0),
        (2**53 + 1, float(2**53 + 1)),
        (2**70, float(2**70)),
        (Decimal("12.25"), 12.25),
        (np.float32(0.5), 0.5),
        (np.int16(-3), -3.0),
        (np.bool_(True), 1.0),
        (math.inf, math.inf),
        (1e308, 1e308),
    ],
)
def test_a_number_of_any_kind_is_taken(value: object, number: float) -> None:
    batch = build(GOOD, GOOD | {"x": value, "y": value})
    assert PROBLEM not in batch.schema.names
    assert batch.column("x").to_pylist() == [2.0, number]
    assert batch.column("y").to_pylist() == [1.5, number]


@pytest.mark.parametrize(
    ("text", "number"),
    [("12.5", 12.5), (" -3 ", -3.0), ("1e3", 1000.0), ("True", 1.0), ("", None), ("NA", None)],
)
def test_a_number_may_be_text(text: str, number: float | None) -> None:
    batch = build(GOOD | {"x": text}, GOOD, GOOD | {"x": 7}, GOOD | {"x": None})
    assert PROBLEM not in batch.schema.names
    assert batch.column("x").to_pylist() == [number, 2.0, 7.0, None]
    mixed = from_dicts([GOOD | {"x": text}, GOOD | {"y": "soon"}], np.arange(2), SCHEMA)
    assert mixed.column("x").to_pylist() == [number, None]
    assert [bad is None for bad in mixed.column(PROBLEM).to_pylist()] == [True, False]


def test_absent_keys_are_nulls_where_that_is_asked_for() -> None:
    rows: list[Row] = [
        GOOD,
        {"t": 5},
        {"y": 1.0},
        RowError("half", "is not JSON"),
        {"t": 6, "x": "soon"},
    ]
    batch = from_dicts(rows, np.arange(5), SCHEMA, absent_is_null=True)
    assert batch.column("x").to_pylist() == [2.0, None, None, None, None]
    assert batch.column("y").to_pylist() == [1.5, None, 1.0, None, None]
    assert batch.column("k").to_pylist() == ["a", None, None, None, None]
    assert [bad is None for bad in batch.column(PROBLEM).to_pylist()] == [True] * 3 + [False] * 2
    assert batch.column(TEXT).to_pylist()[4] == '{"t": 6, "x": "soon"}'
    clean = from_dicts(rows[:3], np.arange(3), SCHEMA, absent_is_null=True)
    assert PROBLEM not in clean.schema.names and clean.column("x").to_pylist() == [2.0, None, None]


@pytest.mark.parametrize("value", ["soon", "1_0", b"1", [1], {"a": 1}, 10**400, MARCH, 1j])
def test_what_is_no_number_is_a_problem_that_names_column_and_value(value: object) -> None:
    result = problem(x=value)
    assert result is not None
    assert result.startswith("column 'x': ")
    assert result.endswith(": must be a finite number or null")
    assert repr(value)[:8] in result


@pytest.mark.parametrize(
    ("value", "text"),
    [(7, "7"), (-(2**70), str(-(2**70))), (True, "true"), (np.bool_(False), "false"), ("", "")],
)
def test_integers_and_booleans_are_categories_by_their_text(value: object, text: str) -> None:
    assert build(GOOD | {"k": value}, GOOD).column("k").to_pylist() == [text, "a"]


@pytest.mark.parametrize("value", [b"a", ["a"], {}, "\ud800", 1j, datetime(2024, 3, 1)])
def test_what_is_no_category_is_a_problem(value: object) -> None:
    result = problem(k=value)
    assert result is not None
    assert result.startswith("column 'k': ")


@pytest.mark.parametrize(
    "value",
    [
        "2024-03-01T00:00:00Z",
        1_709_251_200,
        1_709_251_200.0,
        Decimal(1_709_251_200),
        np.int64(1_709_251_200),
        MARCH,
        MARCH.replace(tzinfo=None),
        MARCH.astimezone(timezone(timedelta(hours=-3))),
        date(2024, 3, 1),
        np.datetime64("2024-03-01T00:00"),
    ],
)
def test_a_time_of_any_kind_is_read_alone_and_beside_others(value: object) -> None:
    row = GOOD | {"t": value}
    assert build(row).column(TIME).to_pylist() == [MARCH]
    mixed = build(row, GOOD, GOOD | {"t": 0}, GOOD | {"t": MARCH}, GOOD | {"t": date(1970, 1, 2)})
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    want = [MARCH, MARCH, epoch, MARCH, epoch + timedelta(days=1)]
    assert mixed.column(TIME).to_pylist() == want


def test_a_date_beside_datetimes_does_not_cut_off_their_hours() -> None:
    noon = MARCH.replace(hour=12)
    batch = build(GOOD | {"t": date(2024, 3, 1)}, GOOD | {"t": noon})
    assert batch.column(TIME).to_pylist() == [MARCH, noon]


@pytest.mark.parametrize("value", ["soon", "", 10**30, math.nan, "2024-13-01"])
def test_an_unreadable_time_is_a_null_and_no_problem(value: object) -> None:
    batch = build(GOOD, GOOD | {"t": value})
    assert PROBLEM not in batch.schema.names
    assert batch.column(TIME).to_pylist() == [MARCH, None]


def test_an_integer_too_large_for_a_time_is_a_null_beside_other_integers() -> None:
    batch = build(GOOD | {"t": 0}, GOOD | {"t": 10**30})
    assert batch.column(TIME).to_pylist() == [datetime(1970, 1, 1, tzinfo=timezone.utc), None]


@pytest.mark.parametrize("value", [True, [1], b"2024-03-01", "\udfff"])
def test_what_can_be_no_time_is_a_problem(value: object) -> None:
    result = problem(t=value)
    assert result is not None
    assert result.startswith("column 't': ")
    assert "ISO 8601" in result


@pytest.mark.parametrize("name", ["t", "y", "x", "k"])
def test_an_absent_key_is_a_problem_and_the_row_keeps_its_place_and_text(name: str) -> None:
    row = {key: value for key, value in GOOD.items() if key != name}
    batch = build(GOOD, row, GOOD)
    assert batch.column(ID).to_pylist() == [10, 11, 12]
    assert batch.column("y").to_pylist() == [1.5, None, 1.5]
    assert batch.column(TIME).to_pylist() == [MARCH, None if name == "t" else MARCH, MARCH]
    result = batch.column(PROBLEM).to_pylist()
    assert result == [
        None,
        f"column '{name}' is missing: every row needs it (null is allowed)",
        None,
    ]
    texts = batch.column(TEXT).to_pylist()
    assert texts[0] is None
    assert json.loads(texts[1]) == row


def test_a_row_that_could_not_be_read_keeps_its_text_and_reason() -> None:
    batch = build(RowError("{half", "is not JSON"), GOOD)
    assert batch.column(PROBLEM).to_pylist() == ["is not JSON", None]
    assert batch.column(TEXT).to_pylist() == ["{half", None]
    assert batch.column("x").to_pylist() == [None, 2.0]


def test_a_row_with_odd_values_still_has_a_text() -> None:
    batch = build(GOOD | {"k": [1.5], "when": MARCH, "ã": "é", "half": "\ud800"})
    text = batch.column(TEXT)[0].as_py()
    assert '"ã": "é"' in text
    assert "\\ud800" in text
    assert str(MARCH) in text


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "t": st.one_of(st.none(), st.integers(0, 10**10), st.just("2024-03-01")),
                "y": st.one_of(st.none(), st.floats(allow_nan=False), st.integers(), st.just("no")),
                "x": st.one_of(st.none(), st.floats(allow_nan=False), st.booleans()),
            },
            optional={"k": st.one_of(st.none(), st.text(), st.integers(), st.floats())},
        ),
        max_size=8,
    )
)
def test_a_row_is_the_same_whatever_stands_beside_it(rows: list[dict[str, object]]) -> None:
    names = [ID, TIME, LATE, "y", "x", "k", PROBLEM, TEXT]

    def as_lists(batch: pa.RecordBatch) -> list[list[object]]:
        rows = batch.to_pylist()
        return [[row.get(name) for name in names] for row in rows]

    together = as_lists(from_dicts(rows, np.arange(len(rows)), SCHEMA))
    alone = [as_lists(from_dicts([row], np.array([i]), SCHEMA))[0] for i, row in enumerate(rows)]
    assert together == alone
