"""Rows as Python dicts (lines of NDJSON, elements of Beam's own sources), put into batches.

Where every value has a type that its column takes, a column is built at once. A row that cannot
be represented stays in its place: its columns are null, ``__problem`` says why, ``__text`` is
the row as JSON, and ``model.validation`` rejects it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timezone
from decimal import Decimal
from functools import lru_cache
from numbers import Integral, Real
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.batch import ID, LATE, PROBLEM, TEXT, TIME, TIME_TYPE
from model.carried import EXACT, KEYS, SCALARS
from model.categories import CATEGORIES, canonical_value, is_null
from model.numbers import explain_number, parse_numbers
from model.schema import Schema
from model.times import describe_times, read_times
from model.validation import NUMBERS, explain_missing, show_value


class RowError(NamedTuple):
    """Stands for a row that its source could not read: its text, and why."""

    text: str
    reason: str


Row = Mapping[str, object] | RowError


class _Wrong(Exception):
    """A value that its column does not take."""


_TIME_KINDS = {
    frozenset({str}): pa.string(),
    frozenset({int}): pa.int64(),
    frozenset({float}): pa.float64(),
    frozenset({int, float}): pa.float64(),
    frozenset({datetime}): TIME_TYPE,
    frozenset({date}): pa.date32(),
}
"""How a column of times is held if all its values are of these types."""
NEVER = datetime(1970, 1, 1, tzinfo=timezone.utc)
"""The event time of rows whose own is not read, as of rows that are only predicted."""


def from_dicts(
    rows: Sequence[Row],
    ids: npt.NDArray[np.int64],
    schema: Schema,
    absent_is_null: bool = False,
) -> pa.RecordBatch:
    """Puts rows into a raw batch.

    The target and numeric features take int, float, bool, Decimal, numpy numbers and text that
    is a number or a null (``model.numbers``); categorical features take these, str and date, and
    are made canonical (``model.categories``); the time takes str, int, float, Decimal, datetime
    and date; the id takes str and integers, a column that is kept any scalar. None is a null
    everywhere. A key that is absent is a problem, but for the id and what is kept, which are null
    then; so is a value of another type. Keys that the schema does not name are ignored.

    Args:
        rows: the rows, or what could not be read in their place.
        ids: their ids, one a row.
        schema: of the rows.
        absent_is_null: whether every key may be absent, which is a null then.

    Returns:
        A raw batch without a tag; ``__problem`` and ``__text`` are there if a row has one.

    Example:
        >>> from model.schema import Features
        >>> schema = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
        >>> batch = from_dicts(
        ...     [{"t": 0, "y": 1, "x": None}, {"t": 1, "y": 2}], np.array([7, 8]), schema)
        >>> batch.column("y").to_pylist(), batch.column("__problem").to_pylist()[1]
        ([1.0, None], "column 'x' is missing: every row needs it (null is allowed)")
    """
    try:
        return _batch(rows, ids, schema, absent_is_null)
    except (_Wrong, AttributeError, KeyError, TypeError, UnicodeError):
        pass
    problems = [_problem(row, schema, absent_is_null) for row in rows]
    good = [_blank(row, schema) if bad else row for row, bad in zip(rows, problems, strict=True)]
    texts = [_text(row) if bad else None for row, bad in zip(rows, problems, strict=True)]
    batch = _batch(good, ids, schema, absent_is_null)
    batch = batch.append_column(PROBLEM, pa.array(problems, pa.string()))
    return batch.append_column(TEXT, pa.array(texts, pa.string()))


def _batch(
    rows: Sequence[Any], ids: npt.NDArray[np.int64], schema: Schema, absent_is_null: bool
) -> pa.RecordBatch:
    """The batch of rows that have no problem; any other raises."""
    timed = (schema.time,) if schema.dated else ()
    label = (str(schema.label_time),) if schema.has_label_time else ()
    known = (*label, *(name for name in schema.calendar_sources if name != schema.time))
    named = (*timed, *known, *schema.numbers, *schema.categories)
    values = _values(named, rows, absent_is_null)
    never: list[object] = [NEVER] * len(rows)
    times = time_array(values[schema.time] if schema.dated else never, schema.time_zone)
    columns = {
        ID: pa.array(ids, pa.int64()),
        TIME: read_times(times, schema),
        LATE: pa.array(np.zeros(len(rows), np.bool_)),
        **({schema.time: times} if schema.dated else {}),
        **{name: time_array(values[name], schema.time_zone) for name in known},
    }
    for name in schema.numbers:
        columns[name] = _numbers(values[name])
    for name in schema.categories:
        columns[name] = _categories(values[name])
    for name, take, _ in _carried_columns(schema):
        if name in known:  # kept as text, and read as a time
            continue
        columns[name] = pa.array([take(row.get(name)) for row in rows], pa.string())
    return pa.record_batch(columns)


def _values(
    names: tuple[str, ...], rows: Sequence[Any], absent_is_null: bool
) -> dict[str, list[object]]:
    """The rows' values, a list a name; if a key is absent that is a null, or a KeyError."""
    try:
        return {name: list(map(itemgetter(name), rows)) for name in names}
    except KeyError:
        if not absent_is_null:
            raise
        return {name: [row.get(name) for row in rows] for name in names}


