"""Numbers as text: what is read, against Python's float and pandas' own words for null."""

from __future__ import annotations

import io
import math

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas._libs.parsers import STR_NA_VALUES

from model.numbers import NULL_WORDS, NumberFormat, explain_number, parse_numbers


def numbers(*texts: str | None, **written: object) -> list[object]:
    """The numbers of texts, "bad" for what is not one."""
    found, bad = parse_numbers(pa.array(texts, pa.string()), NumberFormat(**written))  # type: ignore[arg-type]
    pairs = zip(found.to_pylist(), bad.tolist(), strict=True)
    return ["bad" if wrong else number for number, wrong in pairs]


def test_the_words_for_null_are_those_of_pandas_and_hives() -> None:
    assert set(NULL_WORDS) == STR_NA_VALUES | {r"\N"}
    assert numbers(*NULL_WORDS, None) == [None] * (len(NULL_WORDS) + 1)


@pytest.mark.parametrize("text", ["1e5", "+1", ".5", "5.", " 5 ", "-0", "\t7", "1E-5", "\u00a05"])
def test_a_number_is_what_python_reads(text: str) -> None:
    assert numbers(text) == [float(text)]


def test_a_unicode_minus_and_spaces_between_thousands_are_read() -> None:
    assert numbers("\u22125", "1\u00a0234", "-1\u202f234\u202f567.5") == [-5.0, 1234.0, -1234567.5]
    assert numbers("1\u2019234.5", "-1\u2019234\u2019567") == [1234.5, -1234567.0]
    assert numbers("1\u2019234,5", decimal=",") == [1234.5]


def test_a_number_that_stands_for_null_does_so_however_it_is_written() -> None:
    texts, nulls = ["-999", "-999.0", " -9.99e2", "-999.5", "99", "?", "1"], ["-999", "99.0", "?"]
    frame = pd.read_csv(io.StringIO("\n".join(["x", *texts])), na_values=nulls)
    want = [None if math.isnan(value) else value for value in frame["x"]]
    assert numbers(*texts, nulls=tuple(nulls)) == want == [None, None, None, -999.5, None, None, 1]
    assert numbers("-99,90", "1", nulls=("-99,9",), decimal=",") == [None, 1]


def test_booleans_are_ones_and_zeros() -> None:
    texts = ["True", "true", "TRUE", "False", "false", "FALSE"]
    assert numbers(*texts) == [1, 1, 1, 0, 0, 0]
    assert numbers("T", "yes", "tRUE") == ["bad"] * 3


@pytest.mark.parametrize(
    "text",
    ["1_000", "0x10", "1,5", "1,234", "1 234", "1 2", "1d5", "e5", ".", "-", "1.2.3", "\u0661",
     "1\u00a02345", "12%", "R$ 5", "\u20ac5", "5 USD", "--5", "1e", "NAN1", "na"],
)  # fmt: skip
def test_what_is_no_number_is_refused(text: str) -> None:
    assert numbers(text, "1") == ["bad", 1.0]


def test_currency_and_percent_signs_have_a_reason_of_their_own() -> None:
    want = "must be a number without a currency or percent sign"
    for text in ("12 %", "12%", "$5", "5 \u20ac", "R$ 1.234,50", "EUR 7", "7 USD"):
        assert explain_number(text, "x") == want
    for value in ("abc", "%", "1,5", None, 1.5, "EURO5"):
        assert explain_number(value, "x") == "x"


def test_a_decimal_comma_and_thousands_are_read_where_they_are_set() -> None:
    german = {"decimal": ",", "thousands": "."}
    assert numbers("1.234,5", "1,5", "12", "-1.234.567", **german) == [1234.5, 1.5, 12, -1234567]
    assert numbers("1.5", "1,2,3", "1.23,4", **german) == ["bad"] * 3
    assert numbers("1,5", "1.5", decimal=",") == [1.5, "bad"]
    assert numbers("1,234.5", "12,34,567", thousands=",") == [1234.5, 1234567]
    assert numbers("1'234", "1 234", thousands="'") == [1234, "bad"]
    assert numbers("1 234,5", thousands=" ", decimal=",") == [1234.5]


def test_a_list_of_nulls_takes_the_place_of_the_words() -> None:
    assert numbers("?", "NA", "", None, " ? ", nulls=("?",)) == [None, "bad", None, None, None]
    assert numbers("-999", "-9", nulls=("-999",)) == [None, -9]


def test_dictionaries_are_read_by_their_values() -> None:
    texts = pa.array(["1", "x", None, "1"]).dictionary_encode()
    found, bad = parse_numbers(texts)
    assert found.to_pylist() == [1, None, None, 1]
    assert bad.tolist() == [False, True, False, False]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-1e15, 1e15)),
    st.sampled_from([(".", ""), (",", ""), (",", "."), (".", ","), (".", "'"), (",", " ")]),
)
def test_any_number_is_read_as_it_was_written(values: list[float], marks: tuple[str, str]) -> None:
    decimal, thousands = marks
    swap = str.maketrans({".": decimal, ",": thousands})
    texts = [f"{value:,.3f}".translate(swap) for value in values]
    found = numbers(*texts, decimal=decimal, thousands=thousands)
    assert found == pytest.approx([float(f"{value:.3f}") for value in values], rel=1e-15)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="01.,eE+-_ xnaN\u00a0", max_size=8))
def test_no_text_is_read_as_another_number_than_pythons(text: str) -> None:
    [found] = numbers(text)
    plain = text.strip().replace("\u00a0", "")
    if found == "bad" or found is None:
        return
    assert math.isnan(float(found)) or float(plain) == found  # type: ignore[arg-type]
    assert "_" not in text


def test_pandas_reads_the_same_numbers() -> None:
    texts = ["1", "2.5", "NA", "<NA>", "-1.#IND", "1e3", ""]
    want = pd.read_csv(io.StringIO("x\n" + "\n".join(f'"{t}"' for t in texts)))["x"]
    assert pd.Series(numbers(*texts), dtype=float).equals(want)
