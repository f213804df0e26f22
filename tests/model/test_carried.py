"""Columns that are carried: keys in one form, plain text of typed values, names that are taken."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from model.batch import ID, KEY, LATE, TIME, Key, Tag, accepted_schema, drop_carried, with_tag
from model.carried import carried_columns, carried_fields, to_keys, to_texts
from model.rows import from_dicts, scalars
from model.schema import TAKEN, Csv, Features, Schema
from model.validation import validate
from reading import plan, read
from reading.chunks import with_ids

TAG = Tag(Key(0, 0, 0), 0, "f", 1)


def schema(**values: Any) -> Schema:
    features = Features(numeric=("x",), categorical=("c",))
    return Schema(**{"name": "s", "time": "t", "target": "y", "features": features, **values})


FLIGHTS = schema(id="flight", keep=("gate", "x", "c", "t"))


def rows(**columns: list[Any]) -> list[dict[str, Any]]:
    number = len(next(iter(columns.values())))
    whole = {"t": [0] * number, "y": [1.0] * number, "x": [2.0] * number, "c": ["a"] * number}
    whole |= columns
    return [dict(zip(whole, values, strict=True)) for values in zip(*whole.values(), strict=True)]


@given(st.integers(-(2**53), 2**53))
def test_an_integer_is_the_same_key_as_number_float_decimal_and_text(number: int) -> None:
    arrays = (
        pa.array([number]),
        pa.array([float(number)]),
        pa.array([str(number)]),
        pa.array([f" {number}.0"]),
        pa.array([Decimal(number)], pa.decimal128(20, 2)),
        pa.array([str(number)]).dictionary_encode(),
    )
    assert {tuple(to_keys(values)[0].to_pylist()) for values in arrays} == {(str(number),)}
    batch = from_dicts(
        rows(flight=[number, float(number), np.int64(number), Decimal(number), str(number)]),
        np.arange(5),
        schema(id="flight"),
    )
    assert validate(with_tag(batch, TAG), schema(id="flight"))[0][KEY].to_pylist() == 5 * [
        str(number)
    ]


def test_text_keys_keep_leading_zeros_and_case_and_what_looks_like_a_number() -> None:
    texts_ = ["007", "AA-1", "1e5", "True", "01.0", "1.10", "e\u0301"]
    assert to_keys(pa.array(texts_))[0].to_pylist() == [*texts_[:-1], "\u00e9"]


def test_null_nan_and_empty_keys_are_null_and_no_reject() -> None:
    for flight in (None, math.nan, ""):
        batch = from_dicts(rows(flight=[flight, 1]), np.arange(2), schema(id="flight"))
        accepted, rejects = validate(with_tag(batch, TAG), schema(id="flight"))
        assert (accepted[KEY].to_pylist(), rejects) == ([None, "1"], [])


@pytest.mark.parametrize("value", [1.5, math.inf, 2.0**60, True, [1], Decimal("1.5")])
def test_a_value_that_cannot_be_a_key_is_a_reject(value: Any) -> None:
    batch = from_dicts(rows(flight=[1, value]), np.arange(2), schema(id="flight"))
    accepted, [reject] = validate(with_tag(batch, TAG), schema(id="flight"))
    assert accepted[KEY].to_pylist() == ["1"]
    assert reject.reason.startswith("column 'flight'")
    assert reject.reason.endswith("must be text, an integer or null")


def test_a_fraction_in_a_column_of_floats_is_a_reject_too() -> None:
    columns = pa.record_batch(
        {"t": [0, 1], "y": [1.0, 1.0], "x": [1.0, 1.0], "c": ["a", "a"], "flight": [12.0, 1.5]}
    )
    raw = with_tag(with_ids(columns, 0, schema()), TAG)
    accepted, [reject] = validate(raw, schema(id="flight"))
    assert accepted[KEY].to_pylist() == ["12"]
    assert reject.row == {"t": 1, "y": 1.0, "x": 1.0, "c": "a", "flight": 1.5}
    wanted = "column 'flight' (the id): 1.5: must be text, an integer or null"
    assert reject.reason == wanted


MOMENT = datetime(2024, 1, 1, 5, 0, 0, 120_000)
KEPT: list[tuple[Any, pa.DataType, str | None]] = [
    ("A1", pa.string(), "A1"),
    (" A1 ", pa.large_string(), " A1 "),
    ("", pa.string(), None),
    (12, pa.int8(), "12"),
    (0.1, pa.float64(), "0.1"),
    (np.float32(0.1), pa.float32(), "0.1"),
    (12.0, pa.float64(), "12.0"),
    (math.nan, pa.float64(), None),
    (True, pa.bool_(), "true"),
    (Decimal("1.50"), pa.decimal128(5, 2), "1.50"),
    (date(2024, 1, 1), pa.date32(), "2024-01-01"),
    (time(5, 0, 0, 120_000), pa.time64("us"), "05:00:00.12"),
    (MOMENT, pa.timestamp("us"), "2024-01-01T05:00:00.12"),
    (MOMENT, pa.timestamp("ms"), "2024-01-01T05:00:00.12"),
    (
        MOMENT.replace(tzinfo=timezone(timedelta(hours=1))),
        pa.timestamp("ns", "Europe/Paris"),
        "2024-01-01T04:00:00.12Z",
    ),
    (MOMENT.replace(microsecond=0), pa.timestamp("s"), "2024-01-01T05:00:00"),
]


@pytest.mark.parametrize(("value", "kind", "text"), KEPT)
def test_a_value_that_is_kept_is_the_same_text_from_a_column_and_from_a_row(
    value: Any, kind: pa.DataType, text: str | None
) -> None:
    assert to_texts(pa.array([value, None], kind)).to_pylist() == [text, None]
    batch = from_dicts(rows(gate=[value, None]), np.arange(2), schema(keep=("gate",)))
    accepted, rejects = validate(with_tag(batch, TAG), schema(keep=("gate",)))
    assert (accepted["gate"].to_pylist(), rejects) == ([text, None], [])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_that_is_kept_is_read_back_to_the_last_digit(number: float) -> None:
    [text] = to_texts(pa.array([number])).to_pylist()
    assert float(text) == number and scalars([number]).to_pylist() == [text]


def test_a_column_with_another_role_is_carried_as_the_model_took_it() -> None:
    batch = from_dicts(
        rows(flight=[1, 2], gate=["A", None], x=[None, 2], c=[True, None], t=[0, "1970-01-01"]),
        np.arange(2),
        FLIGHTS,
    )
    accepted, _ = validate(with_tag(batch, TAG), FLIGHTS)
    found = dict(
        zip(
            [f.name for f in carried_fields(FLIGHTS)],
            carried_columns(accepted, FLIGHTS),
            strict=True,
        )
    )
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert {name: values.to_pylist() for name, values in found.items()} == {
        "key": ["1", "2"],
        "gate": ["A", None],
        "x": [None, 2.0],
        "c": ["true", None],
        "t": [epoch, epoch],
    }
    assert [values.type for values in found.values()] == [f.type for f in carried_fields(FLIGHTS)]


def test_rows_without_the_columns_that_are_carried_have_nulls_there() -> None:
    accepted, rejects = validate(
        with_tag(from_dicts(rows(x=[1]), np.arange(1), FLIGHTS), TAG), FLIGHTS
    )
    assert rejects == [] and accepted["gate"].to_pylist() == accepted[KEY].to_pylist() == [None]


def test_what_is_nested_is_not_kept() -> None:
    batch = from_dicts(rows(gate=["A", {"a": 1}]), np.arange(2), schema(keep=("gate",)))
    _, [reject] = validate(with_tag(batch, TAG), schema(keep=("gate",)))
    assert reject.reason.startswith("column 'gate': {'a': 1}: must be text, a number")


def test_what_is_carried_is_not_learnt_from() -> None:
    accepted, _ = validate(
        with_tag(from_dicts(rows(flight=[1]), np.arange(1), FLIGHTS), TAG), FLIGHTS
    )
    assert accepted.schema.names == [ID, TIME, LATE, "y", "x", "c", KEY, "gate"]
    assert drop_carried(accepted, FLIGHTS).schema.equals(accepted_schema(schema()))
    assert drop_carried(accepted, FLIGHTS).schema.metadata == accepted.schema.metadata


@pytest.mark.parametrize(
    ("nulls", "gates"), [(None, [None, None, "-"]), (("-",), ["\\N", None, None])]
)
def test_the_null_marks_of_a_csv_file_are_nulls_in_columns_that_are_carried_too(
    nulls: tuple[str, ...] | None, gates: list[str | None], tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    rows = "".join(f"0,1,2,a,{text},{text}\n" for text in ("\\N", "", "-"))
    path.write_text(f"t,y,x,c,flight,gate\n{rows}")
    carries = schema(id="flight", keep=("gate",), csv=Csv(nulls=nulls))
    planned = plan(str(path), carries)
    [raw] = read(planned.files[0], planned.chunks[0], carries, 10)
    accepted, rejects = validate(with_tag(raw, TAG), carries)
    assert rejects == []
    assert accepted["gate"].to_pylist() == accepted[KEY].to_pylist() == gates


def test_a_schema_without_them_is_written_as_before() -> None:
    assert set(schema().model_dump(mode="json")) == {"name", "time", "target", "features", "csv"}
    assert FLIGHTS.model_dump(mode="json")["id"] == "flight"
    assert Schema.model_validate_json(FLIGHTS.model_dump_json()) == FLIGHTS


def test_the_columns_of_a_schema_are_each_named_once() -> None:
    one = schema(id="c", keep=("gate", "c", "x", "plane"))
    assert one.columns == ("t", "y", "x", "c", "gate", "plane")
    assert one.passed == ("gate", "plane")


@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_predictions_have_cannot_be_kept(name: str) -> None:
    with pytest.raises(ValidationError, match=f"keep: column '{name}': predictions have a column"):
        schema(keep=(name,))
    assert schema(id=name).id == name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"keep": ("a", "a")}, "keep: column 'a' is named twice"),
        ({"keep": ("",)}, "column '': a name must not be empty"),
        ({"keep": ("__a",)}, "column '__a': a name"),
        ({"id": "__a"}, "column '__a': a name"),
        ({"id": "x"}, "id: column 'x' has another role"),
        ({"id": "t"}, "id: column 't' has another role"),
        ({"id": "y"}, "id: column 'y' has another role"),
    ],
)
def test_a_bad_id_or_keep_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        schema(**values)
