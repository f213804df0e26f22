"""Columns that are carried and not learned from: the user's own key of a row, and what is kept.

A key is text in one canonical form, so that a table gives the same keys whatever format it is
written in: 12, 12.0 and the text ``"12"`` or ``"12.0"`` are the key ``"12"``; ``"007"`` stays.
A column that is kept is text as it was read, or the plain text of a typed value; one that has
another role (a feature, the target, the time) is kept as the model took it. So the columns of
predictions have the same types in every file of a run.
"""

from __future__ import annotations

from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.batch import KEY, TIME, TIME_TYPE, column
from model.schema import Schema
from model.times import is_text

KEYS = "must be text, an integer or null"
"""What the id may be, for messages."""
SCALARS = "must be text, a number, a boolean, a date, a time or null"
"""What a column that is kept may be, for messages."""
EXACT = 2.0**53
"""Floats up to this hold every integer."""

_TEXT = pa.string()
_INTEGRAL = r"^(-?(?:0|[1-9]\d*))\.0+$"
_FRACTIONS = {"ms", "us", "ns"}


def is_key(kind: pa.DataType) -> bool:
    """Whether a column of that type can hold keys."""
    types = pa.types
    if types.is_dictionary(kind):
        return is_key(kind.value_type)
    tests = (is_text, types.is_integer, types.is_floating, types.is_decimal, types.is_null)
    return any(test(kind) for test in tests)


def is_scalar(kind: pa.DataType) -> bool:
    """Whether a column of that type can be kept."""
    types = pa.types
    if types.is_dictionary(kind):
        return is_scalar(kind.value_type)
    times = (types.is_timestamp, types.is_date, types.is_time)
    return is_key(kind) or any(test(kind) for test in (types.is_boolean, *times))


def to_keys(values: pa.Array) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """A column as keys.

    Args:
        values: of a type for which ``is_key`` holds.

    Returns:
        Text of the same length, null for null, NaN and empty text; and a mask of the values
        that are no key (a fraction, a float too large to be exact).

    Example:
        >>> to_keys(pa.array([12.0, 1.5, None]))[0].to_pylist()
        ['12', None, None]
        >>> to_keys(pa.array([" 12", "12.0", "007", "a.0", ""]))[0].to_pylist()
        ['12', '12', '007', 'a.0', None]
    """
    types = pa.types
    if types.is_dictionary(values.type):
        known, bad = to_keys(values.dictionary)
        return known.take(values.indices), take_mask(bad, values.indices)
    fine = np.zeros(len(values), np.bool_)
    if types.is_floating(values.type):
        return _float_keys(values)
    if types.is_decimal(values.type):
        texts = pc.replace_substring_regex(values.cast(_TEXT), r"\.0+$", "")
        whole = pc.invert(pc.match_substring_regex(texts, r"[.E]")).fill_null(True)
        bad = ~whole.to_numpy(zero_copy_only=False)
        return pc.if_else(whole, texts, pa.scalar(None, _TEXT)), bad
    if not is_text(values.type):
        return values.cast(_TEXT), fine
    texts = pc.utf8_trim_whitespace(_compose(values.cast(_TEXT)))
    return _without_empty(pc.replace_substring_regex(texts, _INTEGRAL, r"\1")), fine


def to_texts(values: pa.Array) -> pa.Array:
    """A column as text: as it stands if it is text, else its values' plain text.

    Args:
        values: of a type for which ``is_scalar`` holds.

    Returns:
        Text of the same length; null for null, NaN and empty text. Booleans are ``true`` and
        ``false``, floats their shortest text (``12.0``), dates and times ISO 8601, in UTC with
        ``Z`` if they have a zone.

    Example:
        >>> to_texts(pa.array([0.1, 12.0, float("nan")])).to_pylist()
        ['0.1', '12.0', None]
        >>> to_texts(pa.array([1_500], pa.timestamp("ms", "UTC"))).to_pylist()
        ['1970-01-01T00:00:01.5Z']
    """
    kind, types = values.type, pa.types
    if types.is_dictionary(kind):
        return to_texts(values.dictionary).take(values.indices)
    if types.is_floating(kind):
        known = values.dictionary_encode()
        found = known.dictionary.to_numpy(zero_copy_only=False)
        plain = [None if np.isnan(value) else str(value) for value in found]
        return pa.array(plain, _TEXT).take(known.indices)
    if types.is_timestamp(kind):
        return _timestamps(values)
    if types.is_time(kind) and kind.unit in _FRACTIONS:
        return _trim_fraction(values.cast(_TEXT))
    return _without_empty(values.cast(_TEXT)) if is_text(kind) else values.cast(_TEXT)


def carried_fields(schema: Schema) -> list[pa.Field]:
    """The columns that a schema adds to predictions: ``key``, then what is kept."""
    key = [] if schema.id is None else [pa.field("key", _TEXT)]
    numbers = schema.numeric if schema.classifies else (schema.target, *schema.numeric)
    kinds = {schema.time: TIME_TYPE, **dict.fromkeys(numbers, pa.float64())}
    return key + [pa.field(name, kinds.get(name, _TEXT)) for name in schema.keep]


def carried_columns(batch: pa.RecordBatch, schema: Schema) -> list[pa.Array]:
    """The values of ``carried_fields`` in an accepted batch."""
    key = [] if schema.id is None else [batch.column(KEY)]
    return key + [_kept_column(batch, name, schema) for name in schema.keep]


def _kept_column(batch: pa.RecordBatch, name: str, schema: Schema) -> pa.Array:
    if name == schema.time:
        return batch.column(TIME)
    if name in schema.numbers:
        return pa.array(column(batch, name), from_pandas=True)
    values = batch.column(name)
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _float_keys(values: pa.Array) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    floats = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    whole = (np.floor(floats) == floats) & (np.abs(floats) <= EXACT)
    integers = np.where(whole, floats, 0).astype(np.int64)
    return pa.array(integers, mask=~whole).cast(_TEXT), ~whole & ~np.isnan(floats)


def _compose(values: pa.Array) -> pa.Array:
    """Texts in Unicode's form NFC."""
    # Not Arrow's utf8_normalize: in version 25 it leaves a letter and its accent apart.
    if pc.all(pc.string_is_ascii(values)).as_py() in (True, None):
        return values
    found = [None if text is None else normalize("NFC", text) for text in values.to_pylist()]
    return pa.array(found, _TEXT)


def take_mask(mask: npt.NDArray[np.bool_], indices: pa.Array) -> npt.NDArray[np.bool_]:
    """A mask of a dictionary's values as one of its rows; False for null."""
    taken = pa.array(mask).take(indices).fill_null(False)
    return np.asarray(taken.to_numpy(zero_copy_only=False), np.bool_)


def _timestamps(values: pa.Array) -> pa.Array:
    kind = values.type
    if kind.tz is not None:
        values = values.cast(pa.timestamp(kind.unit, "UTC"))
    found = pc.strftime(values, format="%Y-%m-%dT%H:%M:%S")
    if kind.unit in _FRACTIONS:
        found = _trim_fraction(found)
    return found if kind.tz is None else pc.binary_join_element_wise(found, "Z", "")


def _trim_fraction(values: pa.Array) -> pa.Array:
    """Texts that end in a fraction, without the zeros at its end."""
    return pc.utf8_rtrim(pc.utf8_rtrim(values, "0"), ".")


def _without_empty(values: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, _TEXT), values)
