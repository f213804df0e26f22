"""Event times: from whatever a column holds to microseconds since the epoch, in UTC.

A whole column is read at once where its values have one form. Where they are mixed, or one of
them is not readable, it is read in pieces, and only the pieces that Arrow refuses value by
value. Both ways accept the same texts and give the same times. What numbers count is
``model.epochs``, the forms of text beside ISO 8601 are ``model.timeforms``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from operator import gt
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model import epochs
from model.batch import SECOND, TIME_TYPE
from model.numbers import NULL_WORDS
from model.timeforms import (
    DAY_FIRST,
    GREATEST,
    LEAST,
    MONTH_FIRST,
    localize,
    parse_form,
    parse_forms,
    pattern_of,
)

if TYPE_CHECKING:
    from model.schema import Schema

ALLOWED = "must be ISO 8601 text, epoch seconds or a timestamp, in the years 1 to 9999"
"""What a time may be, for messages."""
OTHERS = "time_format in the schema names other forms"
FORMATS = (
    '"s", "ms", "us", "ns", "excel", "iso8601", "dayfirst", "monthfirst" or a format as strptime '
    'takes it, such as "%d/%m/%Y %H:%M"'
)
"""What a schema's ``time_format`` may be, for messages."""

_EPOCH = date(1970, 1, 1).toordinal()
_ORDERS = {"dayfirst": DAY_FIRST, "monthfirst": MONTH_FIRST}
_PIECE = 128
_EXACT, _MOST = 2.0**53, 2.0**63
"""Below the first, floats hold every whole number; below the other these fit into 64 bits."""
_ALL_DIGITS, _WIDTHS = re.compile(r"(?:%[YymdHMSjG])+"), {"Y": 4, "G": 4, "j": 3}
_CLOCK = (23, 59, 59, 23, 59)
_ISO = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?"
    r"\s?([Zz]|UTC|([+-])(\d\d):?(\d\d)?)?)?\s*",
    re.ASCII,
)
NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of that type holds text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_time(kind: pa.DataType) -> bool:
    """Whether ``parse_times`` can read a column of that type.

    Example:
        >>> is_time(pa.string()), is_time(pa.list_(pa.int64()))
        (True, False)
    """
    types = pa.types
    if types.is_dictionary(kind):
        return is_time(kind.value_type)
    tests = (types.is_null, types.is_timestamp, types.is_date, types.is_integer)
    return any(test(kind) for test in (*tests, types.is_floating, types.is_decimal, is_text))


def check_form(form: str) -> None:
    """Checks what ``parse_times`` takes as a form.

    Raises:
        ValueError: if it is not a format; the message has the reason.

    Example:
        >>> check_form("%Y-%Q")
        Traceback (most recent call last):
        ValueError: '%Q' is not a directive of strptime
    """
    if form == "auto":
        raise ValueError("'auto' is what holds without one")
    if form not in epochs.NAMES and form not in _ORDERS and form != "iso8601":
        pattern_of(form)


def parse_times(values: pa.Array, form: str | None = None, zone: str | None = None) -> pa.Array:
    """Reads event times.

    Text is ISO 8601 (a date, then ``T`` or a space and hours, optional minutes, seconds and
    fraction, an optional ``Z``, ``UTC``, ``+02``, ``+0200`` or ``+02:00``), a form that can be
    meant in one way only (``model.timeforms.FORMS``) or a number, spaces around it allowed. Digits
    after the microseconds are cut off.

    Args:
        values: a column of timestamps, dates, numbers or text, plain or dictionary-encoded.
        form: what numbers count: ``s``, ``ms``, ``us``, ``ns`` since the epoch, ``excel`` (days),
            or ``auto``, by their size (``model.epochs``); without it seconds. Or how text and the
            digits of numbers are written: ``iso8601`` (no number is an epoch time, 20240101 is a
            date), ``dayfirst`` or ``monthfirst`` (01/02/2013), or a format of ``strptime``.
        zone: of times that do not name their own, an IANA name; without it UTC.

    Returns:
        timestamp[us, UTC] of the same length: null where the value is null or unreadable
        (month 13, a leap second, a year outside 1 to 9999, a local time that a clock change skips).

    Raises:
        TypeError: if no value of that type can be a time.
        ValueError: if the form is not valid (``check_form``).

    Example:
        >>> times = parse_times(pa.array(["2024-03-01T12:00:00+02:00", "1700000000.5", "soon"]))
        >>> times.cast(pa.int64()).to_pylist()
        [1709287200000000, 1700000000500000, None]
        >>> parse_times(pa.array([1_700_000_000_500]), "ms").cast(pa.int64()).to_pylist()
        [1700000000500000]
    """
    if not is_time(values.type):
        raise TypeError(f"a column of type {values.type} holds no times: {ALLOWED}")
    return _read(values, form, zone)


def parse_time(text: str) -> int:
    """The time of a text that ``parse_times`` can read, in microseconds.

    Example:
        >>> parse_time("1970-01-01T00:00:01.5Z")
        1500000
    """
    [time] = parse_times(pa.array([text])).cast(pa.int64()).to_pylist()
    return int(time)