def scalars(values: Sequence[object]) -> pa.Array:
    """Values of a column that is kept, as text.

    Raises:
        ValueError: if one is not a scalar; the message says what it must be.

    Example:
        >>> scalars([1, "a", None, True, 0.5]).to_pylist()
        ['1', 'a', None, 'true', '0.5']
    """
    try:
        return pa.array([_scalar(value) for value in values], pa.string())
    except (_Wrong, UnicodeError) as error:
        raise ValueError(SCALARS) from error


def time_array(values: list[object], zone: str | None) -> pa.Array:
    """Times as a column that ``model.times`` reads, whatever types they have.

    Args:
        values: text, numbers, ``datetime`` or ``date``, or None.
        zone: of those that do not name their own.
    """
    kind = _TIME_KINDS.get(frozenset(map(type, values)) - {type(None)})
    if kind == TIME_TYPE and zone is not None:  # which would take naive ones as UTC
        zoned = {value.tzinfo is not None for value in values if isinstance(value, datetime)}
        kind = {frozenset({True}): kind, frozenset({False}): pa.timestamp("us")}.get(
            frozenset(zoned)
        )
    if kind is not None:
        try:
            return pa.array(values, kind)
        except (pa.ArrowInvalid, OverflowError):  # an integer that is too large
            pass
    return pa.array([_time(value) for value in values], pa.string())


def _numbers(values: list[object]) -> pa.Array:
    try:
        return pa.array(values, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array(_numbers_one_by_one(values), pa.float64())


def _numbers_one_by_one(values: list[object]) -> list[float | None]:
    """Numbers of values of any types; those that are text are read together."""
    is_text = [isinstance(value, str) for value in values]
    texts = [_encodable(v) for v, text in zip(values, is_text, strict=True) if text]
    read, bad = parse_numbers(pa.array(texts, pa.string()))
    if bad.any():
        raise _Wrong
    numbers = iter(read.to_pylist())
    pairs = zip(values, is_text, strict=True)
    return [next(numbers) if text else _number(value) for value, text in pairs]


def _categories(values: list[object]) -> pa.Array:
    if not set(map(type, values)) <= {str, type(None)}:
        values = [_category(value) for value in values]
    return pa.array(values, pa.string())


def _time(value: object) -> str | None:
    """A time as text that ``read_times`` reads."""
    if is_null(value):
        return None
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (Real, Decimal, np.datetime64)) and not isinstance(value, bool):
        return str(value)
    return _encodable(value)


def _number(value: object) -> float | None:
    if is_null(value):
        return None
    if isinstance(value, str):
        return _number_in(value)
    if not isinstance(value, (Real, Decimal, np.bool_)):
        raise _Wrong
    try:
        return float(value)
    except (OverflowError, ValueError) as error:  # an integer above 1e308, a signalling NaN
        raise _Wrong from error


