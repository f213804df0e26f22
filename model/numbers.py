"""Numbers written as text: one rule for CSV, NDJSON and the server.

A text is a number, a null or neither. Which texts are nulls, and which marks stand for the
decimal point and between thousands, is a ``NumberFormat``; CSV has one of its own for each file.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

NULL_WORDS = (
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
    r"\N",
)
"""Texts that stand for a null where a number is needed: the default of pandas, and Hive's."""

_NUMBER = r"^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?i:inf|infinity|nan))$"
_BOOLEANS = {"true": "1", "True": "1", "TRUE": "1", "false": "0", "False": "0", "FALSE": "0"}
_PARTS = "\u00a0\u202f\u2009\u2019"
"""No-break and thin spaces and the Swiss apostrophe: between digits they only part thousands."""
_MINUS = "\u2212"
_METADATA = b"number_format"
_CODE = re.compile(r"^(?:USD|EUR|GBP|CHF|JPY|BRL)\b|\b(?:USD|EUR|GBP|CHF|JPY|BRL)$")
_SIGNS = "must be a number without a currency or percent sign"


class NumberFormat(NamedTuple):
    """How numbers are written in text.

    Attributes:
        decimal: the decimal mark.
        thousands: what stands between thousands; "" if only ``_PARTS`` may.
        nulls: the texts that are nulls; an empty one always is, and of a number every way to write
            it (-999 is -999.0, too), as in pandas.
    """

    decimal: str = "."
    thousands: str = ""
    nulls: tuple[str, ...] = NULL_WORDS


PLAIN = NumberFormat()
"""The format of numbers, unless a file's dialect has another."""


def parse_numbers(
    texts: pa.Array, written: NumberFormat = PLAIN
) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Reads numbers from text.

    Spaces around a number are ignored, U+2212 is a minus, no-break and thin spaces and U+2019 may
    part thousands, and true and false (also True, TRUE, ...) are 1 and 0. Underscores, hexadecimal
    digits, currency and percent signs make no number.

    Args:
        texts: a string column, plain or dictionary-encoded.
        written: the marks and nulls of the text.

    Returns:
        float64 of the same length, null where the text is null, a null word or unreadable;
        and a mask of the unreadable ones.

    Example:
        >>> numbers, bad = parse_numbers(pa.array([" 1.5 ", "NA", "True", "abc"]))
        >>> numbers.to_pylist(), bad.tolist()
        ([1.5, None, 1.0, None], [False, False, False, True])
        >>> parse_numbers(pa.array(["1.234,5"]), NumberFormat(",", "."))[0].to_pylist()
        [1234.5]
    """
    if pa.types.is_dictionary(texts.type):
        numbers, wrong = parse_numbers(texts.dictionary, written)
        bad = pa.array(wrong).take(texts.indices).fill_null(False)
        return numbers.take(texts.indices), bad.to_numpy(zero_copy_only=False)
    texts = texts.cast(pa.string())
    trimmed = pc.utf8_trim_whitespace(texts)
    words = pa.array([None, "", *written.nulls], pa.string())
    # Untrimmed too: a schema may name a null with spaces in it.
    none = pc.or_(pc.is_in(trimmed, value_set=words), pc.is_in(texts, value_set=words))
    trimmed = pc.if_else(none, pa.scalar(None, pa.string()), trimmed)
    if written.decimal == ".":
        good = pc.match_substring_regex(trimmed, _NUMBER).fill_null(False)
    else:
        good = pa.array(np.zeros(len(texts), np.bool_))
    if not pc.all(pc.or_(good, none), min_count=0).as_py():
        trimmed = pc.if_else(good, trimmed, _rewrite(trimmed, written))
        good = pc.match_substring_regex(trimmed, _NUMBER).fill_null(False)
    numbers = pc.if_else(good, trimmed, pa.scalar(None, pa.string())).cast(pa.float64())
    # A null such as -999 stands for a null however it is written: -999.0 too.
    words = (word.replace(written.decimal, ".") for word in written.nulls)
    if missing := [float(word) for word in words if is_number(word)]:
        is_missing = pc.is_in(numbers, value_set=pa.array(missing))
        numbers = pc.if_else(is_missing, pa.scalar(None, pa.float64()), numbers)
    return numbers, pc.invert(pc.or_(good, none)).to_numpy(zero_copy_only=False)


def is_number(text: str) -> bool:
    """Whether a text is a plain number.

    Example:
        >>> is_number("-999"), is_number("?")
        (True, False)
    """
    return re.fullmatch(_NUMBER[1:-1].replace("(?i:inf|infinity|nan)", "inf"), text) is not None


def explain_number(text: object, expected: str) -> str:
    """What a text that is not a number must be, for a message.

    Args:
        text: the value, of any type.
        expected: the answer without a better reason.

    Example:
        >>> explain_number("12 %", "must be a number")
        'must be a number without a currency or percent sign'
    """
    if not isinstance(text, str) or not any(each.isdigit() for each in text):
        return expected
    signs = any(each in "%\u2030" or unicodedata.category(each) == "Sc" for each in text)
    return _SIGNS if signs or _CODE.search(text) else expected


def with_format(field: pa.Field, written: NumberFormat) -> pa.Field:
    """A column of text whose numbers are in that format, for ``validate`` to read.

    Example:
        >>> format_of(with_format(pa.field("x", pa.string()), NumberFormat(","))).decimal
        ','
    """
    return field if written == PLAIN else field.with_metadata({_METADATA: json.dumps(written)})


def format_of(field: pa.Field) -> NumberFormat:
    """How the numbers of a column of text are written."""
    if not field.metadata or _METADATA not in field.metadata:
        return PLAIN
    decimal, thousands, nulls = json.loads(field.metadata[_METADATA])
    return NumberFormat(decimal, thousands, tuple(nulls))


def _rewrite(texts: pa.Array, written: NumberFormat) -> pa.Array:
    """Texts as ``_NUMBER`` has them, if they are numbers in that format; others as no number."""
    texts = pc.replace_substring(texts, _MINUS, "-")
    marks = re.escape(written.thousands) + _PARTS
    decimal = re.escape(written.decimal)
    grouped = rf"^([+-]?)(\d{{1,3}}(?:[{marks}]\d{{2,3}})*[{marks}]\d{{3}})((?:{decimal}\d*)?)$"
    is_grouped = pc.match_substring_regex(texts, grouped)
    if pc.any(is_grouped).as_py():
        texts = pc.if_else(is_grouped, pc.replace_substring_regex(texts, f"[{marks}]", ""), texts)
    if written.decimal != ".":
        wrong = pc.match_substring(texts, ".")
        texts = pc.if_else(wrong, pa.scalar("", pa.string()), texts)
        texts = pc.replace_substring(texts, written.decimal, ".")
    for word, digit in _BOOLEANS.items():
        texts = pc.if_else(pc.equal(texts, word), pa.scalar(digit), texts)
    return texts