def read_times(values: pa.Array, schema: Schema) -> pa.Array:
    """Reads event times as a schema has them; without a format numbers go by their size."""
    return parse_times(values, schema.time_format or "auto", schema.time_zone)


def read_optional_times(values: pa.Array, schema: Schema) -> pa.Array:
    """Reads times that may be absent, of labels or for calendar features, as those of events.

    Text that is empty, or a null as numbers have them (``NA``), is a null.
    """
    blank = is_blank(values)
    if is_text(values.type) and blank.any():
        values = pc.if_else(pa.array(blank), pa.scalar(None, values.type), values)
    return read_times(values, schema)


def is_blank(values: pa.Array) -> npt.NDArray[np.bool_]:
    """Which values of a column of times are null, or text that stands for it, or no number.

    Example:
        >>> is_blank(pa.array(["2024-01-01", " ", None, "NA"])).tolist()
        [False, True, True, True]
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    blank = values.is_null(nan_is_null=pa.types.is_floating(values.type))
    if is_text(values.type):
        texts = pc.utf8_trim_whitespace(values.cast(pa.string()))
        blank = pc.or_(blank, pc.is_in(texts, value_set=pa.array(NULL_WORDS)))
    found: npt.NDArray[np.bool_] = blank.to_numpy(zero_copy_only=False)
    return found


def describe_times(schema: Schema) -> str:
    """What a time may be, for messages.

    Example:
        >>> from model.schema import Features, Schema
        >>> names = {"name": "s", "time": "t", "target": "y", "time_format": "%d.%m.%Y"}
        >>> print(describe_times(Schema(**names, features=Features(numeric=("x",)))))
        must be a time in time_format = "%d.%m.%Y" or a timestamp, in the years 1 to 9999
    """
    form = schema.time_format
    if form is None or form == "s":
        return ALLOWED
    return f'must be a time in time_format = "{form}" or a timestamp, in the years 1 to 9999'


def find_skipped(values: pa.Array, schema: Schema) -> pa.Array:
    """Which values are local times that the clocks of the schema's zone skipped, as booleans."""
    if schema.time_zone is None:
        return pa.array(np.zeros(len(values), np.bool_))
    in_utc = parse_times(values, schema.time_format or "auto")
    return pc.and_(in_utc.is_valid(), read_times(values, schema).is_null())


def _read(values: pa.Array, form: str | None, zone: str | None) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _read(values.dictionary, form, zone).take(values.indices)
    if pa.types.is_string_view(kind):  # Arrow casts it to text alone
        return _read(values.cast(pa.string()), form, zone)
    if pa.types.is_null(kind):
        return pa.nulls(len(values), TIME_TYPE)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        times = _from_timestamps(values)
        return times if getattr(kind, "tz", None) else localize(times, zone)
    if form is not None and form not in epochs.NAMES:
        return _from_written(values if is_text(kind) else _digits(values, form), form, zone)
    if is_text(kind):
        return _from_text(values, form or "s", zone)
    return epochs.from_numbers(values, form or "s", zone)


def _digits(values: pa.Array, form: str) -> pa.Array:
    """Whole numbers as text: 20240101.0 as 20240101, with the zeros that a format begins with."""
    if not pa.types.is_integer(values.type):
        floats = values.cast(pa.float64(), safe=False)
        whole = pc.and_(pc.equal(floats, pc.floor(floats)), pc.less(pc.abs(floats), _EXACT))
        values = pc.if_else(whole, floats, pa.scalar(None, pa.float64())).cast(pa.int64())
    texts = values.cast(pa.string())
    width = sum(_WIDTHS.get(name, 2) for name in form.split("%")[1:])
    return pc.utf8_lpad(texts, width, "0") if _ALL_DIGITS.fullmatch(form) else texts


def _from_written(texts: pa.Array, form: str, zone: str | None) -> pa.Array:
    """The times of text in a form that has no numbers since the epoch."""
    if form != "iso8601":
        return parse_form(texts, _ORDERS.get(form) or pattern_of(form), zone)
    digits = (parse_form(texts, pattern_of(each), zone) for each in ("%Y%m%d", "%Y"))
    return pc.coalesce(_from_text(texts, None, zone), *digits)