@lru_cache(maxsize=1024)
def _number_in(text: str) -> float | None:
    """The number that a text is."""
    read, bad = parse_numbers(pa.array([_encodable(text)], pa.string()))
    if bad[0]:
        raise _Wrong
    number: float | None = read[0].as_py()
    return number


def _category(value: object) -> str | None:
    if isinstance(value, str):
        return _encodable(value)
    try:
        return canonical_value(value)
    except TypeError as error:
        raise _Wrong from error


def _encodable(value: object) -> str | None:
    """A text that is Unicode (JSON can hold half of a surrogate pair), or None."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Wrong
    value.encode()
    return value


def _key(value: object) -> str | None:
    """A key as text; ``model.carried.to_keys`` gives it its canonical form."""
    if is_null(value):
        return None
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (float, np.floating, Decimal)):
        return _whole(value)
    return _encodable(value)


def _whole(value: float | np.floating[Any] | Decimal) -> str | None:
    """The text of a number that is whole; null for NaN."""
    if isinstance(value, Decimal):
        if value.is_nan():
            return None
        if not value.is_finite() or value % 1:
            raise _Wrong
        return str(int(value))
    number = float(value)
    if math.isnan(number):
        return None
    if number % 1 or abs(number) > EXACT:  # infinite: its remainder is NaN
        raise _Wrong
    return str(int(number))


def _scalar(value: object) -> str | None:
    """The plain text of a value that is kept."""
    if is_null(value):
        return None
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, (date, time)):
        return _isoformat(value)
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else _trim_fraction(str(value))
    if isinstance(value, (Real, Decimal)):
        return None if str(value).lower() in ("nan", "snan") else str(value)
    raise _Wrong


def _isoformat(value: date | time) -> str:
    """ISO 8601 as ``model.carried.to_texts`` has it."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(timezone.utc).replace(tzinfo=None)
        return _isoformat(value) + "Z"
    return _trim_fraction(value.isoformat())


def _trim_fraction(text: str) -> str:
    """A time without the zeros at the end of its fraction."""
    return text.rstrip("0") if "." in text else text


def _problem(row: Row, schema: Schema, absent_is_null: bool) -> str | None:
    """Why a row cannot be represented; None if it can."""
    if isinstance(row, RowError):
        return row.reason
    for name, take, allowed in _columns(schema):
        if name not in row and not absent_is_null:
            return explain_missing(name)
        value = row.get(name)
        try:
            take(value)
        except (_Wrong, UnicodeError):
            wanted = explain_number(value, allowed) if allowed == NUMBERS else allowed
            return f"column {name!r}: {show_value(value)}: {wanted}"
    for name, take, allowed in _carried_columns(schema):
        try:
            take(row.get(name))
        except (_Wrong, UnicodeError):
            return f"column {name!r}: {show_value(row.get(name))}: {allowed}"
    return None


def _columns(schema: Schema) -> Iterator[tuple[str, Callable[[object], object], str]]:
    if schema.dated:
        yield schema.time, _time, describe_times(schema)
    if schema.has_label_time:
        yield str(schema.label_time), _time, describe_times(schema)
    for name in schema.calendar_sources:
        yield name, _time, describe_times(schema)
    for name in schema.numbers:
        yield name, _number, NUMBERS
    for name in schema.categories:
        yield name, _category, CATEGORIES


def _carried_columns(schema: Schema) -> Iterator[tuple[str, Callable[[object], str | None], str]]:
    """The columns that are carried and have no other role."""
    for name in schema.carried:
        yield (name, _key, KEYS) if name == schema.id else (name, _scalar, SCALARS)


def _blank(row: Row, schema: Schema) -> dict[str, object]:
    """Nulls in a row's place, and its time if that can be represented."""
    blank: dict[str, object] = dict.fromkeys(schema.columns)
    if not isinstance(row, RowError):
        with suppress(_Wrong, UnicodeError):
            blank[schema.time] = _time(row.get(schema.time))
    return blank


def _text(row: Row) -> str:
    """The row as JSON text, or as it stood."""
    if isinstance(row, RowError):
        return row.text
    text = json.dumps(dict(row), ensure_ascii=False, default=str, skipkeys=True)
    return text.encode(errors="backslashreplace").decode()
