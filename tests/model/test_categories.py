"""Categories: the same value is the same category in every format and at every door."""

from __future__ import annotations

import json
import unicodedata
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.artefact import Artefact, load_bytes, rebuild
from model.batch import CATEGORY_TYPE, Key, Tag, with_tag
from model.categories import canonical_column, canonical_value, category_array, rename_categories
from model.encoder import codes
from model.rows import from_dicts
from model.schema import Features, Schema
from model.validation import validate
from reading import plan, read
from tests.kit.rows import RIDGE, rides, train_model

SCHEMA = Schema(
    name="s", time="t", target="y", features=Features(numeric=("x",), categorical=("k",))
)
NFD = unicodedata.normalize("NFD", "São")


def validate_column(raw: pa.RecordBatch) -> list[str | None]:
    """The categories that validation makes of a raw batch whose rows all fit."""
    accepted, rejects = validate(with_tag(raw, Tag(Key(0, 0, 0), 0, "x", 0)), SCHEMA)
    assert rejects == []
    assert accepted.column("k").type == CATEGORY_TYPE
    return list(accepted.column("k").to_pylist())


def in_file(path: Path) -> list[str | None]:
    """The categories of a file, in the order of its rows."""
    planned = plan(str(path), SCHEMA)
    parts = [
        batch
        for chunk in planned.chunks
        for batch in read(planned.files[chunk.file], chunk, SCHEMA, 1_000)
    ]
    return [category for part in parts for category in validate_column(part)]


def table(values: pa.Array) -> pa.Table:
    """A table of the schema's columns, a row for each category."""
    rows = len(values)
    times = [f"2024-01-01T00:00:{i % 60:02}Z" for i in range(rows)]
    return pa.table({"t": times, "y": [1.0] * rows, "x": [1.0] * rows, "k": values})


def through_every_door(folder: Path, values: pa.Array) -> dict[str, list[str | None]]:
    """The categories of a column, by the way that it came."""
    rows = table(values)
    frame = rows.to_pandas()
    arrow_csv.write_csv(rows, folder / "arrow.csv")
    frame.to_csv(folder / "pandas.csv", index=False)
    pq.write_table(rows, folder / "arrow.parquet")
    pq.write_table(rows.set_column(3, "k", values.dictionary_encode()), folder / "encoded.parquet")
    dicts = rows.to_pylist()
    lines = [json.dumps(row, default=str) for row in dicts]
    (folder / "lines.ndjson").write_text("\n".join(lines))
    names = ("arrow.csv", "pandas.csv", "arrow.parquet", "encoded.parquet", "lines.ndjson")
    return {
        **{name: in_file(folder / name) for name in names},
        "rows": validate_column(from_dicts(dicts, np.arange(len(dicts)), SCHEMA)),
        "columns": category_array(values.to_pylist()).to_pylist(),
        "series": category_array(frame["k"]).to_pylist(),
    }


COLUMNS: dict[str, tuple[pa.Array, list[str | None]]] = {
    "booleans": (pa.array([True, None, False]), ["true", None, "false"]),
    "booleans as text": (pa.array(["True", "FALSE", "true"]), ["true", "false", "true"]),
    "integers": (pa.array([2, None, -7]), ["2", None, "-7"]),
    "unsigned": (pa.array([2**64 - 1, 0], pa.uint64()), ["18446744073709551615", "0"]),
    "whole floats": (pa.array([2.0, None, -0.0]), ["2", None, "0"]),
    "floats": (pa.array([2.5, 0.1, 1e-7, 1e20, None]),
               ["2.5", "0.1", "1e-07", "100000000000000000000", None]),
    "text": (pa.array([" red", "red", "red\t", "", None]), ["red", "red", "red", None, None]),
    "numbers as text": (pa.array(["2.0", "2", "2.50", "007", "+2", "1.5E-3", "1e5"]),
                        ["2", "2", "2.5", "007", "+2", "0.0015", "1e5"]),
    "accents": (pa.array(["São", NFD]), ["São", "São"]),
    "dates": (pa.array([date(2024, 1, 2), None]), ["2024-01-02", None]),
    "large text": (pa.array(["b", " a"], pa.large_string()), ["b", "a"]),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_a_value_is_the_same_category_through_every_door(name: str, tmp_path: Path) -> None:
    values, wanted = COLUMNS[name]
    found = through_every_door(tmp_path, values)
    assert found == dict.fromkeys(found, wanted)


def test_decimals_are_the_numbers_that_they_stand_for(tmp_path: Path) -> None:
    values = pa.array([Decimal("2.50"), None, Decimal("2.00")])
    wanted = ["2.5", None, "2"]
    assert canonical_column(values).to_pylist() == wanted
    rows = table(values)
    arrow_csv.write_csv(rows, tmp_path / "in.csv")
    pq.write_table(rows, tmp_path / "in.parquet")
    assert in_file(tmp_path / "in.csv") == in_file(tmp_path / "in.parquet") == wanted


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=True, allow_infinity=False),
    st.text(max_size=6),
    st.dates(),
)


@settings(max_examples=200, deadline=None)
@given(scalars)
def test_canonical_is_canonical_of_itself(value: object) -> None:
    text = canonical_value(value)
    assert text is None or canonical_value(text) == text


@settings(max_examples=100, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**25), 10**25))
def test_a_number_is_the_same_category_as_the_text_that_python_and_json_write(
    number: float,
) -> None:
    assert canonical_value(number) == canonical_value(json.dumps(number))
    assert canonical_value(number) == canonical_value(repr(number))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | st.text(alphabet="0123. -eEtrufalsTé \u0301\t", max_size=6)))