def _from_timestamps(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_date32(kind):
        days = values.cast(pa.int32()).cast(pa.int64())
        return epochs.from_counts(pc.multiply(days, 86_400), 1)
    unit = "ms" if pa.types.is_date64(kind) else kind.unit
    counts = values.cast(pa.int64())
    if unit == "us":
        span = pc.min_max(counts)
        least, greatest = span["min"].as_py(), span["max"].as_py()
        if least is not None and least >= LEAST and greatest <= GREATEST:
            return counts.cast(TIME_TYPE)
    return epochs.from_counts(counts, epochs.PER_SECOND[unit])


def _from_text(values: pa.Array, form: str | None, zone: str | None) -> pa.Array:
    """The times of text; without a form no number is one."""
    if values.null_count == len(values):
        return pa.nulls(len(values), TIME_TYPE)
    first = _first(values)
    whole = _at_once(values, first, form, zone)
    if whole is not None:
        return whole
    if _ISO.fullmatch(first) or NUMBER.fullmatch(first):
        times = _in_pieces(values, form, zone)
        return _fill(times, values, lambda unread: parse_forms(unread, zone))
    times = parse_forms(values, zone)
    return _fill(times, values, lambda unread: _in_pieces(unread, form, zone))


def _first(values: pa.Array) -> str:
    return next((text for text in values[:_PIECE].to_pylist() if text is not None), "")


def _fill(times: pa.Array, values: pa.Array, read: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The times, those of the values that are not read yet read another way."""
    unread = pc.and_(times.is_null(), values.is_valid())
    if not unread.true_count:
        return times
    return pc.replace_with_mask(times, unread, read(values.filter(unread)))


def _in_pieces(values: pa.Array, form: str | None, zone: str | None) -> pa.Array:
    pieces = [pa.nulls(0, TIME_TYPE)]
    for start in range(0, len(values), _PIECE):
        piece = values.slice(start, _PIECE)
        several = len(values) > _PIECE
        times = _at_once(piece, _first(piece), form, zone) if several else None
        pieces.append(_one_by_one(piece, form, zone) if times is None else times)
    return pa.concat_arrays(pieces)


def _at_once(values: pa.Array, first: str, form: str | None, zone: str | None) -> pa.Array | None:
    """The times of texts that all have the first one's form; None if they have not."""
    iso = _ISO.fullmatch(first)
    try:
        if iso is None:
            return _numbers_at_once(values, form, zone) if NUMBER.fullmatch(first) else None
        if len(iso[7] or "") > 6:  # Arrow refuses digits after the microseconds
            values = pc.replace_substring_regex(values, r"(\.\d{6})\d+", r"\1")
        times = _from_timestamps(values.cast(pa.timestamp("us", tz="UTC" if iso[8] else None)))
        return times if iso[8] else localize(times, zone)
    except pa.ArrowInvalid:
        return None


def _numbers_at_once(values: pa.Array, form: str | None, zone: str | None) -> pa.Array | None:
    if form is None:
        return None
    floats = values.cast(pa.float64())
    if form in ("s", "excel"):
        return epochs.from_numbers(floats, form, zone)
    numbers = floats.fill_null(0).to_numpy(zero_copy_only=False)
    whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < _EXACT)
    return epochs.from_numbers(floats.cast(pa.int64()), form, zone) if whole.all() else None


def _one_by_one(values: pa.Array, form: str | None, zone: str | None) -> pa.Array:
    texts = values.to_pylist()
    found = [None if text is None else _ISO.fullmatch(text) for text in texts]
    times = _times([match and _iso_micros(match) for match in found])
    if zone is not None:
        naive = pa.array([match is not None and match[8] is None for match in found])
        times = pc.if_else(naive, localize(times, zone), times)
    if form is None:
        return times
    texts = [None if text is None or not NUMBER.fullmatch(text) else text for text in texts]
    return pc.coalesce(times, _from_number_texts(texts, form, zone))


def _from_number_texts(texts: list[str | None], form: str, zone: str | None) -> pa.Array:
    """The times of numbers as text; whole ones exactly."""
    floats = [None if text is None else float(text) for text in texts]
    if form in ("s", "excel"):
        return epochs.from_numbers(pa.array(floats, pa.float64()), form, zone)
    whole = [_whole(text, number) for text, number in zip(texts, floats, strict=True)]
    rest = [number if exact is None else None for number, exact in zip(floats, whole, strict=True)]
    times = epochs.from_numbers(pa.array(whole, pa.int64()), form, zone)
    return pc.coalesce(times, epochs.from_numbers(pa.array(rest, pa.float64()), form, zone))


def _whole(text: str | None, number: float | None) -> int | None:
    """A number's value if it is whole and fits into 64 bits."""
    if text is None or number is None or not abs(number) < _MOST:
        return None
    if abs(number) < _EXACT:
        return int(number) if number.is_integer() else None
    return int(text) if text.strip().lstrip("+-").isdigit() else None


def _times(micros: list[int | None]) -> pa.Array:
    return pa.array(micros, pa.int64()).cast(TIME_TYPE)


def _iso_micros(iso: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second, digits, _, sign, ahead, behind = iso.groups()
    clock = (int(hour or 0), int(minute or 0), int(second or 0), int(ahead or 0), int(behind or 0))
    if any(map(gt, clock, _CLOCK)):
        return None
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        return None
    offset = (clock[3] * 60 + clock[4]) * (-60 if sign == "-" else 60)
    seconds = ((days * 24 + clock[0]) * 60 + clock[1]) * 60 + clock[2] - offset
    micros = seconds * SECOND + int((digits or "")[:6].ljust(6, "0"))
    return micros if LEAST <= micros <= GREATEST else None
