"""Categories: one text for a value, whatever type it has and whichever format it came in.

A CSV file has only text, JSON has numbers and booleans, Parquet has types. The same value must be
the same category in all of them, so every door (files, rows, the server, ``predict_columns``)
turns its values into the same canonical text:

* white space around a text is stripped, and the text is in Unicode's NFC form;
* booleans, and the words true and false in any case, are ``true`` and ``false``;
* numbers, and texts that are written as a program writes a number, are the shortest text of that
  number: 2, 2.0 and ``"2.0"`` are ``2``, 2.5 and ``"2.50"`` are ``2.5``;
* a date is ``2024-01-31``;
* an empty text and NaN are null.

Any other text stays as it is: ``007`` and ``+2`` are no numbers, and a code with a letter in it
never is.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from numbers import Integral
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.batch import CATEGORY_TYPE
from model.times import is_text

CATEGORIES = "must be text, a number, a boolean, a date or null"
"""What a categorical feature may be, for messages."""
INTEGERS = Decimal(10) ** 21
"""Whole numbers below this are written with all their digits, others as floats are."""

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]\d+)?", re.ASCII)
"""A number as programs write it: no leading zeros, and no exponent that a code may look like."""
_SUSPECT = r"^$|^[\x00-\x20]|[\x00-\x20]$|[^\x00-\x7F]|^-?[0-9]+[.eE]|^-0$|^(?i:true|false)$"
"""Texts that may not be canonical."""
_FEW = 64
"""Texts up to this number are looked at one by one: that is quicker than a regular expression."""
_SMALLEST_EXPONENT = -400
_SHORT = 64
"""Letters of a text that is remembered: long ones would hold much memory."""


def is_category(kind: pa.DataType) -> bool:
    """Whether a column of that type can be a categorical feature.

    Example:
        >>> is_category(pa.float64()), is_category(pa.list_(pa.string()))
        (True, False)
    """
    types = pa.types
    if types.is_dictionary(kind):
        return is_category(kind.value_type)
    tests = (
        *(is_text, types.is_integer, types.is_floating, types.is_decimal, types.is_boolean),
        *(types.is_date, types.is_null),
    )
    return any(test(kind) for test in tests)


def canonical_column(values: pa.Array) -> pa.Array:
    """The categories of a column. Only its distinct values are looked at one by one.

    Args:
        values: a column for whose type ``is_category`` holds.

    Returns:
        dictionary<int32, string> of the same length; the column itself if it is that already.

    Example:
        >>> canonical_column(pa.array([2.0, None, 0.5])).to_pylist()
        ['2', None, '0.5']
        >>> canonical_column(pa.array([" red", "red", ""])).to_pylist()
        ['red', 'red', None]
    """
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), CATEGORY_TYPE)
    if not pa.types.is_dictionary(values.type):
        values = _encodable(values).dictionary_encode()
    found = values.dictionary
    texts = canonical_texts(found)
    if texts is found and values.type == CATEGORY_TYPE:
        return values
    distinct = texts.dictionary_encode()
    indices = distinct.indices.take(values.indices)
    return pa.DictionaryArray.from_arrays(indices, distinct.dictionary)


def _encodable(values: pa.Array) -> pa.Array:
    """The column as a type that Arrow can encode."""
    if pa.types.is_string_view(values.type):
        return values.cast(pa.string())
    if pa.types.is_float16(values.type):
        numbers = values.to_numpy(zero_copy_only=False)
        return pa.array([canonical_value(number) for number in numbers], pa.string())
    return values


def canonical_texts(values: pa.Array) -> pa.Array:
    """The canonical text of each value of a plain column; the column itself if all are."""
    if is_text(values.type):
        texts = values if pa.types.is_string(values.type) else values.cast(pa.string())
        return _canonical_strings(texts)
    if pa.types.is_integer(values.type):
        return values.cast(pa.string())
    if pa.types.is_date(values.type):
        return values.cast(pa.date32()).cast(pa.string())
    single = pa.types.is_float32(values.type)
    known = values.to_pylist()
    plain: Iterable[object] = known
    if single:
        plain = (None if value is None else np.float32(value) for value in known)
    return pa.array([canonical_value(value) for value in plain], pa.string())


def _canonical_strings(texts: pa.Array) -> pa.Array:
    """As ``canonical_texts``; a null in the column makes another one, for it is not a category."""
    whole = not texts.null_count
    many = len(texts) > _FEW
    if many and whole and not pc.any(pc.match_substring_regex(texts, _SUSPECT)).as_py():
        return texts
    known = texts.to_pylist()
    found = [canonical_value(text) for text in known]
    return texts if whole and found == known else pa.array(found, pa.string())


def is_null(value: object) -> bool:
    """Whether a value is None or one of pandas' own nulls, ``NA`` and ``NaT``.

    Example:
        >>> is_null(None), is_null(float("nan"))
        (True, False)
    """
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def canonical_value(value: object) -> str | None:
    """The category of a Python or numpy value; None for a null.

    Raises:
        TypeError: if a value of that type is not a category.
        UnicodeError: if a text is none (half of a surrogate pair).

    Example:
        >>> [canonical_value(v) for v in (True, "TRUE", 2, 2.0, "2.0", " red", "007", "", None)]
        ['true', 'true', '2', '2', '2', 'red', '007', None, None]
    """
    if is_null(value):
        return None
    if isinstance(value, str):
        value.encode()
        return canonical_text(value)
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return _decimal_text(Decimal(int(value)))
    if isinstance(value, (float, np.floating)):
        return _float_text(value)
    if isinstance(value, Decimal):
        return _decimal_text(value) if value.is_finite() else _float_text(float(value))
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} is not a category: {CATEGORIES}")


def canonical_text(text: str) -> str | None:
    r"""The category that a text names; None if it is empty.

    Example:
        >>> canonical_text("Sa\u0303o Paulo ") == "S\u00e3o Paulo"
        True
    """
    return _remembered(text) if len(text) <= _SHORT else _canonical(text)


def _canonical(text: str) -> str | None:
    text = unicodedata.normalize("NFC", text.strip())
    if text.lower() in ("true", "false"):
        return text.lower()
    return _number_text(text) if _NUMBER.fullmatch(text) else text or None


_remembered = lru_cache(maxsize=65_536)(_canonical)


def _number_text(text: str) -> str | None:
    if "e" not in text.lower():
        return _decimal_text(Decimal(text))
    number = float(text)  # only floats are written with an exponent
    return _float_text(number) if math.isfinite(number) else text


def _float_text(value: float | np.floating[Any]) -> str | None:
    number = float(value)
    if math.isnan(number):
        return None
    whole = number.is_integer() and abs(number) < INTEGERS
    return str(int(number)) if whole else str(value)


def _decimal_text(number: Decimal) -> str:
    """The number as a float of that value is written; with all its digits if there is none."""
    if number.copy_abs() < INTEGERS and number == number.to_integral_value():
        return str(int(number))
    short = repr(float(number))
    if Decimal(short) == number:
        return short
    if not _SMALLEST_EXPONENT < number.adjusted() < -_SMALLEST_EXPONENT:
        return str(number)
    digits = format(number, "f")
    return digits.rstrip("0") if "." in digits else digits


def category_array(values: Sequence[Any]) -> pa.Array:
    """The categories of a list, an array or a Series of any types, as a column.

    Raises:
        TypeError: if a value is not a category.

    Example:
        >>> category_array([True, "true", 2.0, None, float("nan")]).to_pylist()
        ['true', 'true', '2', None, None]
    """
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError):  # of several types, or integers beyond 64 bits
        texts = [canonical_value(value) for value in values]
        return pa.array(texts, pa.string()).dictionary_encode()
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if not is_category(array.type):
        raise TypeError(f"values of type {array.type} cannot be categories: {CATEGORIES}")
    return canonical_column(array)


def rename_categories(known: Sequence[str], counts: dict[str, int]) -> tuple[str, ...]:
    """Canonical names for the categories of a model that was trained before there were any.

    Each category has a column in the model. Of several that are one by now, the one with most rows
    takes the canonical name, and the others a name that no value has.

    Args:
        known: the categories in the order of their columns.
        counts: how many rows of the training window had each.

    Example:
        >>> rename_categories(("True", "false", "true"), {"True": 9, "false": 5, "true": 2})
        ('true', 'false', 'True')
    """
    if all(canonical_text(name) == name for name in known):
        return tuple(known)
    names = list(known)
    ranked = sorted(range(len(known)), key=lambda i: (-counts.get(known[i], 0), known[i]))
    taken: set[str] = set()
    for i in ranked:
        name = canonical_text(known[i]) or ""
        if name in taken or names[i] == name:
            taken.add(name)
            continue
        if name in names:  # a rarer one has the name: they change names
            names[names.index(name)] = names[i]
        names[i] = name
        taken.add(name)
    return tuple(names)