def test_a_column_has_the_categories_of_its_values(texts: list[str | None]) -> None:
    wanted = [canonical_value(text) for text in texts]
    column = pa.array(texts, pa.string())
    for values in (
        column,
        column.cast(pa.large_string()),
        column.cast(pa.string_view()),
        column.dictionary_encode(),
        pa.chunked_array([column.dictionary_encode()])
        .cast(pa.dictionary(pa.int8(), pa.string()))
        .combine_chunks(),
    ):
        found = canonical_column(values)
        assert found.type == CATEGORY_TYPE
        assert found.to_pylist() == wanted
        assert found.dictionary.null_count == 0


@pytest.mark.parametrize(
    ("kind", "wanted"), [(pa.float16(), "0.1"), (pa.float32(), "0.1"), (pa.float64(), "0.1")]
)
def test_a_float_is_as_short_as_its_own_width_allows(kind: pa.DataType, wanted: str) -> None:
    values = pa.array(np.array([0.1, 3.0]).astype(kind.to_pandas_dtype()))
    assert values.type == kind
    assert canonical_column(values).to_pylist() == [wanted, "3"]


def test_a_column_that_is_canonical_is_not_touched() -> None:
    column = pa.array(["red", "São", "007", "12", "true"]).dictionary_encode()
    assert canonical_column(column.slice(0, 1)).dictionary.equals(column.dictionary)
    plain = pa.array(["a", "b", None]).dictionary_encode()
    assert canonical_column(plain) is plain


@pytest.mark.parametrize(
    "number", ["1.0e999999999", "1.0e-999999999", "9" * 400, "0." + "0" * 500 + "1", "1.0e-330"]
)
def test_a_number_of_any_size_is_a_short_text(number: str) -> None:
    text = canonical_value(number)
    assert text is not None
    assert len(text) <= len(number)


@pytest.mark.parametrize("value", [b"a", ["a"], datetime(2024, 1, 1), 1j])
def test_what_is_no_category_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="categor"):
        category_array([value, "a"])


def test_values_of_many_types_are_taken_at_once() -> None:
    mixed = [True, "true", 2, 2.0, None, float("nan"), pd.NA, np.int8(2), Decimal("2.0")]
    wanted = ["true", "true", "2", "2", None, None, None, "2", "2"]
    assert category_array(mixed).to_pylist() == wanted
    assert category_array(pd.Series(mixed, dtype=object)).to_pylist() == wanted
    assert category_array(pd.Series([1, None])).to_pylist() == ["1", None]
    assert category_array(pd.Series(["b", None], dtype="category")).to_pylist() == ["b", None]


def test_predict_columns_takes_the_types_that_files_have() -> None:
    model, _ = load_old()
    numbers = {"x": [1.0, 1.0], "z": [0.0, 0.0]}
    wanted = model.predict_columns({**numbers, "c": ["bus", None]})
    assert model.predict_columns({**numbers, "c": [" bus ", 7]}).tolist() == wanted.tolist()
    assert model.predict_columns({**numbers, "c": [1, 2.5]}).tolist() == [wanted[1]] * 2
    assert model.unknown_columns({**numbers, "c": ["bus", None]}) == {}
    assert model.unknown_columns({**numbers, "c": [" bus ", 7]}) == {"c": 1}
    assert model.unknown_columns({**numbers, "c": [True, 1.5]}) == {"c": 2}


def load_old() -> tuple[Artefact, Any]:
    data, manifest = train_model(RIDGE, rides(300))
    return load_bytes(data), manifest


def earlier(names: dict[str, str]) -> Artefact:
    """An artefact as if its categories had had other names when it was trained."""
    model, _ = load_old()
    column = model.statistics.categorical("c")
    values = {names.get(value, value): count for value, count in column.values.items()}
    changed = model.statistics.model_copy(
        update={"columns": model.statistics.columns | {"c": column.model_copy(
            update={"values": values})}}
    )  # fmt: skip
    known = tuple(names.get(value, value) for value in model.encoder.categories["c"])
    object.__setattr__(model.encoder, "categories", {"c": known})
    return rebuild(
        model.schema.model_dump_json(), changed.model_dump_json(), model.encoder, model.estimator
    )


def test_a_model_from_before_knows_its_categories_by_their_canonical_names() -> None:
    model, _ = load_old()
    old = earlier({"bus": "True", "car": " 2.0", "tram": ""})
    numbers = {"x": [1.0] * 3, "z": [0.0] * 3}
    wanted = model.predict_columns({**numbers, "c": ["bus", "car", "tram"]}).tolist()
    assert old.predict_columns({**numbers, "c": [True, 2, None]}).tolist() == wanted
    assert old.predict_columns({**numbers, "c": ["True", "2.0", ""]}).tolist() == wanted


def test_of_categories_that_are_one_by_now_the_most_frequent_one_stays() -> None:
    counts = {" red": 5, "red": 1, "red ": 2, "blue": 1}
    known = tuple(sorted(counts))
    renamed = rename_categories(known, counts)
    asked = canonical_column(pa.array(["red", "blue", "green"]))
    assert codes(asked, renamed).tolist() == [known.index(" red"), known.index("blue"), 4]
    assert len(set(renamed)) == len(known)
    assert rename_categories(("a", "b"), {}) == ("a", "b")
